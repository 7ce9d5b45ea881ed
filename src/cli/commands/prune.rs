//! `costag prune`: removes the details of old runs.

use std::num::NonZeroU32;

use jiff::SignedDuration;

use crate::cli::exit::Exit;
use crate::cli::opened;
use crate::cli::options::global::GlobalOptions;
use crate::cli::progress;
use crate::cli::signals::Interrupt;
use crate::cli::suggest::Suggestion;
use crate::numbers::{counted, grouped};
use crate::store::Reader;
use crate::store::prune::{Pruned, Prunes};
use crate::time::UnixSeconds;

/// Calls of this last time stay in the ledger, so that budgets of a day can be counted in every time zone.
const OF_BUDGETS: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Remove the details of old runs; labels and sums of money stay
///
/// Removes the ranges, the journal (`costag changes`) and the ledger rows of complete runs. The calls are added up first,
/// so `costag ledger`, `costag status` and the report show the same sums as before. Labels and images stay, also those of
/// objects that are gone, because they cost nothing when they come back. A run that `costag resume` could continue is left
/// alone. It can be stopped at any moment, and the same command continues. The file does not shrink: later runs use the
/// space, or `costag compact` gives it back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many of the newest runs keep their details
    #[arg(long, value_name = "N")]
    keep_runs: NonZeroU32,
    /// Runs of the last N days keep their details too
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Removes the details, and reports on stderr how many there were.
    ///
    /// # Errors
    /// The database is unusable, or a run uses it (exit code 11).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let now = UnixSeconds::now();
        let prunes = Prunes {
            keep_runs: self.keep_runs.get(),
            // Without days, a run that ends in this second counts too.
            ended_before: match self.keep_days {
                None => UnixSeconds::MAX,
                Some(days) => now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))),
            },
            calls_before: now.saturating_sub(OF_BUDGETS).to_millis(),
            now,
        };
        // Fails if there is no database. Opening it for writing would create one.
        let reader = Reader::open(&settings.db)?;
        if self.dry_run {
            let found = reader.prunable(&prunes)?;
            reader.unchanged()?;
            say!("would remove {}", told(&found));
            return Ok(Exit::Complete);
        }
        drop(reader);
        let interrupt = Interrupt::watch()?;
        let mut store = opened::open(&settings.db)?;
        let all = store.reader()?.prunable(&prunes)?.rows();
        let bar = progress::bar(&settings.logging, "removed");
        bar.set_length(all);
        let mut removed = Pruned::default();
        let is_complete = store.prune(&prunes, |so_far| {
            removed = *so_far;
            bar.set_position(so_far.rows());
            interrupt.exit().is_none()
        });
        bar.finish_and_clear();
        let is_complete = is_complete?;
        say!("removed {}", told(&removed));
        if !is_complete {
            say!(
                "interrupted: nothing is lost, and the same command continues:\n{}",
                Suggestion::again()
            );
            return Ok(interrupt.exit().unwrap_or(Exit::Interrupted));
        }
        Ok(Exit::Complete)
    }
}

/// What is removed, as the end of a sentence.
fn told(removed: &Pruned) -> String {
    if removed.runs == 0 && removed.rows() == 0 {
        return "nothing: no run is old enough, or its details are removed already".to_owned();
    }
    let entries = match removed.changes {
        1 => "1 entry of the journal".to_owned(),
        many => format!("{} entries of the journal", grouped(many)),
    };
    format!(
        "the details of {}: {entries}, and {} of the ledger, whose sums stay",
        counted(removed.runs, "run"),
        counted(removed.calls, "row"),
    )
}
