//! What would make the database smaller, if it is worth it.

use serde::Serialize;

use crate::cli::suggest::Suggestion;
use crate::numbers::grouped;
use crate::store::{Error, Reader};

/// As many runs keep their details in the advice: about a quarter of nights.
const KEPT_RUNS: u32 = 90;

/// It is worth it to remove the details of old runs if they have this many ledger rows and entries of journals.
const WORTH_PRUNING: u64 = 100_000;

/// It is worth it to compact the database if this many bytes, and a quarter of it, are unused.
const WORTH_COMPACTING: u64 = 64 << 20;

/// A command that makes the database smaller.
#[derive(Debug, Serialize)]
pub(super) struct Advice {
    /// What can be done, and why.
    pub(super) what: String,
    /// The command that does it, quoted for a shell.
    pub(super) command: String,
}

/// The commands that are worth it.
///
/// # Errors
/// Any error of a read.
pub(super) fn of(reader: &Reader) -> Result<Vec<Advice>, Error> {
    let mut advice = Vec::new();
    let old = reader.old_details(KEPT_RUNS)?;
    if old >= WORTH_PRUNING {
        let keep = KEPT_RUNS.to_string();
        advice.push(Advice {
            what: format!(
                "about {} rows are details of runs older than the newest {KEPT_RUNS}; to remove them and keep all labels \
                 and sums",
                grouped(old)
            ),
            command: Suggestion::here(["prune", "--keep-runs", &keep]).shown(),
        });
    }
    if let Some(size) = reader.size()
        && is_worth_compacting(size.unused, size.database)
    {
        advice.push(Advice {
            what: format!(
                "{} MiB of the database are unused; to give them back to the disk",
                size.unused >> 20
            ),
            command: Suggestion::here(["compact"]).shown(),
        });
    }
    Ok(advice)
}

fn is_worth_compacting(unused: u64, database: u64) -> bool {
    unused >= WORTH_COMPACTING && unused >= database / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_is_worth_it_for_much_space_that_is_a_quarter_of_the_file() {
        for (unused, database, is_worth) in [
            (64 << 20, 256 << 20, true),
            (64 << 20, 260 << 20, false),
            ((64 << 20) - 1, 100 << 20, false),
            (1 << 30, 1 << 31, true),
            (0, 0, false),
        ] {
            assert_eq!(is_worth_compacting(unused, database), is_worth, "{unused} of {database}");
        }
    }
}
