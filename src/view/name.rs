//! Names that others chose: keys, labels, categories, messages.
//!
//! Templates escape them for HTML. Here they get a bounded length, and characters that nobody sees, or that turn the
//! direction of writing, are spelled out.

use crate::visible::visible;

/// The longest name of a label that is shown in full, in characters.
const NAME: usize = 40;

/// The longest name of a category that is shown in full, or of a label in a row of labels.
const SHORT: usize = 24;

/// The longest segment of a key that is shown in full.
const SEGMENT: usize = 60;

/// What is shown for a name without characters.
const NAMELESS: &str = "(no name)";

/// The longest text of another kind that is shown in full, such as the reason of a stop.
const TEXT: usize = 160;

/// The name of a category, a bucket or a code as it is shown.
pub(super) fn name(text: &str) -> String {
    bounded(text, SHORT)
}

/// A sentence, such as the reason of a stop.
pub(super) fn text(text: &str) -> String {
    bounded(text, TEXT)
}

/// The name of a label; a name without characters gets one.
pub(super) fn label(text: &str) -> String {
    if text.is_empty() { NAMELESS.to_owned() } else { bounded(text, NAME) }
}

/// The name of a label where several stand in a row.
pub(super) fn short_label(text: &str) -> String {
    if text.is_empty() { NAMELESS.to_owned() } else { name(text) }
}

/// The name of a first category; a label without one has the empty name.
pub(super) fn category(text: &str) -> String {
    if text.is_empty() { "(no category)".to_owned() } else { name(text) }
}

/// The number of bytes that a text takes in HTML, in which the characters of markup take five.
pub(super) fn bytes_in_html(text: &str) -> usize {
    let markup = text.bytes().filter(|byte| b"<>&\"'".contains(byte)).count();
    text.len() + 4 * markup
}

/// The two categories of a label, as far as there are any.
pub(super) fn categories(first: &str, second: &str) -> String {
    match (first, second) {
        (one, "") | ("", one) => name(one),
        // The two marks isolate a name, so that one that is written from right to left does not reorder the other.
        (first, second) => {
            format!("\u{2068}{}\u{2069} · \u{2068}{}\u{2069}", name(first), name(second))
        }
    }
}

/// The segments of a key, each with its `/`. Each stands alone, so that a right-to-left name does not reorder the others.
pub(super) fn segments(key: &str) -> Vec<String> {
    key.split_inclusive('/').map(|segment| bounded(segment, SEGMENT)).collect()
}

/// The longest segment of a key where keys are shown in full.
const WHOLE: usize = 1_024;

/// The segments of a key, in full.
pub(super) fn whole_segments(key: &str) -> Vec<String> {
    key.split_inclusive('/').map(|segment| bounded(segment, WHOLE)).collect()
}

fn bounded(text: &str, longest: usize) -> String {
    let shown = visible(text);
    if shown.chars().nth(longest).is_none() {
        return shown.into_owned();
    }
    // The end of a name often tells more than its middle.
    let tail = longest / 4;
    let count = shown.chars().count();
    let mut short: String = shown.chars().take(longest - tail - 1).collect();
    short.push('…');
    short.extend(shown.chars().skip(count - tail));
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_names_keep_their_beginning_and_their_end() {
        let long = label(&format!("{}end", "x".repeat(900)));
        assert_eq!(long.chars().count(), NAME);
        assert!(long.starts_with("xxx") && long.contains('…') && long.ends_with("xend"), "{long}");
        assert_eq!(name("猫"), "猫");
        assert_eq!(name("a\u{202e}b\n"), "a\\u{202e}b\\n");
        assert_eq!(segments("a//b.jpg"), ["a/", "/", "b.jpg"]);
        assert_eq!(categories("自然", ""), "自然");
        assert_eq!(categories("自然", "天象"), "\u{2068}自然\u{2069} · \u{2068}天象\u{2069}");
        assert_eq!(categories("", ""), "");
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_name_is_never_longer_than_its_bound(text: String) {
            prop_assert!(name(&text).chars().count() <= SHORT);
            prop_assert!(label(&text).chars().count() <= NAME);
        }
    }
}
