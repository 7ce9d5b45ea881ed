//! The characters of a text in the form in which they are compared with secrets.

use crate::cos::text::is_unseen;

/// How many layers of percent-encoding inside percent-encoding are decoded.
const NESTED: usize = 4;

/// Returns a character in the form in which it is compared: its byte in lower case, or 0 for a character that no byte
/// stands for, since secrets are ASCII. Returns `None` for blanks, unseen characters and the backslash, which can stand
/// between the characters of a secret.
#[inline]
pub(super) fn seen_as(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii_graphic() => (c != '\\').then(|| byte.to_ascii_lowercase()),
        // Chinese and most other scripts have no blanks and no invisible characters in this range.
        _ if ('\u{3001}'..'\u{feff}').contains(&c) => Some(0),
        _ if c.is_whitespace() || is_unseen(c) => None,
        byte => Some(byte.unwrap_or_default()),
    }
}

/// A character of a text in the form in which it is compared.
pub(super) struct Seen {
    /// The value of [`seen_as`], or the decoded byte of an escape in lower case.
    pub(super) byte: u8,
    /// Where the character begins in the text, in bytes.
    pub(super) start: usize,
    /// Where the character ends in the text, in bytes.
    pub(super) end: usize,
}

/// Returns the characters of a text that are compared, with percent-encoding decoded if `decode` is set.
pub(super) fn normalise(text: &str, decode: bool) -> Vec<Seen> {
    let bytes = text.as_bytes();
    let mut seen = Vec::with_capacity(bytes.len());
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let Some(byte) = seen_as(c) else { continue };
        if decode
            && c == '%'
            && let Some((byte, end)) = unescape(bytes, start)
        {
            while rest.next_if(|(at, _)| *at < end).is_some() {}
            seen.push(Seen { byte: byte.to_ascii_lowercase(), start, end });
            continue;
        }
        let end = start + c.len_utf8();
        seen.push(Seen { byte, start, end });
    }
    seen
}

/// Decodes the escape that begins at `start`. Returns its byte and where it ends. Nested escapes are decoded to the end:
/// `%252B` is `%2B` is `+`.
fn unescape(bytes: &[u8], start: usize) -> Option<(u8, usize)> {
    let digits = |at: usize| {
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
    };
    let (mut byte, mut end) = (digits(start + 1)?, start + 3);
    for _ in 0..NESTED {
        if byte != b'%' {
            break;
        }
        let Some(inner) = digits(end) else { break };
        (byte, end) = (inner, end + 2);
    }
    Some((byte, end))
}
