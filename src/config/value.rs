//! Parses values into checked types.
//!
//! Each function takes a value as a file, a variable or an option gives it, and returns the type, or a sentence that says
//! what was expected.

use std::fmt::Write as _;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use figment::value::{Num, Value};
use jiff::civil::Time;
use jiff::tz::Offset;

use super::types::{Billing, FailureLimit, LogFormat, ProgressForm, Rate, Until, Workers};
use crate::scene::Scenes;
use crate::visible::without_password;

/// A value, or what was expected instead.
pub(super) type Checked<T> = Result<T, String>;

/// How the value of a setting appears in a message: without a password, and a command without its arguments.
pub(super) fn shown(key: &str, value: &Value) -> String {
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
pub(super) fn describe(value: &Value) -> String {
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

fn number_text(num: Num) -> String {
    match (num.to_i128(), num.to_u128(), num.to_f64()) {
        (Some(n), ..) => n.to_string(),
        (None, Some(n), _) => n.to_string(),
        (None, None, Some(n)) => n.to_string(),
        (None, None, None) => String::new(),
    }
}

/// A text or a number, as trimmed text.
pub(super) fn scalar(value: &Value, expected: &str) -> Checked<String> {
    match value {
        Value::String(_, text) => Ok(text.trim().to_owned()),
        Value::Char(_, c) => Ok(c.to_string()),
        Value::Num(_, num) => Ok(number_text(*num)),
        _ => Err(expected.to_owned()),
    }
}

/// A text that is not empty and has no control characters.
pub(super) fn text(value: &Value) -> Checked<String> {
    optional_text(value)?.ok_or_else(|| "expected text that is not empty".to_owned())
}

/// A text without control characters. The empty text means that no value is set.
pub(super) fn optional_text(value: &Value) -> Checked<Option<String>> {
    match value {
        Value::String(_, text) if text.chars().any(char::is_control) => {
            Err("control characters are not allowed".to_owned())
        }
        Value::String(_, text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        _ => Err("expected text, in quotes".to_owned()),
    }
}

/// A path. The empty text means that no path is set.
pub(super) fn path(value: &Value) -> Checked<Option<PathBuf>> {
    Ok(optional_text(value)?.map(PathBuf::from))
}

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

/// A whole number from 0 that fits an integer column of the database.
pub(super) fn count(value: &Value) -> Checked<u64> {
    let expected = "expected a whole number from 0";
    let number: u64 = scalar(value, expected)?.parse().map_err(|_| expected.to_owned())?;
    if i64::try_from(number).is_err() { Err("too large".to_owned()) } else { Ok(number) }
}

/// A whole number from 0. 0 means no limit.
pub(super) fn limit(value: &Value) -> Checked<Option<u64>> {
    Ok(Some(count(value)?).filter(|n| *n > 0))
}

/// A whole number from 1 to `most`.
pub(super) fn workers(value: &Value, most: usize) -> Checked<NonZeroUsize> {
    let expected = || format!("expected a whole number from 1 to {most}");
    let number: usize = scalar(value, &expected())?.parse().map_err(|_| expected())?;
    NonZeroUsize::new(number).filter(|n| n.get() <= most).ok_or_else(expected)
}

/// A whole number from 1, or "auto".
pub(super) fn workers_or_auto(value: &Value) -> Checked<Workers> {
    if matches!(value, Value::String(_, text) if text.trim() == "auto") {
        return Ok(Workers::Auto);
    }
    let number = workers(value, Workers::MOST).map_err(|expected| expected + ", or \"auto\"");
    number.map(Workers::Most)
}

/// A finite number from 0.
pub(super) fn amount(value: &Value) -> Checked<f64> {
    let expected = "expected a number from 0";
    let number: f64 = scalar(value, expected)?.parse().map_err(|_| expected.to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number.abs()) } else { Err(expected.to_owned()) }
}

/// A finite number from 0. 0 means that no amount is set.
pub(super) fn optional_amount(value: &Value) -> Checked<Option<f64>> {
    Ok(Some(amount(value)?).filter(|n| *n > 0.0))
}

/// Requests a second. 0 means no limit.
pub(super) fn rate(value: &Value, may_be_auto: bool) -> Checked<Rate> {
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
pub(super) fn size(value: &Value) -> Checked<u64> {
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

/// A size in bytes. 0 means no limit.
pub(super) fn optional_size(value: &Value) -> Checked<Option<u64>> {
    Ok(Some(size(value)?).filter(|n| *n > 0))
}

/// Reads a duration that an option of one command gives.
///
/// # Errors
/// What was expected.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    timeout(&Value::from(text))
}

/// Reads a number or a share of failures that an option of one command gives.
///
/// # Errors
/// What was expected.
pub fn read_failure_limit(text: &str) -> Result<FailureLimit, String> {
    failure_limit(&Value::from(text))
}

/// The units of durations in milliseconds, the largest first. A duration is written in this order.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest duration in milliseconds: 366 days, which every clock can add to its time.
const LONGEST: u64 = 366 * 86_400_000;

/// A duration: whole numbers with the units d, h, m, s and ms, larger units first.
///
/// This is not read by a crate: jiff and humantime also accept fractions, signs, spelled-out units or any order, and
/// stored runs repeat what was typed.
pub(super) fn duration(value: &Value) -> Checked<Duration> {
    let expected = "expected a duration with its unit, such as 90s, 15m, 8h or 1h30m";
    let Value::String(_, text) = value else { return Err(expected.to_owned()) };
    let mut rest = text.trim();
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(expected.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| expected.to_owned())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let name = &rest[..letters];
        rest = rest[letters..].trim_start();
        let (_, unit) =
            units.by_ref().find(|(unit, _)| *unit == name).ok_or_else(|| expected.to_owned())?;
        total = number
            .checked_mul(*unit)
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| "expected at most 366 days".to_owned())?;
    }
    Ok(Duration::from_millis(total))
}

/// A duration above zero.
pub(super) fn timeout(value: &Value) -> Checked<Duration> {
    match duration(value)? {
        Duration::ZERO => Err("expected a duration above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// A duration. The empty text, 0 and a duration of zero mean no limit.
pub(super) fn optional_duration(value: &Value) -> Checked<Option<Duration>> {
    match scalar(value, "expected a duration in quotes, such as \"8h\"")?.as_str() {
        "" | "0" => Ok(None),
        _ => Ok(Some(duration(value)?).filter(|duration| !duration.is_zero())),
    }
}

/// Writes a duration in the form that [`duration`] reads.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(LONGEST);
    let mut text = String::new();
    for (name, unit) in UNITS.iter().skip(1) {
        if rest >= *unit {
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number of images, or a share of the images that are settled. 0 means no limit.
pub(super) fn failure_limit(value: &Value) -> Checked<FailureLimit> {
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

/// What the price is paid for: `scene` or `call`.
pub(super) fn billing(value: &Value) -> Checked<Billing> {
    let expected = "expected \"scene\" (each scene of a call is billed) or \"call\"";
    let name = scalar(value, expected)?;
    [Billing::Scene, Billing::Call]
        .into_iter()
        .find(|billing| billing.name() == name)
        .ok_or_else(|| expected.to_owned())
}

/// A time of day, local or with an offset. The empty text means no limit.
pub(super) fn until(value: &Value) -> Checked<Option<Until>> {
    let expected =
        || "expected a time of day such as \"06:30\", or with its zone, \"06:30+08:00\"".to_owned();
    let Value::String(_, text) = value else { return Err(expected()) };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let split = text.find(['+', '-', 'Z']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(split);
    let minutes = |text: &str, hours: i32| -> Option<i32> {
        let (hour, minute) = text.split_once(':')?;
        let two = |part: &str| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<i32>().ok())
                .flatten()
        };
        let (hour, minute) = (two(hour)?, two(minute)?);
        (hour < hours && minute < 60).then_some(hour * 60 + minute)
    };
    let of_day = minutes(clock, 24).ok_or_else(expected)?;
    let offset = match zone.split_at_checked(1) {
        None => None,
        Some(("Z", "")) => Some(Offset::UTC),
        Some((sign @ ("+" | "-"), digits)) => {
            let sign = if sign == "-" { -60 } else { 60 };
            let minutes = minutes(digits, 15).ok_or_else(expected)?;
            Some(Offset::from_seconds(sign * minutes).map_err(|_| expected())?)
        }
        Some(_) => return Err(expected()),
    };
    let part = |n: i32| i8::try_from(n).map_err(|_| expected());
    let time = Time::new(part(of_day / 60)?, part(of_day % 60)?, 0, 0).map_err(|_| expected())?;
    Ok(Some(Until { time, offset }))
}

/// A list: an array of texts, or one text in which commas separate the items.
///
/// Commas within `{}` or `[]` belong to a glob and do not separate.
pub(super) fn list(value: &Value) -> Checked<Vec<String>> {
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
pub(super) fn codes(value: &Value) -> Checked<Vec<u8>> {
    let expected = || "expected exit codes from 0 to 255, such as 0, 3, 8, 10".to_owned();
    let texts = match value {
        Value::Array(_, items) => {
            items.iter().map(|item| scalar(item, &expected())).collect::<Checked<Vec<_>>>()?
        }
        value => split(&scalar(value, &expected())?)?,
    };
    texts.iter().map(|text| text.parse().map_err(|_| expected())).collect()
}

/// A list of suffixes. Returns them in lower case, without the dot, each once.
pub(super) fn suffixes(value: &Value) -> Checked<Vec<String>> {
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
pub(super) fn globs(value: &Value) -> Checked<Vec<String>> {
    let globs = list(value)?;
    for glob in &globs {
        globset::Glob::new(glob).map_err(|error| format!("not a glob: {}", error.kind()))?;
    }
    Ok(globs)
}

pub(super) fn scenes(value: &Value) -> Checked<Scenes> {
    let names = list(value)?;
    names.join(",").parse().map_err(|error: crate::scene::ParseError| error.to_string())
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

/// The directives of a log filter, such as `info` or `costag=debug,warn`.
pub(super) fn log_filter(value: &Value) -> Checked<String> {
    let filter = text(value)?;
    tracing_subscriber::EnvFilter::try_new(&filter).map(|_| filter).map_err(|_| {
        "expected a level such as warn, info, debug, or directives such as costag=debug,warn"
            .to_owned()
    })
}
