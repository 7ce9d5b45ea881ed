//! Makes texts from outside fit to be shown and stored: of limited length, in one line, without invisible characters.

/// Returns the first 80 characters, with invisible ones as `?`. For texts from outside inside a message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).map(|c| if is_unseen(c) { '?' } else { c }).collect()
}

/// The longest code, message or id that is stored, in bytes.
pub(super) const TEXT_MAX: usize = 4096;

/// Returns the beginning of a text, at most this many bytes.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Returns the text with invisible characters as `?`, cut at 4 KiB with a note.
pub(super) fn bounded(text: &str) -> String {
    let kept = beginning(text, TEXT_MAX);
    let mut shown: String = kept.chars().map(|c| if is_unseen(c) { '?' } else { c }).collect();
    if kept.len() < text.len() {
        shown.push_str("… (cut at 4 KiB)");
    }
    shown
}

/// Returns `true` for control characters, marks of writing direction and characters without width. No message of a
/// service needs them, and on a terminal they can change what a person reads.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns the text in one line, cut at 4 KiB and before anything that belongs to a signature.
pub(super) fn one_line(message: &str) -> String {
    let secret = ["q-sign", "q-ak=", "StringToSign", "FormatString", "HttpString"];
    let words: Vec<&str> = message.split_whitespace().collect();
    // Invisible characters are removed first: they could hide a word that belongs to a signature.
    let whole: String = words.join(" ").chars().filter(|c| !is_unseen(*c)).collect();
    let end = secret.iter().filter_map(|word| whole.find(word)).min();
    let mut line = bounded(whole[..end.unwrap_or(whole.len())].trim_end());
    if end.is_some() {
        line.push('…');
    }
    line
}
