//! Exports of what changed, and what a loader of data does with them.

use std::collections::BTreeMap;

use super::{Row, Site, rows};

/// The rows of each key.
pub(crate) type Loaded = BTreeMap<String, Vec<Row>>;

impl Site {
    /// Loads a whole export.
    #[track_caller]
    pub(crate) fn loaded(&self, options: &[&str]) -> Loaded {
        let mut loaded = Loaded::new();
        for row in rows(&self.costag(&[&["export"], options].concat()).with(0).stdout) {
            loaded.entry(row[1].clone()).or_default().push(row);
        }
        loaded
    }

    /// Applies what changed after this run to what was loaded earlier, as the documentation says: the rows of every key
    /// in the export are replaced.
    #[track_caller]
    pub(crate) fn apply_changes(&self, loaded: &mut Loaded, since: i64, options: &[&str]) {
        let since = since.to_string();
        let arguments = [&["export", "--since-run", &since], options].concat();
        let mut changed = Loaded::new();
        for mut row in rows(&self.costag(&arguments).with(0).stdout) {
            let of_key = changed.entry(row[1].clone()).or_default();
            let is_deleted = row.pop().unwrap();
            if is_deleted == "false" {
                of_key.push(row);
            } else {
                assert_eq!(is_deleted, "true");
                assert!(row[2..].iter().all(String::is_empty), "{row:?}");
                assert!(of_key.is_empty(), "{row:?} is deleted and not deleted");
            }
        }
        loaded.retain(|key, _| !changed.contains_key(key));
        loaded.extend(changed.into_iter().filter(|(_, rows)| !rows.is_empty()));
    }
}
