//! Values as they appear in messages.

use figment::value::Value;

use super::texts::number_text;
use crate::visible::without_password;

/// How the value of a setting appears in a message: without a password, and a command without its arguments.
pub(in crate::config) fn shown(key: &str, value: &Value) -> String {
    let value = match value {
        Value::String(tag, text) if key == "credential_process" => {
            &Value::String(*tag, command_shown(text))
        }
        Value::String(tag, text) if key.ends_with("endpoint") => {
            &Value::String(*tag, without_password(text).into_owned())
        }
        value => value,
    };
    describe(value)
}

/// A command in a form that can be shown: the names of the variables that it sets and the program. Values and arguments are
/// left out, since people put secrets there.
pub fn command_shown(command: &str) -> String {
    let mut shown = String::new();
    let mut rest = command.trim();
    while let Some((name, value)) = rest.split_once('=').filter(|(name, _)| is_variable(name)) {
        shown.push_str(name);
        shown.push_str("=… ");
        let (word, after) = value.split_at(word_length(value));
        // Only a shell can tell where a substitution ends.
        if word.contains(['(', '{']) {
            shown.push('…');
            return shown;
        }
        rest = after.trim_start();
    }
    let program = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '~');
    if program.chars().all(is_plain) {
        shown.push_str(program);
        if program.len() < rest.len() {
            shown.push_str(" …");
        }
    } else {
        shown.push('…');
    }
    shown.trim_end().to_owned()
}

/// Whether a shell takes the name in `NAME=value` as a variable.
fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The length of the first word as a shell splits words: spaces within quotes or after a backslash belong to the word.
fn word_length(text: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// A value as it appears in a message: quoted, escaped, and shortened to one line.
pub(in crate::config) fn describe(value: &Value) -> String {
    let mut text = match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, c) => format!("{c:?}"),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, num) => number_text(*num),
        Value::Array(_, items) => {
            let items: Vec<_> = items.iter().map(describe).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(..) => "a table".to_owned(),
        Value::Empty(..) => "nothing".to_owned(),
    };
    if text.chars().count() > 80 {
        text = text.chars().take(79).collect();
        text.push('…');
    }
    text
}
