//! What the service is documented to take, and what of the wanted objects is beyond it. Nothing is left out by itself:
//! the present page of limits could not be read, and an older one need not hold.

use crate::store::read::Doubtful;

/// The largest image that an older page of the API names.
pub(super) const LARGEST: u64 = 3 << 20;

/// Whether a key has the suffix of a format that the older page names.
pub(super) fn is_documented(key: &str) -> bool {
    let suffix = key.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    suffix.is_some_and(|suffix| ["jpg", "jpeg", "png"].contains(&suffix.as_str()))
}

/// How many of the objects that `of` names are beyond the older page, and the options that leave them out; `None` if
/// there are none.
pub(super) fn text(doubtful: Doubtful, of: &str) -> Option<String> {
    let Doubtful { larger, other_formats } = doubtful;
    let verb = |count: u64| if count == 1 { "is" } else { "are" };
    let mut parts = Vec::new();
    if larger > 0 {
        parts.push(format!(
            "{larger} {} larger than 3 MB (--max-size 3M leaves them out)",
            verb(larger)
        ));
    }
    if other_formats > 0 {
        parts.push(format!(
            "{other_formats} {} neither PNG nor JPEG (--suffixes png,jpg,jpeg leaves them out)",
            verb(other_formats)
        ));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "of {of}, {}; an older page of the API names only PNG and JPEG up to 3 MB, so the service may refuse them",
            parts.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_documentation_is_told_with_its_option() {
        assert_eq!(text(Doubtful::default(), "3 objects"), None);
        let told = text(Doubtful { larger: 1, other_formats: 2 }, "3 objects").unwrap();
        assert!(told.starts_with("of 3 objects, 1 is larger than 3 MB (--max-size 3M"), "{told}");
        assert!(told.contains("and 2 are neither PNG nor JPEG (--suffixes png,jpg,jpeg"), "{told}");
        assert!(is_documented("a/b.JPG") && !is_documented("a.webp") && !is_documented("png"));
    }
}
