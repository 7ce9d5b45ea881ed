//! Numbers: counts, amounts, rates, sizes and shares.

use std::num::{NonZeroU64, NonZeroUsize};

use figment::value::Value;

use super::texts::{Checked, scalar};
use crate::config::types::{FailureLimit, Rate, Workers};

/// A whole number from 0 that fits an integer column of the database.
pub(in crate::config) fn count(value: &Value) -> Checked<u64> {
    let expected = "expected a whole number from 0";
    let number: u64 = scalar(value, expected)?.parse().map_err(|_| expected.to_owned())?;
    if i64::try_from(number).is_err() { Err("too large".to_owned()) } else { Ok(number) }
}

/// A whole number from 0. 0 means no limit.
pub(in crate::config) fn limit(value: &Value) -> Checked<Option<u64>> {
    Ok(Some(count(value)?).filter(|n| *n > 0))
}

/// A whole number from 1 to `most`.
pub(in crate::config) fn workers(value: &Value, most: usize) -> Checked<NonZeroUsize> {
    let expected = || format!("expected a whole number from 1 to {most}");
    let number: usize = scalar(value, &expected())?.parse().map_err(|_| expected())?;
    NonZeroUsize::new(number).filter(|n| n.get() <= most).ok_or_else(expected)
}

/// A whole number from 1, or "auto".
pub(in crate::config) fn workers_or_auto(value: &Value) -> Checked<Workers> {
    if matches!(value, Value::String(_, text) if text.trim() == "auto") {
        return Ok(Workers::Auto);
    }
    let number = workers(value, Workers::MOST).map_err(|expected| expected + ", or \"auto\"");
    number.map(Workers::Most)
}

/// A finite number from 0.
pub(in crate::config) fn amount(value: &Value) -> Checked<f64> {
    let expected = "expected a number from 0";
    let number: f64 = scalar(value, expected)?.parse().map_err(|_| expected.to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number.abs()) } else { Err(expected.to_owned()) }
}

/// A finite number from 0. 0 means that no amount is set.
pub(in crate::config) fn optional_amount(value: &Value) -> Checked<Option<f64>> {
    Ok(Some(amount(value)?).filter(|n| *n > 0.0))
}

/// Requests a second. 0 means no limit.
pub(in crate::config) fn rate(value: &Value, may_be_auto: bool) -> Checked<Rate> {
    if may_be_auto && matches!(value, Value::String(_, text) if text.trim() == "auto") {
        return Ok(Rate::Auto);
    }
    // A pace below one request in 1,000 seconds is a mistake, and it would overflow the rate limiter.
    match amount(value) {
        Ok(0.0) => Ok(Rate::Unlimited),
        Ok(n) if (0.001..=1e6).contains(&n) => Ok(Rate::PerSecond(n)),
        _ => {
            let auto = if may_be_auto { ", or \"auto\"" } else { "" };
            Err(format!("expected requests a second, from 0.001 to 1000000, 0 for no limit{auto}"))
        }
    }
}

/// The units of sizes, the largest first; powers of 1024.
const SIZES: [(char, u64); 4] = [('T', 1 << 40), ('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// A size in bytes: a whole number, perhaps with k, M, G or T (powers of 1024; B or iB may follow).
pub(in crate::config) fn size(value: &Value) -> Checked<u64> {
    let expected = "expected bytes as a whole number, or with a unit such as 500k, 20M, 1G";
    let text = scalar(value, expected)?;
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    let (digits, unit) = SIZES
        .iter()
        .find_map(|(letter, unit)| bare.strip_suffix(*letter).map(|digits| (digits, *unit)))
        .unwrap_or((bare, 1));
    let number: u64 = digits.trim().parse().map_err(|_| expected.to_owned())?;
    number
        .checked_mul(unit)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| "too large".to_owned())
}

/// Reads a size in bytes that an option of one command gives.
///
/// # Errors
/// What was expected.
pub fn read_size(text: &str) -> Result<u64, String> {
    size(&Value::from(text))
}

/// A size in bytes. 0 means no limit.
pub(in crate::config) fn optional_size(value: &Value) -> Checked<Option<u64>> {
    Ok(Some(size(value)?).filter(|n| *n > 0))
}

/// Reads a number or a share of failures that an option of one command gives.
///
/// # Errors
/// What was expected.
pub fn read_failure_limit(text: &str) -> Result<FailureLimit, String> {
    failure_limit(&Value::from(text))
}

/// A number of images, or a share of the images that are settled. 0 means no limit.
pub(in crate::config) fn failure_limit(value: &Value) -> Checked<FailureLimit> {
    let expected = "expected a number of images, a share such as \"50%\", or 0 for no limit";
    let text = scalar(value, expected)?;
    match text.strip_suffix('%') {
        Some(share) => match share.trim().parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 100.0 => Ok(FailureLimit::Percent(share)),
            _ => Err("expected a share above 0% and up to 100%".to_owned()),
        },
        None => match text.parse().map(NonZeroU64::new) {
            Ok(Some(count)) => Ok(FailureLimit::Count(count)),
            Ok(None) => Ok(FailureLimit::Unlimited),
            Err(_) => Err(expected.to_owned()),
        },
    }
}
