//! Texts and paths, and what the other kinds of values share.

use std::path::PathBuf;

use figment::value::{Num, Value};

/// A value, or what was expected instead.
pub(in crate::config) type Checked<T> = Result<T, String>;

/// A number as text.
pub(super) fn number_text(num: Num) -> String {
    match (num.to_i128(), num.to_u128(), num.to_f64()) {
        (Some(n), ..) => n.to_string(),
        (None, Some(n), _) => n.to_string(),
        (None, None, Some(n)) => n.to_string(),
        (None, None, None) => String::new(),
    }
}

/// A text or a number, as trimmed text.
pub(in crate::config) fn scalar(value: &Value, expected: &str) -> Checked<String> {
    match value {
        Value::String(_, text) => Ok(text.trim().to_owned()),
        Value::Char(_, c) => Ok(c.to_string()),
        Value::Num(_, num) => Ok(number_text(*num)),
        _ => Err(expected.to_owned()),
    }
}

/// A text that is not empty and has no control characters.
pub(in crate::config) fn text(value: &Value) -> Checked<String> {
    optional_text(value)?.ok_or_else(|| "expected text that is not empty".to_owned())
}

/// A text without control characters. The empty text means that no value is set.
pub(in crate::config) fn optional_text(value: &Value) -> Checked<Option<String>> {
    match value {
        Value::String(_, text) if text.chars().any(char::is_control) => {
            Err("control characters are not allowed".to_owned())
        }
        Value::String(_, text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        _ => Err("expected text, in quotes".to_owned()),
    }
}

/// A path. The empty text means that no path is set.
pub(in crate::config) fn path(value: &Value) -> Checked<Option<PathBuf>> {
    Ok(optional_text(value)?.map(PathBuf::from))
}
