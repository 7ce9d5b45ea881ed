//! Texts that others have written, made fit to be shown and kept: bounded, in one line, without unseen characters.

/// The first 80 characters, unseen ones as `?`: foreign text in messages.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).map(|c| if is_unseen(c) { '?' } else { c }).collect()
}

/// The longest code, message or id that is kept, in bytes.
pub(super) const TEXT_MAX: usize = 4096;

/// The beginning of a text, at most so many bytes of it.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Text to show and to keep: without what is unseen, cut at 4 KiB with a note.
pub(super) fn bounded(text: &str) -> String {
    let kept = beginning(text, TEXT_MAX);
    let mut shown: String = kept.chars().map(|c| if is_unseen(c) { '?' } else { c }).collect();
    if kept.len() < text.len() {
        shown.push_str("… (cut at 4 KiB)");
    }
    shown
}

/// Controls, marks of writing direction, and what takes no room: no message of a service needs them, and on a
/// terminal they change what is read.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line, bounded, and cut before anything that belongs to a signature.
pub(super) fn one_line(message: &str) -> String {
    let secret = ["q-sign", "q-ak=", "StringToSign", "FormatString", "HttpString"];
    let words: Vec<&str> = message.split_whitespace().collect();
    // What is unseen goes first: it could hide such a word, which would be whole again without it.
    let whole: String = words.join(" ").chars().filter(|c| !is_unseen(*c)).collect();
    let end = secret.iter().filter_map(|word| whole.find(word)).min();
    let mut line = bounded(whole[..end.unwrap_or(whole.len())].trim_end());
    if end.is_some() {
        line.push('…');
    }
    line
}
