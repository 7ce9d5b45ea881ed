//! Opens the database for writing, and tells how far it has got if the database has to be counted first.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::{Error, Store};

/// The time between two lines about the progress.
const EVERY: Duration = Duration::from_secs(5);

/// Opens the database at `path`, and creates it if there is none.
///
/// # Errors
/// The same as those of [`Store::open`].
pub(super) fn open(path: &Path) -> Result<Store, Error> {
    let begun = Instant::now();
    let mut told = begun;
    let mut tells = false;
    let store = Store::open_with(path, &mut |done, all| {
        if told.elapsed() < EVERY {
            return;
        }
        if !tells {
            say!(
                "an earlier version wrote this database: its images and labels are counted once (if this is \
                 interrupted, the next run begins again)"
            );
        }
        (tells, told) = (true, Instant::now());
        say!("counted {} %", done * 100 / all.max(1));
    })?;
    if tells {
        say!("counted everything in {} s", begun.elapsed().as_secs());
    }
    Ok(store)
}
