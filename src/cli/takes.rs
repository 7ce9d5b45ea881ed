//! Counts wanted objects that the service may refuse because of their size or format. They are called all the same: only an
//! older page of the API names limits, and they may have changed.

use crate::numbers::grouped;
use crate::store::read::Doubtful;

/// The size in bytes of the largest image that the older page allows.
pub(super) const LARGEST: u64 = 3 << 20;

/// Whether the key has the suffix of a format that the older page names.
pub(super) fn is_documented(key: &str) -> bool {
    let suffix = key.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    suffix.is_some_and(|suffix| ["jpg", "jpeg", "png"].contains(&suffix.as_str()))
}

/// Says how many of the objects that `of` describes exceed the older page, and which options skip them. `None` if no object
/// does.
pub(super) fn text(doubtful: Doubtful, of: &str) -> Option<String> {
    let Doubtful { larger, other_formats } = doubtful;
    let verb = |count: u64| if count == 1 { "is" } else { "are" };
    let mut parts = Vec::new();
    if larger > 0 {
        let count = grouped(larger);
        parts.push(format!("{count} {} larger than 3 MB (--max-size 3M skips them)", verb(larger)));
    }
    if other_formats > 0 {
        parts.push(format!(
            "{} {} neither PNG nor JPEG (--suffixes png,jpg,jpeg skips them)",
            grouped(other_formats),
            verb(other_formats)
        ));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "of {of}, {}; the service may refuse them, since an older page of the API allows only PNG and JPEG up to 3 MB",
            parts.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_may_be_refused_are_counted_with_the_option_that_skips_them() {
        assert_eq!(text(Doubtful::default(), "3 objects"), None);
        let told = text(Doubtful { larger: 1, other_formats: 2 }, "3 objects").unwrap();
        assert!(told.starts_with("of 3 objects, 1 is larger than 3 MB (--max-size 3M"), "{told}");
        assert!(told.contains("and 2 are neither PNG nor JPEG (--suffixes png,jpg,jpeg"), "{told}");
        assert!(is_documented("a/b.JPG") && !is_documented("a.webp") && !is_documented("png"));
    }
}
