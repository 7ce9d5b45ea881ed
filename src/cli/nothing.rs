//! Explains why a run wanted no object, and names globs that match nothing.

use crate::config::Filter;
use crate::glob::Meaning;
use crate::job::{Report, Source};
use crate::numbers::{counted, grouped};
use crate::store::model::SkipReason;
use crate::visible::visible;

/// How many reasons for skipping objects are explained.
const REASONS_SHOWN: usize = 3;

/// A line for a run that wanted no object: what it looked for, what it found, and the likely mistake. `None` if the run
/// wanted an object.
pub(super) fn wanted(source: &Source, filter: &Filter, report: &Report) -> Option<String> {
    let counts = &report.snapshot.counts;
    if counts.wanted > 0 {
        return None;
    }
    if counts.listed == 0 {
        return Some(match source {
            Source::Bucket { prefix } => nothing_under(prefix, &report.beside),
            Source::Keys(_) => "nothing to do: the list has no key".to_owned(),
            Source::Urls(_) => "nothing to do: the list has no URL".to_owned(),
        });
    }
    let skipped: u64 = counts.skipped.values().sum();
    let mut reasons: Vec<(u64, SkipReason)> = counts
        .skipped
        .iter()
        .filter_map(|(name, count)| Some((*count, SkipReason::from_name(name)?)))
        .collect();
    if reasons.is_empty() {
        return None;
    }
    // The sort is stable: equal counts stay in the order of their names.
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let told: Vec<String> = reasons
        .iter()
        .take(REASONS_SHOWN)
        .map(|(count, reason)| {
            format!("{} {} ({})", grouped(*count), reason.name(), hint(*reason, filter))
        })
        .collect();
    let others: u64 = reasons.iter().skip(REASONS_SHOWN).map(|(count, _)| count).sum();
    let others =
        if others > 0 { format!(", {} for other reasons", grouped(others)) } else { String::new() };
    let all = match skipped {
        1 => "the only object is".to_owned(),
        all => format!("all {} are", counted(all, "object")),
    };
    Some(format!("nothing to do: {all} skipped: {}{others}", told.join(", ")))
}

/// Prints the globs and suffixes that match no key of a complete listing, if there are any.
pub(super) fn tell_unmatched(options: &[String]) {
    if !options.is_empty() {
        say!("no listed key matches {}", visible(&options.join(", ")));
    }
}

fn nothing_under(prefix: &str, beside: &[String]) -> String {
    let shown = visible(prefix);
    if prefix.is_empty() {
        "nothing to do: the bucket has no object".to_owned()
    } else if let Some(rest) = prefix.strip_prefix('/') {
        format!(
            "nothing to do: no key begins with {shown:?}; keys rarely begin with a slash: did you mean {:?}?",
            visible(rest)
        )
    } else if prefix.contains(['*', '?', '[', '{']) {
        format!(
            "nothing to do: no key begins with {shown:?}; a prefix is not a glob: use --include '{shown}' instead"
        )
    } else if beside.is_empty() {
        format!(
            "nothing to do: no key begins with {shown:?}; check the spelling, with upper and lower case"
        )
    } else {
        let names: Vec<String> = beside.iter().map(|name| format!("{:?}", visible(name))).collect();
        format!(
            "nothing to do: no key begins with {shown:?}; there are similar keys: {}",
            names.join(", ")
        )
    }
}

fn hint(reason: SkipReason, filter: &Filter) -> String {
    let globs = |globs: &[String]| {
        let shown: Vec<String> = globs.iter().map(|glob| format!("'{}'", visible(glob))).collect();
        shown.join(", ")
    };
    match reason {
        SkipReason::NotIncluded => {
            let how = match filter.globs {
                Meaning::Name => "a glob with / must match the whole key",
                Meaning::Whole => "in a run of an older version a glob must match the whole key",
            };
            format!(
                "none matches --include {}; {how}, and * stays within a level (** crosses levels)",
                globs(&filter.include)
            )
        }
        SkipReason::Excluded => format!("--exclude {} matches them", globs(&filter.exclude)),
        SkipReason::Suffix => format!(
            "--suffixes takes only {}; --suffixes '' takes every key",
            visible(&filter.suffixes.join(","))
        ),
        SkipReason::Archive => {
            "they are in an archive class: restore them, or give --archive".to_owned()
        }
        SkipReason::TooSmall => format!("they are smaller than --min-size {}", filter.min_size),
        SkipReason::TooLarge => {
            format!("they are larger than --max-size {}", filter.max_size.unwrap_or_default())
        }
        SkipReason::Folder => "they are placeholders of folders".to_owned(),
        SkipReason::Empty => "they have no bytes".to_owned(),
        SkipReason::Unaddressable => "no request can name their keys".to_owned(),
    }
}
