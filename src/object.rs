//! Facts about an object that the service reports and the store keeps: its `ETag` and its storage class.

use std::fmt;

use serde::{Serialize, Serializer};

/// The `ETag` of an object's content, without its quotes. It is never empty; an object without one has `None`.
///
/// Objects of one upload have the MD5 of their bytes, which takes half of the room as bytes. Multipart uploads have
/// another text, which is kept as it is. ("GET Bucket (List Objects)", element `ETag`)
///
/// ```
/// use costag::object::ETag;
///
/// assert!(matches!(ETag::new("b80e044d57282dd1cb7ea35079182b8e"), Some(ETag::Md5(_))));
/// assert_eq!(ETag::new("0c80bd9c7f2cbbdd9a25dd50594ff24e-9").unwrap().to_string().len(), 34);
/// assert_eq!(ETag::new(""), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ETag {
    /// The MD5 of the content. Its text is 32 lowercase hexadecimal digits.
    Md5([u8; 16]),
    /// Any other text.
    Text(Box<str>),
}

impl ETag {
    /// Reads the text between the quotes. Returns `None` if it is empty.
    pub fn new(text: &str) -> Option<Self> {
        let is_lowercase_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let mut md5 = [0; 16];
        let is_md5 = text.len() == 32
            && text.bytes().all(is_lowercase_hex)
            && hex::decode_to_slice(text, &mut md5).is_ok();
        match text {
            "" => None,
            _ if is_md5 => Some(Self::Md5(md5)),
            _ => Some(Self::Text(text.into())),
        }
    }

    /// Returns the text, without an allocation: the digits of an MD5 are written into `digits`.
    #[expect(clippy::missing_panics_doc, reason = "32 digits always hold 16 bytes")]
    pub fn text_in<'a>(&'a self, digits: &'a mut [u8; 32]) -> &'a str {
        match self {
            Self::Md5(md5) => {
                hex::encode_to_slice(md5, digits).expect("32 digits hold 16 bytes");
                std::str::from_utf8(digits).expect("hexadecimal digits are ASCII")
            }
            Self::Text(text) => text,
        }
    }
}

/// Serializes the text.
impl Serialize for ETag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text_in(&mut [0; 32]))
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text_in(&mut [0; 32]))
    }
}

/// The storage class of an object ("Storage Class Overview").
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum StorageClass {
    /// `STANDARD`, the class of objects for which the service reports none.
    #[default]
    Standard,
    /// `STANDARD_IA`.
    StandardIa,
    /// `INTELLIGENT_TIERING`.
    IntelligentTiering,
    /// `ARCHIVE`.
    Archive,
    /// `DEEP_ARCHIVE`.
    DeepArchive,
    /// `MAZ_STANDARD`.
    MazStandard,
    /// `MAZ_STANDARD_IA`.
    MazStandardIa,
    /// `MAZ_INTELLIGENT_TIERING`.
    MazIntelligentTiering,
    /// `MAZ_ARCHIVE`.
    MazArchive,
    /// A class that this version does not know. Never empty.
    Other(Box<str>),
}

impl StorageClass {
    /// Reads the name of a class. Returns `None` if it is empty.
    pub fn new(name: &str) -> Option<Self> {
        Some(match name {
            "" => return None,
            "STANDARD" => Self::Standard,
            "STANDARD_IA" => Self::StandardIa,
            "INTELLIGENT_TIERING" => Self::IntelligentTiering,
            "ARCHIVE" => Self::Archive,
            "DEEP_ARCHIVE" => Self::DeepArchive,
            "MAZ_STANDARD" => Self::MazStandard,
            "MAZ_STANDARD_IA" => Self::MazStandardIa,
            "MAZ_INTELLIGENT_TIERING" => Self::MazIntelligentTiering,
            "MAZ_ARCHIVE" => Self::MazArchive,
            other => Self::Other(other.into()),
        })
    }

    /// The name as the service writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::Archive => "ARCHIVE",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::MazStandard => "MAZ_STANDARD",
            Self::MazStandardIa => "MAZ_STANDARD_IA",
            Self::MazIntelligentTiering => "MAZ_INTELLIGENT_TIERING",
            Self::MazArchive => "MAZ_ARCHIVE",
            Self::Other(name) => name,
        }
    }

    /// Returns `true` if an object of this class cannot be read before it was restored.
    pub fn is_archive(&self) -> bool {
        matches!(self, Self::Archive | Self::DeepArchive | Self::MazArchive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_etag_is_the_text_that_was_read() {
        for text in ["b80e044d57282dd1cb7ea35079182b8e", "B80E044D57282DD1CB7EA35079182B8E", "e-9"]
        {
            assert_eq!(ETag::new(text).unwrap().to_string(), text);
        }
        assert!(matches!(ETag::new("B80E044D57282DD1CB7EA35079182B8E"), Some(ETag::Text(_))));
    }

    #[test]
    fn the_name_of_a_storage_class_is_the_name_that_was_read() {
        for name in ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"] {
            let class = StorageClass::new(name).unwrap();
            assert!(class.name() == name && !matches!(class, StorageClass::Other(_)));
            assert_eq!(class.is_archive(), name.contains("ARCHIVE"));
        }
        for name in ["MAZ_STANDARD", "MAZ_STANDARD_IA", "MAZ_INTELLIGENT_TIERING", "MAZ_ARCHIVE"] {
            let class = StorageClass::new(name).unwrap();
            assert!(class.name() == name && !matches!(class, StorageClass::Other(_)));
            assert_eq!(class.is_archive(), name == "MAZ_ARCHIVE");
        }
        let unknown = StorageClass::new("COLD").unwrap();
        assert_eq!(unknown, StorageClass::Other("COLD".into()));
        assert!(unknown.name() == "COLD" && !unknown.is_archive());
    }
}
