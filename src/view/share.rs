//! Parts of a whole as people read them.

/// The length of the longest bar of a view, in units of its `viewBox`.
pub(super) const LENGTH: u32 = 1_000;

/// A share in percent with one decimal. Only the whole is shown as 100 %, and only zero as 0 %.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    match tenths {
        0 => "under 0.1 %".to_owned(),
        _ if tenths % 10 == 0 => format!("{} %", tenths / 10),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A share in whole percent, for small print.
pub(super) fn roughly(part: u64, whole: u64) -> String {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    if percent == 0 && part > 0 { "under 1 %".to_owned() } else { format!("{percent} %") }
}

/// The length of a bar that shows `part` of `whole`, out of `length`. A part above zero has a length of at least 2, so that
/// it can be seen.
pub(super) fn length(part: u64, whole: u64, length: u32) -> u32 {
    if part == 0 || whole == 0 {
        return 0;
    }
    let long = u128::from(part.min(whole)) * u128::from(length) / u128::from(whole);
    u32::try_from(long).unwrap_or(length).max(2).min(length)
}

/// A number of things in words: `1 image`, `2,000 images`.
pub(super) fn number_of(count: u64, one: &str) -> String {
    crate::numbers::counted(count, one)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_whole_is_all_and_only_nothing_is_none() {
        let shown = [(0, 9), (9, 9), (0, 0), (1, 3), (1, 2), (999_999, 1_000_000), (1, 1_000_000)]
            .map(|(part, whole)| percent(part, whole));
        assert_eq!(shown, ["0 %", "100 %", "0 %", "33.3 %", "50 %", "99.9 %", "under 0.1 %"]);
        assert_eq!([roughly(1, 3), roughly(1, 1_000)], ["33 %", "under 1 %"]);
        assert_eq!([number_of(1, "image"), number_of(0, "image")], ["1 image", "0 images"]);
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_bar_is_within_its_length_and_something_is_seen(part: u64, whole: u64) {
            let long = length(part, whole, 1_000);
            prop_assert!(long <= 1_000);
            prop_assert_eq!(long == 0, part == 0 || whole == 0);
        }
    }
}
