//! Exports that were made on the way, and brought up to date later by what changed.

use crate::support::{Loaded, Site};

/// The options of the exports: some rows may leave an export although their object stays.
const OPTIONS: [&[&str]; 3] =
    [&[], &["--scene", "web", "--layout", "wide"], &["--min-confidence", "80"]];

/// Exports of one moment.
struct Exports {
    /// The last run that had ended.
    run: i64,
    loaded: Vec<Loaded>,
}

/// The exports made so far.
#[derive(Default)]
pub(super) struct Earlier(Vec<Exports>);

impl Earlier {
    /// Exports now, and checks that earlier exports and what changed after them give the same.
    pub(super) fn check(&mut self, site: &Site) {
        let ended = "SELECT max(id) FROM run WHERE state <> 'running' AND NOT plan";
        let Some(run) = site.one::<Option<i64>>(ended) else { return };
        let loaded: Vec<Loaded> = OPTIONS.iter().map(|options| site.loaded(options)).collect();
        // What changed since a pruned run is not told.
        self.0.retain(|exports| {
            site.one(&format!("SELECT pruned_at IS NULL FROM run WHERE id = {}", exports.run))
        });
        let count = self.0.len();
        // The first, one in the middle and the last one.
        let mut checked = vec![0, count / 2, count.saturating_sub(1)];
        checked.dedup();
        for exports in checked.into_iter().filter_map(|at| self.0.get(at)) {
            let which = count % OPTIONS.len();
            let (options, now) = (OPTIONS[which], &loaded[which]);
            let mut brought = exports.loaded[which].clone();
            site.apply_changes(&mut brought, exports.run, options);
            assert_eq!(&brought, now, "an export after run {}, with {options:?}", exports.run);
        }
        self.0.push(Exports { run, loaded });
    }
}
