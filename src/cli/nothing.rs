//! What to say when something was asked for and nothing was wanted.

use crate::config::Filter;
use crate::job::Source;
use crate::store::model::{Counts, SkipReason};
use crate::visible::visible;

/// One line for a run that wanted nothing: what it looked for, what was there, and the likely mistake. `None` if it
/// wanted something.
pub(super) fn wanted(source: &Source, filter: &Filter, counts: &Counts) -> Option<String> {
    if counts.wanted > 0 {
        return None;
    }
    if counts.listed == 0 {
        return Some(match source {
            Source::Bucket { prefix } => nothing_under(prefix),
            Source::Keys(_) => "nothing to do: the list names no key".to_owned(),
            Source::Urls(_) => "nothing to do: the list names no URL".to_owned(),
        });
    }
    let (reason, _) = counts.skipped.iter().max_by_key(|(_, count)| **count)?;
    let skipped: u64 = counts.skipped.values().sum();
    let hint = SkipReason::ALL
        .into_iter()
        .find(|known| known.name() == reason)
        .map_or_else(String::new, |known| hint(known, filter));
    Some(format!("nothing to do: all of {skipped} objects are skipped, most as {reason}{hint}"))
}

fn nothing_under(prefix: &str) -> String {
    let shown = visible(prefix);
    if prefix.is_empty() {
        "nothing to do: the bucket has no object".to_owned()
    } else if let Some(rest) = prefix.strip_prefix('/') {
        format!(
            "nothing to do: no key begins with {shown:?}; keys seldom begin with a slash, so {:?} may be meant",
            visible(rest)
        )
    } else if prefix.contains(['*', '?', '[', '{']) {
        format!(
            "nothing to do: no key begins with {shown:?}; a prefix is no glob: give --include '{shown}' instead"
        )
    } else {
        format!(
            "nothing to do: no key begins with {shown:?}; check how it is written, small and capital letters too"
        )
    }
}

fn hint(reason: SkipReason, filter: &Filter) -> String {
    let globs = |globs: &[String]| {
        let shown: Vec<String> = globs.iter().map(|glob| format!("'{}'", visible(glob))).collect();
        shown.join(", ")
    };
    match reason {
        SkipReason::NotIncluded => format!(
            ": no key matches --include {}; a glob with / must match the whole key, and * stays within a level \
             (** crosses levels)",
            globs(&filter.include)
        ),
        SkipReason::Excluded => format!(": --exclude {} matches them", globs(&filter.exclude)),
        SkipReason::Suffix => format!(
            ": --suffixes takes only {}; --suffixes '' takes every key",
            visible(&filter.suffixes.join(","))
        ),
        SkipReason::Archive => {
            ": they are in an archive class; restore them, or give --archive".to_owned()
        }
        SkipReason::TooSmall => format!(": they are smaller than --min-size {}", filter.min_size),
        SkipReason::TooLarge => {
            format!(": they are larger than --max-size {}", filter.max_size.unwrap_or_default())
        }
        SkipReason::Folder => ": they are placeholders of folders".to_owned(),
        SkipReason::Empty => ": they have no bytes".to_owned(),
        SkipReason::Unaddressable => ": their keys cannot be called".to_owned(),
    }
}
