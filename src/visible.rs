//! Makes text from others safe to show on a terminal, and hides passwords in addresses.
//!
//! Keys, labels and messages come from others. Shown unchanged, they could rewrite the screen, or look like other text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How hidden characters are spelled out. Each form of output has its own notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// `\\x1b`, `\\u{202e}`. Line ends are kept.
    Text,
    /// Like [`Notation::Text`], but a line end within quotes is part of a field and is spelled out too.
    Csv,
    /// `\\u001b`, `\\u202e`, so that the text stays valid JSON.
    Json,
}

/// The text with hidden characters and line ends spelled out, such as `\\x1b` for an escape. Hidden are characters that move
/// the cursor, change colours, reverse the direction of writing, or are invisible.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            spell(c, Notation::Text, &mut shown);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whole lines of a form of output, with all hidden characters spelled out except the ends of the lines.
pub fn visible_lines(lines: &str, notation: Notation) -> Cow<'_, str> {
    if !lines.chars().any(|c| is_hidden(c) && c != '\n') && notation != Notation::Csv {
        return Cow::Borrowed(lines);
    }
    let mut shown = String::with_capacity(lines.len() + 8);
    let mut quoted = false;
    for c in lines.chars() {
        quoted ^= c == '"' && notation == Notation::Csv;
        let is_layout = match c {
            '\n' => !quoted,
            // The program's own text uses tabs between columns.
            '\t' => notation == Notation::Text,
            _ => false,
        };
        if is_hidden(c) && !is_layout {
            spell(c, notation, &mut shown);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn spell(c: char, notation: Notation, out: &mut String) {
    let number = u32::from(c);
    // Writing to a string cannot fail.
    let _ = match (notation, c) {
        (Notation::Json, _) => {
            c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        }
        (_, '\n') => out.write_str("\\n"),
        (_, '\r') => out.write_str("\\r"),
        (_, '\t') => out.write_str("\\t"),
        _ if number < 0x100 => write!(out, "\\x{number:02x}"),
        _ => write!(out, "\\u{{{number:x}}}"),
    };
}

/// Whether a character is a control character, a mark of writing direction, or invisible. Variation selectors are not hidden,
/// since they change the look of the character before them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// Replaces the user and password of each address in a text by `***`.
///
/// Everything between `://` and the last `@` of a word counts as user and password, since a password may contain a slash. In
/// a word without `://`, everything before the last `@` does.
pub fn without_password(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let ends_word = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive(ends_word) {
        let user = word.find("://").map_or(0, |at| at + "://".len());
        match word.rfind('@').filter(|at| *at > user) {
            Some(at) => {
                shown.push_str(&word[..user]);
                shown.push_str("***");
                shown.push_str(&word[at..]);
            }
            None => shown.push_str(word),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(visible("a\u{1b}[2J\n\u{202e}b\u{9b}"), "a\\x1b[2J\\n\\u{202e}b\\x9b");
        assert!(matches!(visible("照片/猫.jpg"), Cow::Borrowed(_)));
    }

    #[test]
    fn invisible_characters_are_spelled_out() {
        for c in
            "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{2800}\u{206a}\u{206f}\u{e0000}\u{e0041}\u{e007f}"
                .chars()
        {
            assert_eq!(visible(&c.to_string()), format!("\\u{{{:x}}}", u32::from(c)));
        }
        assert_eq!(visible("❤\u{fe0f} 한글"), "❤\u{fe0f} 한글");
    }

    #[test]
    fn lines_with_spelled_out_characters_stay_valid_csv_and_json() {
        let csv = visible_lines("a,\"b\nc\"\"\n\"\nd\u{9b},\t\n", Notation::Csv);
        assert_eq!(csv, "a,\"b\\nc\"\"\\n\"\nd\\x9b,\\t\n");
        let json = visible_lines("{\"a\": \"\u{202e}\u{e0041}\u{7f}\"}\n", Notation::Json);
        assert_eq!(json, "{\"a\": \"\\u202e\\udb40\\udc41\\u007f\"}\n");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "\u{202e}\u{e0041}\u{7f}");
        assert!(matches!(visible_lines("a\nb\n", Notation::Text), Cow::Borrowed(_)));
    }

    #[test]
    fn a_password_is_masked_wherever_an_address_stands() {
        for (text, shown) in [
            ("https://cos.example", "https://cos.example"),
            ("http://user:pa/ss@w@host:1/x", "http://***@host:1/x"),
            ("http://user@host", "http://***@host"),
            ("user:pass@host", "***@host"),
            ("a 'http://u:p@h' b http://c", "a 'http://***@h' b http://c"),
            ("http://@host", "http://@host"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
