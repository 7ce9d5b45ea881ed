//! Checked values as the configuration file would write them: the reverse of [`value`](super::value).

use std::path::Path;

use figment::value::Value;

use super::types::{FailureLimit, Rate, Workers};

/// A text. `None` is written as the empty text.
pub(super) fn text(text: Option<&str>) -> Value {
    Value::from(text.unwrap_or_default())
}

/// A path. `None` is written as the empty text.
pub(super) fn path(path: Option<&Path>) -> Value {
    Value::from(path.map(Path::to_string_lossy).unwrap_or_default().as_ref())
}

/// A limit. `None` is written as 0.
pub(super) fn limit(limit: Option<u64>) -> Value {
    Value::from(limit.unwrap_or(0))
}

/// A number, without a fraction if it is whole: `10`, not `10.0`.
pub(super) fn number(number: f64) -> Value {
    let text = number.to_string();
    text.parse::<u64>().map_or_else(|_| Value::from(number), Value::from)
}

pub(super) fn rate(rate: Rate) -> Value {
    match rate {
        Rate::Unlimited => 0_u64.into(),
        Rate::PerSecond(n) => number(n),
        Rate::Auto => "auto".into(),
    }
}

pub(super) fn workers(workers: Workers) -> Value {
    match workers {
        Workers::Auto => "auto".into(),
        Workers::Most(number) => number.get().into(),
    }
}

pub(super) fn failures(limit: FailureLimit) -> Value {
    match limit {
        FailureLimit::Unlimited => 0_u64.into(),
        FailureLimit::Count(count) => count.get().into(),
        FailureLimit::Percent(share) => format!("{share}%").into(),
    }
}
