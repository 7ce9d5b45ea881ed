//! Bounds in the key space. Keys sort by their UTF-8 bytes, which is the order of their code points.

/// The smallest text that is greater than every text that starts with `prefix`; `None` if there is none.
///
/// A key starts with the prefix exactly if `prefix <= key < prefix_end(prefix)`.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The next code point. Surrogates are not code points of a text.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_code_point() {
        assert_eq!(prefix_end("a/").as_deref(), Some("a0"));
        assert_eq!(prefix_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{10ffff}"), None);
        assert_eq!(prefix_end(""), None);
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_key_is_within_the_span_exactly_if_it_starts_with_the_prefix(
            prefix in ".{1,3}", key in ".{0,5}", tail in ".{0,3}"
        ) {
            for key in [key, format!("{prefix}{tail}")] {
                let within = key >= prefix && prefix_end(&prefix).is_none_or(|end| key < end);
                prop_assert_eq!(within, key.starts_with(&prefix));
            }
        }
    }
}
