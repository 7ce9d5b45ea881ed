//! `costag verify`: checks whether the database is sound.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use crate::cli::answer;
use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::numbers::{counted, grouped};
use crate::store::Reader;
use crate::store::read::{Checked, Progress};
use crate::visible::{Notation, visible};

/// The size in bytes above which each check is announced, since it may take a while.
const LARGE: u64 = 256 << 20;

/// The time after which a check says how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Check that the database is sound; the exit code is 7 if it is not
///
/// Reads every row and writes nothing. Checks tables and views, pages and indexes, texts, references, states, ranges,
/// labels, identities, counts, the index of labels, and the ledger against images and runs. Prints the first problems of each check, one per line; the
/// last line says whether the database is sound. It may be used while a run is in progress.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report<'a> {
    database: String,
    sound: bool,
    checks: &'a [Checked],
}

impl Args {
    /// Prints the problems, and whether the database is sound.
    ///
    /// # Errors
    /// The database is unusable.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let tells =
            reader.size().is_none_or(|size| size.database > LARGE) || stderr().is_terminal();
        let mut told = Instant::now();
        let checks = reader.verify(|progress| {
            let line = match progress {
                Progress::Begun(check) => format!("checking {}", check.name()),
                Progress::Reached { check, done, all } if told.elapsed() >= EVERY => {
                    format!("checking {}: {} %", check.name(), (100 * done / all.max(1)).min(100))
                }
                Progress::Reached { .. } => return,
            };
            told = Instant::now();
            if tells {
                say!("{line}");
            }
        })?;
        reader.unchanged()?;
        let sound = checks.iter().all(|checked| checked.problems.count == 0);
        let database = reader.location().to_string();
        let text = if self.json {
            serde_json::to_string_pretty(&Report { database, sound, checks: &checks })? + "\n"
        } else {
            text(&database, &checks)
        };
        let notation = if self.json { Notation::Json } else { Notation::Text };
        let exit = if sound { Exit::Complete } else { Exit::State };
        Ok(answer::write("the result", &text, notation, exit))
    }
}

fn text(database: &str, checks: &[Checked]) -> String {
    let mut text = String::new();
    let mut problems = 0;
    for Checked { check, problems: found, notes } in checks {
        for note in notes {
            let _ = writeln!(text, "{}: not a problem: {}", check.name(), visible(note));
        }
        problems += found.count;
        for problem in &found.shown {
            let _ = writeln!(text, "{}: {}", check.name(), visible(problem));
        }
        let more = found.count - found.shown.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "{}: and {} more", check.name(), grouped(more));
        }
    }
    let database = visible(database);
    let _ = match problems {
        0 => writeln!(text, "{database} is sound: {}", counted(checks.len() as u64, "check")),
        count => writeln!(
            text,
            "{database} is not sound: {}; keep the file, restore a backup",
            counted(count, "problem")
        ),
    };
    text
}
