//! Writes XML text in the form of COS.

use std::fmt::Write as _;

use super::percent;

/// Appends a number. This is faster than `write!`, which counts in a page with thousands of numbers.
pub(super) fn push_number(out: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Appends text with the special characters of XML escaped. Control characters become character references. XML 1.0
/// forbids most of them, so a key with one cannot be read from a listing without `encoding-type=url`, as at the service.
pub(super) fn escape_into(out: &mut String, text: &[u8]) {
    escape_text_into(out, &String::from_utf8_lossy(text));
}

/// Like [`escape_into`], for text that is known to be UTF-8.
pub(super) fn escape_text_into(out: &mut String, text: &str) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let replacement = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&apos;",
            0..=31 | 127 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + 1;
        if replacement.is_empty() {
            let _ = write!(out, "&#x{byte:X};");
        } else {
            out.push_str(replacement);
        }
    }
    out.push_str(&text[plain..]);
}

/// Appends a key, percent-encoded if `url_encoded` is set, and escaped otherwise.
pub(super) fn key_into(out: &mut String, key: &[u8], url_encoded: bool) {
    if url_encoded {
        percent::encode_path_into(out, key);
    } else {
        escape_into(out, key);
    }
}
