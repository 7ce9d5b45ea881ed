//! Percent-encoding as COS signs and sends it ("Request Signature", `UrlEncode`; RFC 3986 section 2).

use std::borrow::Cow;
use std::str::Utf8Error;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Returns `true` if this byte is not encoded: the unreserved set of RFC 3986 section 2.3, without `!'()*`.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Appends `text`, with every byte outside the unreserved set as `%XX` in upper case.
pub(super) fn encode_into(out: &mut String, text: &str) {
    out.reserve(text.len());
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if is_unreserved(byte) {
            continue;
        }
        if plain < at {
            // There is only ASCII between the two positions, so both are character boundaries.
            out.push_str(&text[plain..at]);
        }
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
}

/// Percent-encodes `text`: every byte outside the unreserved set (RFC 3986 section 2.3) becomes `%XX` in upper case.
///
/// ```
/// assert_eq!(costag::cos::encode("a b/猫+~"), "a%20b%2F%E7%8C%AB%2B~");
/// ```
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    encode_into(&mut out, text);
    out
}

/// Appends an instruction of image processing, such as `imageMogr2/thumbnail/480x480>`: a parameter that is a name without
/// a value. The service documents it with its slashes and without `=`.
pub(super) fn instruction_into(out: &mut String, instruction: &str) {
    out.push_str(&encode(instruction).replace("%2F", "/"));
}

/// Why a text cannot be percent-decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A `%` without two hex digits after it.
    #[error("a percent sign without two hex digits")]
    Escape,
    /// The decoded bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

impl From<Utf8Error> for DecodeError {
    fn from(_: Utf8Error) -> Self {
        Self::Utf8
    }
}

/// Percent-decodes `text`. A `+` stays a `+`, unlike in HTML forms.
///
/// # Errors
/// Returns an error for a broken escape, and for bytes that are not UTF-8.
pub fn decode(text: &str) -> Result<Cow<'_, str>, DecodeError> {
    let Some(first) = text.bytes().position(|byte| byte == b'%') else {
        return Ok(Cow::Borrowed(text));
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digit = |offset: usize| {
                let byte = bytes.get(at + offset).copied().ok_or(DecodeError::Escape)?;
                char::from(byte).to_digit(16).ok_or(DecodeError::Escape)
            };
            let value = digit(1)? * 16 + digit(2)?;
            out.push(u8::try_from(value).map_err(|_| DecodeError::Escape)?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| DecodeError::Utf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_unreserved_set_is_not_encoded() {
        let ascii: String = (0u8..128).map(char::from).collect();
        let encoded = encode(&ascii);
        for byte in 0u8..128 {
            let kept = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            assert_eq!(encoded.contains(&format!("%{byte:02X}")), !kept, "{byte}");
        }
        assert_eq!(encode("!'()*"), "%21%27%28%29%2A");
    }

    #[test]
    fn a_plus_stays_a_plus_and_each_kind_of_broken_text_has_its_error() {
        assert_eq!(decode("a+b%2B%20c").unwrap(), "a+b+ c");
        assert_eq!(decode("%e7%8c%ab").unwrap(), "猫");
        for broken in ["%", "%4", "a%zz", "%+1", "%4\u{20ac}"] {
            assert_eq!(decode(broken), Err(DecodeError::Escape), "{broken}");
        }
        assert_eq!(decode("%ff"), Err(DecodeError::Utf8));
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn decoding_undoes_encoding(text: String) {
            let encoded = encode(&text);
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
            prop_assert!(encoded.bytes().all(plain));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
