//! Reads text files in UTF-8, with or without the byte order mark of Windows editors.

use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;

/// The byte order mark, as UTF-8 writes it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How many bytes are needed to recognise the encoding.
const ENOUGH: usize = 4;

/// The text is UTF-16, which is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is UTF-16, as some Windows programs write text: save it as UTF-8")]
pub struct Utf16;

/// The length in bytes of the byte order mark at the start of a text. `start` is the first four bytes of the text, or all
/// of it if it is shorter.
///
/// If `may_hold_nul` is set, NUL bytes are expected and are not taken as a sign of UTF-16.
///
/// # Errors
/// [`Utf16`] if the text has the byte order mark of UTF-16, or every other byte is NUL.
pub fn mark(start: &[u8], may_hold_nul: bool) -> Result<usize, Utf16> {
    let nul = |at: usize| start.get(at) == Some(&0);
    let every_other_is_nul = start.len() >= ENOUGH && (nul(0) && nul(2) || nul(1) && nul(3));
    if start.starts_with(b"\xff\xfe")
        || start.starts_with(b"\xfe\xff")
        || (!may_hold_nul && every_other_is_nul)
    {
        return Err(Utf16);
    }
    Ok(if start.starts_with(MARK) { MARK.len() } else { 0 })
}

/// The text of a file without its byte order mark.
///
/// # Errors
/// The file cannot be read, or it is not UTF-8 ([`io::ErrorKind::InvalidData`]).
pub fn read(path: &Path) -> io::Result<String> {
    decode(std::fs::read(path)?)
}

/// Does the same as [`read`] with the bytes of a file.
///
/// # Errors
/// The same as those of [`read`].
pub fn decode(mut bytes: Vec<u8>) -> io::Result<String> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mark =
        mark(&bytes[..bytes.len().min(ENOUGH)], false).map_err(|error| invalid(error.into()))?;
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let error: Box<dyn std::error::Error + Send + Sync> =
            format!("line {line} is not UTF-8: save the file as UTF-8").into();
        invalid(error)
    })
}

/// A stream of text without its byte order mark: see [`mark`].
///
/// # Errors
/// The stream cannot be read, or it is UTF-16.
pub fn without_mark<R: BufRead>(
    mut reader: R,
    may_hold_nul: bool,
) -> io::Result<Result<impl BufRead + use<R>, Utf16>> {
    let mut start = Vec::with_capacity(ENOUGH);
    // Read in a loop: a pipe may return one byte at a time.
    (&mut reader).take(ENOUGH as u64).read_to_end(&mut start)?;
    Ok(mark(&start, may_hold_nul).map(|mark| {
        start.drain(..mark);
        Cursor::new(start).chain(reader)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_dropped_and_utf16_is_refused_by_name() {
        assert_eq!(decode(b"\xef\xbb\xbfa = 1\r\n".to_vec()).unwrap(), "a = 1\r\n");
        assert_eq!(decode(b"a".to_vec()).unwrap(), "a");
        assert_eq!(decode(Vec::new()).unwrap(), "");
        for utf16 in [&b"\xff\xfea\0=\0"[..], b"\xfe\xff\0a\0=", b"a\0=\0", b"\0a\0="] {
            let error = decode(utf16.to_vec()).unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
        let error = decode(b"a\nb\xff".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not UTF-8: save the file as UTF-8");
    }

    #[test]
    fn a_stream_loses_its_mark_and_nothing_else() {
        let all = |bytes: &'static [u8], nul| {
            let mut text = Vec::new();
            without_mark(bytes, nul)
                .unwrap()
                .map(|mut rest| rest.read_to_end(&mut text).unwrap())?;
            Ok(text)
        };
        assert_eq!(all(b"\xef\xbb\xbfab", false), Ok(b"ab".to_vec()));
        assert_eq!(all(b"ab", false), Ok(b"ab".to_vec()));
        assert_eq!(all(b"a\0b\0", true), Ok(b"a\0b\0".to_vec()), "a list of two keys");
        assert_eq!(all(b"a\0b\0", false), Err(Utf16));
    }
}
