//! `costag compact`: gives unused space of the database back to the disk.

use crate::cli::exit::Exit;
use crate::cli::opened;
use crate::cli::options::global::GlobalOptions;
use crate::numbers::grouped;
use crate::store::Reader;

/// Give unused space of the database back to the disk
///
/// Writes the database anew. While it works it needs free space: once the size of the new database in the system's
/// folder for temporary files (on Unix `SQLITE_TMPDIR`, else `TMPDIR`, `/var/tmp` or `/tmp`), and once beside the database. It takes some
/// seconds for each gigabyte. No run can use the database meanwhile. If it is interrupted or the disk is full, the
/// database is as it was. `costag status` says when it is worth it.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    /// Compacts the database, and reports both sizes on stderr.
    ///
    /// # Errors
    /// The database is unusable, a run uses it (exit code 11), or the disk is full.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        // Fails if there is no database. Opening it for writing would create one.
        let reader = Reader::open(&settings.db)?;
        let size =
            |reader: &Reader| reader.size().map(|size| size.database.saturating_add(size.wal));
        let before = size(&reader);
        drop(reader);
        let mut store = opened::open(&settings.db)?;
        say!("writing the database anew");
        let is_shortened = store.compact()?;
        let after = size(&store.reader()?);
        if is_shortened {
            match (before, after) {
                (Some(before), Some(after)) => {
                    say!("it had {} bytes and has {} now", grouped(before), grouped(after));
                }
                _ => say!("the database is compact; its size cannot be read"),
            }
        } else {
            say!(
                "the database is compact, but another program is reading it, so the file keeps its length until a later \
                 run or `costag compact` shortens it"
            );
        }
        Ok(Exit::Complete)
    }
}
