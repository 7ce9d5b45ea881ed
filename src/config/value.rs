//! Parses values into checked types.
//!
//! Each function takes a value as a file, a variable or an option gives it, and returns the type, or a sentence that says
//! what was expected.

mod lists;
mod numbers;
mod shown;
mod texts;
mod times;

use figment::value::Value;

use super::types::{Billing, Language, LogFormat, Notify, ProgressForm};
pub(super) use lists::{codes, globs, scenes, suffixes};
pub(super) use numbers::{
    failure_limit, limit, optional_amount, optional_size, rate, size, workers, workers_or_auto,
};
pub use numbers::{read_failure_limit, read_size};
pub use shown::command_shown;
#[cfg(test)]
pub(super) use shown::describe;
pub(super) use shown::shown;
pub(super) use texts::{Checked, optional_text, path, scalar, text};
pub use times::read_duration;
pub(super) use times::{duration_text, optional_duration, timeout, until};

/// `true` or `false`, also as text. `yes`, `on` and 1 stand for `true`, and `no`, `off` and 0 for `false`.
pub(super) fn flag(value: &Value) -> Checked<bool> {
    let expected = "expected true or false";
    match value {
        Value::Bool(_, flag) => Ok(*flag),
        Value::String(_, text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(expected.to_owned()),
        },
        _ => Err(expected.to_owned()),
    }
}

/// What the price is paid for: `scene` or `call`.
pub(super) fn billing(value: &Value) -> Checked<Billing> {
    let expected = "expected \"scene\" (each scene of a call is billed) or \"call\"";
    let name = scalar(value, expected)?;
    [Billing::Scene, Billing::Call]
        .into_iter()
        .find(|billing| billing.name() == name)
        .ok_or_else(|| expected.to_owned())
}

/// The name of a region, such as ap-guangzhou. The empty text means that no region is set.
pub(super) fn region(value: &Value) -> Checked<Option<String>> {
    let region = optional_text(value)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match &region {
        Some(name) if !name.chars().all(fits) => {
            Err("expected the name of a region, such as ap-guangzhou".to_owned())
        }
        _ => Ok(region),
    }
}

/// An http or https address without user, query and fragment. The empty text means that no address is set.
pub(super) fn address(value: &Value) -> Checked<Option<String>> {
    let Some(text) = optional_text(value)? else { return Ok(None) };
    let expected = "expected an address such as https://cos.example.com or http://127.0.0.1:9000";
    let url = url::Url::parse(&text).map_err(|_| expected.to_owned())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not contain a user or a password".to_owned());
    }
    if plain && matches!(url.scheme(), "http" | "https") {
        Ok(Some(text))
    } else {
        Err(expected.to_owned())
    }
}

pub(super) fn log_format(value: &Value) -> Checked<LogFormat> {
    match text(value)?.as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json".to_owned()),
    }
}

pub(super) fn progress_form(value: &Value) -> Checked<ProgressForm> {
    let given = text(value)?;
    let form = ProgressForm::ALL.into_iter().find(|form| form.name() == given);
    form.ok_or_else(|| "expected auto, bar, plain, json or none".to_owned())
}

pub(super) fn notify(value: &Value) -> Checked<Notify> {
    let given = text(value)?;
    let when = Notify::ALL.into_iter().find(|when| when.name() == given);
    when.ok_or_else(|| "expected trouble, change, always or never".to_owned())
}

pub(super) fn language(value: &Value) -> Checked<Language> {
    let given = text(value)?;
    let language = [Language::English, Language::Chinese];
    let language = language.into_iter().find(|language| language.name() == given);
    language.ok_or_else(|| "expected en or zh".to_owned())
}

/// The directives of a log filter, such as `info` or `costag=debug,warn`.
pub(super) fn log_filter(value: &Value) -> Checked<String> {
    let filter = text(value)?;
    tracing_subscriber::EnvFilter::try_new(&filter).map(|_| filter).map_err(|_| {
        "expected a level such as warn, info, debug, or directives such as costag=debug,warn"
            .to_owned()
    })
}
