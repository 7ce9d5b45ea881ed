//! Lists of texts, suffixes, globs, scenes and exit codes.

use figment::value::Value;

use super::texts::{Checked, scalar, text};
use crate::scene::Scenes;

/// A list: an array of texts, or one text in which commas separate the items.
///
/// Commas within `{}` or `[]` belong to a glob and do not separate.
pub(in crate::config) fn list(value: &Value) -> Checked<Vec<String>> {
    match value {
        Value::Array(_, items) => items.iter().map(text).collect(),
        Value::String(_, text) if text.chars().any(char::is_control) => {
            Err("control characters are not allowed".to_owned())
        }
        Value::String(_, text) => split(text),
        _ => Err("expected a list of texts".to_owned()),
    }
}

fn split(text: &str) -> Checked<Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut depth = 0_usize;
    let mut items = vec![String::new()];
    for c in text.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match items.last_mut() {
            Some(item) if c != ',' || depth > 0 => item.push(c),
            _ => items.push(String::new()),
        }
    }
    let items: Vec<String> = items.iter().map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err("there is nothing between two commas".to_owned());
    }
    Ok(items)
}

/// A list of exit codes.
pub(in crate::config) fn codes(value: &Value) -> Checked<Vec<u8>> {
    let expected = || "expected exit codes from 0 to 255, such as 0, 3, 8, 10".to_owned();
    let texts = match value {
        Value::Array(_, items) => {
            items.iter().map(|item| scalar(item, &expected())).collect::<Checked<Vec<_>>>()?
        }
        value => split(&scalar(value, &expected())?)?,
    };
    texts.iter().map(|text| text.parse::<u8>().map_err(|_| expected())).collect()
}

/// A list of suffixes. Returns them in lower case, without the dot, each once.
pub(in crate::config) fn suffixes(value: &Value) -> Checked<Vec<String>> {
    let mut suffixes: Vec<String> = Vec::new();
    for suffix in list(value)? {
        let suffix = suffix.trim_start_matches(['*', '.']).to_lowercase();
        if suffix.is_empty() || suffix.contains(['/', '*', '?', ' ']) {
            return Err("expected suffixes such as jpg or png".to_owned());
        }
        if !suffixes.contains(&suffix) {
            suffixes.push(suffix);
        }
    }
    Ok(suffixes)
}

/// A list of globs that can be compiled.
pub(in crate::config) fn globs(value: &Value) -> Checked<Vec<String>> {
    let globs = list(value)?;
    for glob in &globs {
        globset::Glob::new(glob).map_err(|error| format!("not a glob: {}", error.kind()))?;
    }
    Ok(globs)
}

pub(in crate::config) fn scenes(value: &Value) -> Checked<Scenes> {
    let names = list(value)?;
    names.join(",").parse().map_err(|error: crate::scene::ParseError| error.to_string())
}
