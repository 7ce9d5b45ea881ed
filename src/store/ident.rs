//! Identities and fingerprints: 64 bits that stand for longer values in indexes and comparisons.
//!
//! Both are the first eight bytes of a SHA-1 over parts with their lengths, so they mean the same on every machine and
//! in every version. An identity that is found is verified against the columns of the row. A fingerprint only answers
//! whether an object is as it was, with a chance of 2⁻⁶⁴ to miss a change.

use sha1::{Digest, Sha1};

use crate::object::ETag;
use crate::time::UnixMillis;

/// The identity of a content: contents with equal identities are one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The `ETag` and the size: equal bytes are one content, even under different keys or in different buckets.
    Bytes {
        /// The `ETag`.
        etag: &'a ETag,
        /// The size in bytes.
        size: u64,
    },
    /// The bytes of one key. This is used without an `ETag`, or if deduplication is off.
    Key {
        /// The name of the bucket.
        bucket: &'a str,
        /// The key.
        key: &'a str,
        /// The `ETag`; `None` if there is none.
        etag: Option<&'a ETag>,
        /// The size in bytes; `None` if the service does not report it.
        size: Option<u64>,
    },
    /// The image behind a URL.
    Url(&'a str),
}

impl<'a> Identity<'a> {
    /// The identity of a content with these columns: the text of [`Identity::text`], the `ETag` and the size. `None` if
    /// they hold none.
    pub fn of_columns(
        text: Option<&'a str>,
        etag: Option<&'a ETag>,
        size: Option<u64>,
    ) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::Bytes { etag: etag?, size: size? });
        };
        // Neither a slash nor a colon is in the name of a bucket.
        match text.split_once('/') {
            Some((bucket, key)) if !bucket.ends_with(':') => {
                Some(Self::Key { bucket, key, etag, size })
            }
            _ => Some(Self::Url(text)),
        }
    }
}

impl Identity<'_> {
    /// The 64-bit hash that is indexed.
    pub fn hash(&self) -> i64 {
        match *self {
            Self::Bytes { etag, size } => {
                let mut digits = [0; 32];
                hash(b"b", &[etag.text_in(&mut digits).as_bytes(), &size.to_be_bytes()])
            }
            Self::Key { bucket, key, etag, size } => {
                let mut digits = [0; 32];
                let etag = etag.map_or("", |etag| etag.text_in(&mut digits));
                let size = size.map(u64::to_be_bytes);
                let size = size.as_ref().map_or(&[][..], |bytes| &bytes[..]);
                hash(b"k", &[bucket.as_bytes(), key.as_bytes(), etag.as_bytes(), size])
            }
            Self::Url(url) => hash(b"u", &[url.as_bytes()]),
        }
    }

    /// The part of the identity that the columns `etag` and `size` do not hold; `None` if they hold all of it.
    pub fn text(&self) -> Option<String> {
        match *self {
            Self::Bytes { .. } => None,
            Self::Key { bucket, key, .. } => Some(format!("{bucket}/{key}")),
            Self::Url(url) => Some(url.to_owned()),
        }
    }

    /// The `ETag` and the size of the identity, if it has them.
    pub fn etag_and_size(&self) -> (Option<&ETag>, Option<u64>) {
        match *self {
            Self::Bytes { etag, size } => (Some(etag), Some(size)),
            Self::Key { etag, size, .. } => (etag, size),
            Self::Url(_) => (None, None),
        }
    }
}

/// The fingerprint of an object: 64 bits of everything that does not change in an unchanged object.
///
/// `size` and `last_modified` are `None` if the service does not report them.
pub fn fingerprint(
    etag: Option<&ETag>,
    size: Option<u64>,
    storage_class: &str,
    last_modified: Option<UnixMillis>,
) -> i64 {
    let mut digits = [0; 32];
    let etag = etag.map_or("", |etag| etag.text_in(&mut digits));
    // An unknown size counts as -1, as it did when sizes were signed.
    let size = size.unwrap_or(u64::MAX);
    let UnixMillis(time) = last_modified.unwrap_or(UnixMillis::MIN);
    hash(
        b"f",
        &[etag.as_bytes(), &size.to_be_bytes(), storage_class.as_bytes(), &time.to_be_bytes()],
    )
}

/// The hash of a text, for settings that are compared as a whole.
pub fn hash_text(text: &str) -> i64 {
    hash(b"t", &[text.as_bytes()])
}

/// The hash of the lines of a list up to `line`. `before` is the hash of the lines before it, 0 for the first line.
pub fn hash_lines(before: i64, line: &str) -> i64 {
    hash(b"l", &[&before.to_be_bytes(), line.as_bytes()])
}

fn hash(kind: &[u8], parts: &[&[u8]]) -> i64 {
    let mut sha = Sha1::new();
    sha.update(kind);
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let digest = sha.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_of_different_parts_have_different_hashes() {
        let one = Identity::Key { bucket: "a-1", key: "bc", etag: None, size: Some(1) };
        let two = Identity::Key { bucket: "a-1b", key: "c", etag: None, size: Some(1) };
        assert_ne!(one.hash(), two.hash());
        assert_ne!(Identity::Url("x").hash(), hash_text("x"));
    }

    #[test]
    fn an_identity_is_found_in_its_columns() {
        let etag = ETag::new("e").unwrap();
        let bucket = "photos-1250000000";
        for identity in [
            Identity::Bytes { etag: &etag, size: 1 },
            Identity::Key { bucket, key: "a/b://c", etag: Some(&etag), size: Some(1) },
            Identity::Key { bucket, key: "/a", etag: None, size: None },
            Identity::Url("https://example.com/a"),
            Identity::Url("http://example.com"),
        ] {
            let (etag, size) = identity.etag_and_size();
            let text = identity.text();
            assert_eq!(Identity::of_columns(text.as_deref(), etag, size), Some(identity));
        }
        assert_eq!(Identity::of_columns(None, Some(&etag), None), None);
    }

    #[test]
    fn stored_hashes_keep_the_values_of_the_first_version() {
        let etag = ETag::new("b80e044d57282dd1cb7ea35079182b8e").unwrap();
        // A database written today must be readable by every later version.
        let bytes = Identity::Bytes { etag: &etag, size: 2_483_921 };
        assert_eq!(bytes.hash(), 2_389_172_691_336_656_211);
        assert_eq!(
            fingerprint(ETag::new("e").as_ref(), Some(1), "STANDARD", Some(UnixMillis(2))),
            -5_237_339_084_042_837_633
        );
    }
}
