//! Finds names similar to a prefix that no key begins with, such as `photos/` if `photo/` was typed.

use std::time::Duration;

use strsim::levenshtein;
use tracing::debug;

use crate::cos::{Client, ListRequest};
use crate::job::control::Control;

/// How long to wait for the answer. It is short, because only a message depends on the answer.
const LONGEST: Duration = Duration::from_secs(5);

/// The most names in the result.
const MOST_NAMES: usize = 3;

/// Lists the names on the level of the prefix with one request. Returns those most similar to the prefix, or none if the
/// request fails.
pub(crate) async fn look(client: &Client, control: &Control, prefix: &str) -> Vec<String> {
    let level = prefix.trim_end_matches('/').rsplit_once('/').map_or("", |(level, _)| level);
    let level = if level.is_empty() { String::new() } else { format!("{level}/") };
    let request =
        ListRequest { prefix: level, delimiter: Some("/".to_owned()), ..ListRequest::default() };
    let asked = tokio::time::timeout(LONGEST, client.list(&request));
    let page = tokio::select! {
        answer = asked => match answer {
            Ok(Ok(page)) if page.prove(&request).is_ok() => page,
            answer => {
                debug!(?answer, "the names beside the prefix could not be listed");
                return Vec::new();
            }
        },
        () = control.stopping().cancelled() => return Vec::new(),
    };
    let keys = page.entries.into_iter().map(|entry| entry.key);
    nearest(prefix, page.common_prefixes.into_iter().chain(keys))
}

/// Returns the names similar to the prefix, the most similar one first. If none is similar, returns the first names.
fn nearest(prefix: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let plain = |name: &str| name.trim_end_matches('/').to_lowercase();
    let asked = plain(prefix);
    // Less than half of the last part may differ. The parts before it are equal.
    let part = asked.rsplit('/').next().unwrap_or_default().chars().count();
    let mut names: Vec<(bool, usize, String)> = names
        .map(|name| {
            let known = plain(&name);
            let distance = levenshtein(&asked, &known);
            let extends = known.starts_with(&asked) || asked.starts_with(&known);
            (!(extends || distance * 2 < part), distance, name)
        })
        .collect();
    names.sort();
    let has_near = names.first().is_some_and(|(is_far, ..)| !is_far);
    if !has_near {
        names.sort_by(|one, other| one.2.cmp(&other.2));
    }
    let told = names.into_iter().filter(|(is_far, ..)| !(has_near && *is_far));
    told.map(|(.., name)| name).take(MOST_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("photo/", &["2025/", "photos/", "Photo/", "x.jpg"], &["Photo/", "photos/"])]
    #[case("a/imgaes", &["a/images/", "a/b/"], &["a/images/"])]
    #[case("2027/", &["2025/", "2026/", "other/"], &["2025/", "2026/"])]
    #[case("nowhere/", &["d/", "a/", "c/", "b/"], &["a/", "b/", "c/"])]
    #[case("nowhere/", &[], &[])]
    fn names_similar_to_the_prefix_come_first(
        #[case] prefix: &str,
        #[case] names: &[&str],
        #[case] told: &[&str],
    ) {
        assert_eq!(nearest(prefix, names.iter().map(|name| (*name).to_owned())), told);
    }
}
