//! Lists of keys and URLs, read into the store first: resuming a run needs no file.

use super::{Reach, Session};
use crate::store::Error;

impl Session {
    /// Keeps further lines of the list. `reach.cursor` counts the lines read so far, these included.
    ///
    /// # Errors
    /// Those of any write.
    pub fn keep_list(&mut self, items: &[String], reach: &Reach) -> Result<(), Error> {
        let read: i64 = reach.cursor.parse().unwrap_or(0);
        let kept = i64::try_from(items.len()).unwrap_or(0);
        for (seq, item) in (read - kept + 1..).zip(items) {
            self.execute(
                "INSERT OR IGNORE INTO list_item (run_id, seq, item) VALUES (?1, ?2, ?3)",
                (self.run.id, seq, item),
            )?;
        }
        self.reach(reach)
    }

    /// Forgets the lines: the run is over, and nothing has to be looked up again.
    pub(super) fn forget_list(&self) -> Result<(), Error> {
        self.execute("DELETE FROM list_item WHERE run_id = ?1", [self.run.id]).map(drop)
    }
}
