//! The faults of the emulator: what can go wrong, how likely it is, and for which requests.
//!
//! Faults are reproducible: a hash of the seed, the key and the number of the attempt at that key decides.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::hash;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 500 `InternalError`.
    InternalError,
    /// 502 with HTML.
    BadGateway,
    /// 503 `SlowDown`, which is not counted as the result of a limit.
    SlowDown,
    /// 429.
    TooMany,
    /// The connection is reset without an answer.
    Reset,
    /// The right answer, after which the connection is closed although no header says so.
    Close,
    /// No answer until the client closes the connection, for 120 s at most.
    Stall,
    /// Half of the answer, then the connection is closed.
    Truncated,
    /// 200 with a body that is not XML.
    Garbage,
    /// 200 without a body.
    Empty200,
    /// 200 with a body that does not end before 64 MiB.
    Endless,
    /// The right answer, one byte every 50 ms; a listing in twenty parts over five seconds.
    SlowDrip,
    /// The right labels in the legacy form.
    Legacy,
    /// 404 `NoSuchKey`.
    NotFound,
    /// 403 `InvalidObjectState`.
    InvalidState,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// 200 with an `Error` document.
    Error200,
    /// 403 `RequestTimeTooSkewed`, even if the time of the request is right.
    Skewed,
    /// A page whose `NextMarker` is the marker of the request.
    Stuck,
    /// A page with its keys in descending order.
    OutOfOrder,
    /// A page that names another prefix.
    WrongPrefix,
    /// A page that names another marker.
    WrongMarker,
    /// A last page that is truncated.
    NeverEnds,
    /// An answer to HEAD that has no `Content-Length`.
    NoLength,
    /// 403 with the page of a proxy, without a request id.
    ProxyPage,
    /// 302 to a login page, without a body and a request id.
    ProxyRedirect,
    /// 503 with `Retry-After`, without a body and a request id.
    ProxyEmpty,
    /// 200 with a login page, without a request id.
    ProxyLogin,
}

/// The kind of request that a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// `detect-label`.
    Detect,
    /// GET Bucket.
    List,
    /// HEAD Object and GET Object.
    Object,
}

/// The faults of `detect-label` by name.
const DETECT: [(&str, Fault); 22] = [
    ("internal_error", Fault::InternalError),
    ("bad_gateway", Fault::BadGateway),
    ("slow_down", Fault::SlowDown),
    ("too_many", Fault::TooMany),
    ("reset", Fault::Reset),
    ("stall", Fault::Stall),
    ("close", Fault::Close),
    ("truncated", Fault::Truncated),
    ("garbage", Fault::Garbage),
    ("empty_200", Fault::Empty200),
    ("endless", Fault::Endless),
    ("slow_drip", Fault::SlowDrip),
    ("legacy", Fault::Legacy),
    ("not_found", Fault::NotFound),
    ("invalid_state", Fault::InvalidState),
    ("access_denied", Fault::AccessDenied),
    ("error_200", Fault::Error200),
    ("skewed", Fault::Skewed),
    ("proxy_page", Fault::ProxyPage),
    ("proxy_redirect", Fault::ProxyRedirect),
    ("proxy_empty", Fault::ProxyEmpty),
    ("proxy_login", Fault::ProxyLogin),
];

/// The faults of listings by name.
const LIST: [(&str, Fault); 21] = [
    ("list_internal_error", Fault::InternalError),
    ("list_bad_gateway", Fault::BadGateway),
    ("list_slow_down", Fault::SlowDown),
    ("list_reset", Fault::Reset),
    ("list_stall", Fault::Stall),
    ("list_slow", Fault::SlowDrip),
    ("list_empty_200", Fault::Empty200),
    ("list_garbage", Fault::Garbage),
    ("list_truncated", Fault::Truncated),
    ("list_access_denied", Fault::AccessDenied),
    ("list_skewed", Fault::Skewed),
    ("list_stuck", Fault::Stuck),
    ("list_out_of_order", Fault::OutOfOrder),
    ("list_wrong_prefix", Fault::WrongPrefix),
    ("list_wrong_marker", Fault::WrongMarker),
    ("list_never_ends", Fault::NeverEnds),
    ("list_huge_page", Fault::Endless),
    ("list_proxy_page", Fault::ProxyPage),
    ("list_proxy_redirect", Fault::ProxyRedirect),
    ("list_proxy_empty", Fault::ProxyEmpty),
    ("list_proxy_login", Fault::ProxyLogin),
];

/// The faults of HEAD Object and GET Object by name. A refused HEAD has no body, as at the service.
const OBJECT: [(&str, Fault); 12] = [
    ("head_internal_error", Fault::InternalError),
    ("head_bad_gateway", Fault::BadGateway),
    ("head_slow_down", Fault::SlowDown),
    ("head_reset", Fault::Reset),
    ("head_stall", Fault::Stall),
    ("head_not_found", Fault::NotFound),
    ("head_access_denied", Fault::AccessDenied),
    ("head_empty_200", Fault::Empty200),
    ("head_no_length", Fault::NoLength),
    ("head_proxy_page", Fault::ProxyPage),
    ("head_proxy_redirect", Fault::ProxyRedirect),
    ("head_proxy_empty", Fault::ProxyEmpty),
];

/// Returns every name that [`Settings::set_fault`] accepts: the faults of `detect-label`, of listings, of single objects.
pub fn fault_names() -> impl Iterator<Item = &'static str> {
    DETECT.iter().chain(&LIST).chain(&OBJECT).map(|(name, _)| *name)
}

/// An error that every request of a kind is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailCode {
    /// The HTTP status, from 400 to 599.
    pub status: u16,
    /// The `Code` of the body.
    pub code: String,
    /// The `Message` of the body; empty for the code.
    #[serde(default)]
    pub message: String,
}

/// The settings that can be changed while the emulator runs: delays, limits, faults, clock and token.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Settings {
    /// The probability of each fault by name. One draw decides among all of them, so the probabilities add up. Faults
    /// beyond a sum of 1 never happen.
    pub faults: BTreeMap<String, f64>,
    /// Only this many first attempts at a key can have a fault (for listings, at a marker); 0 for all attempts.
    pub fault_attempts: u32,
    /// Only keys that contain this text can have a fault; empty for all keys.
    pub fault_keys: String,
    /// The delay of an answer to `detect-label`, in milliseconds.
    pub latency_ms: u64,
    /// The largest random addition to this delay, in milliseconds.
    pub jitter_ms: u64,
    /// The delay of a page, in milliseconds.
    pub list_latency_ms: u64,
    /// The largest random addition to this delay, in milliseconds.
    pub list_jitter_ms: u64,
    /// The most detect requests in any sliding second; others get `SlowDown`. `None` for no limit.
    pub qps_limit: Option<u32>,
    /// The most listings in any sliding second; others get `SlowDown`. `None` for no limit.
    pub list_qps_limit: Option<u32>,
    /// The error that every detect request is answered with; `None` for right answers.
    pub fail_code: Option<FailCode>,
    /// The error that HEAD Object and GET Object are answered with, for keys that contain `fault_keys`. An answer to HEAD
    /// has no body. `None` for right answers.
    pub head_fail_code: Option<FailCode>,
    /// The difference between the emulator's clock and this machine's, in seconds.
    pub clock_offset_seconds: i64,
    /// The difference between the header `Date` and the emulator's clock, in seconds, as behind a proxy that writes the
    /// header itself.
    pub date_offset_seconds: i64,
    /// The security token that requests must have; `None` if they need none.
    #[serde(skip)]
    pub token: Option<String>,
    /// A token that is answered with `ExpiredToken`; `None` for no such token.
    #[serde(skip)]
    pub expired_token: Option<String>,
}

/// The body of `POST /.costag/faults`. Values that are absent do not change. `null` removes a limit, a code or a token.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things in JSON")]
pub(super) struct Change {
    /// True to set everything to its default first.
    clear: bool,
    faults: BTreeMap<String, f64>,
    fault_attempts: Option<u32>,
    fault_keys: Option<String>,
    latency_ms: Option<u64>,
    jitter_ms: Option<u64>,
    list_latency_ms: Option<u64>,
    list_jitter_ms: Option<u64>,
    #[serde(deserialize_with = "given")]
    qps_limit: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    list_qps_limit: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    fail_code: Option<Option<FailCode>>,
    #[serde(deserialize_with = "given")]
    head_fail_code: Option<Option<FailCode>>,
    clock_offset_seconds: Option<i64>,
    date_offset_seconds: Option<i64>,
    #[serde(deserialize_with = "given")]
    token: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    expired_token: Option<Option<String>>,
}

/// Reads a value that may be `null`. The result is `Some(None)` for `null`; the default, for an absent value, is `None`.
#[expect(clippy::option_option, reason = "absent, null and a value are three things in JSON")]
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A setting has a value that it cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// There is no fault of this name.
    #[error("unknown fault {0:?}: there are {names}", names = fault_names().collect::<Vec<_>>().join(", "))]
    UnknownFault(String),
    /// A probability is not from 0 to 1.
    #[error("the probability of {0} must be a number from 0 to 1")]
    Probability(String),
    /// A status is not one of an error.
    #[error("the status of a failure must be from 400 to 599")]
    Status,
    /// A number is too large.
    #[error("{name} is {given}, but must be at most {most}")]
    TooLarge {
        /// The name of the setting in `POST /.costag/faults`.
        name: &'static str,
        /// The value.
        given: u64,
        /// The largest value.
        most: u64,
    },
}

/// The longest delay of an answer: a day, in milliseconds.
const LONGEST_DELAY_MS: u64 = 86_400_000;
/// The largest difference of the clock: a hundred years, in seconds.
const LARGEST_OFFSET: u64 = 100 * 366 * 86_400;

impl Settings {
    /// Sets the probability of a fault; 0 removes it.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no fault of this name, or if the probability is not from 0 to 1.
    pub fn set_fault(&mut self, name: &str, probability: f64) -> Result<(), SettingsError> {
        if !fault_names().any(|known| known == name) {
            return Err(SettingsError::UnknownFault(name.to_owned()));
        }
        if !(0.0..=1.0).contains(&probability) {
            return Err(SettingsError::Probability(name.to_owned()));
        }
        if probability > 0.0 {
            self.faults.insert(name.to_owned(), probability);
        } else {
            self.faults.remove(name);
        }
        Ok(())
    }

    /// Checks all values and prepares the tables from which faults are drawn.
    pub(super) fn prepared(mut self) -> Result<Prepared, SettingsError> {
        for (name, probability) in self.faults.clone() {
            self.set_fault(&name, probability)?;
        }
        let codes = self.fail_code.iter().chain(&self.head_fail_code);
        if codes.into_iter().any(|fail| !(400..600).contains(&fail.status)) {
            return Err(SettingsError::Status);
        }
        for (name, given, most) in [
            ("latency_ms", self.latency_ms, LONGEST_DELAY_MS),
            ("jitter_ms", self.jitter_ms, LONGEST_DELAY_MS),
            ("list_latency_ms", self.list_latency_ms, LONGEST_DELAY_MS),
            ("list_jitter_ms", self.list_jitter_ms, LONGEST_DELAY_MS),
            ("clock_offset_seconds", self.clock_offset_seconds.unsigned_abs(), LARGEST_OFFSET),
        ] {
            if given > most {
                return Err(SettingsError::TooLarge { name, given, most });
            }
        }
        let table = |known: &[(&str, Fault)]| -> Vec<(Fault, f64)> {
            let set = |(name, fault): &(&str, Fault)| Some((*fault, *self.faults.get(*name)?));
            known.iter().filter_map(set).collect()
        };
        let (detect, list, object) = (table(&DETECT), table(&LIST), table(&OBJECT));
        Ok(Prepared { settings: self, detect, list, object })
    }

    /// Returns these settings with a change.
    pub(super) fn changed(&self, change: Change) -> Result<Prepared, SettingsError> {
        let mut new = if change.clear { Self::default() } else { self.clone() };
        for (name, probability) in &change.faults {
            new.set_fault(name, *probability)?;
        }
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(value) = change.$field { new.$field = value; })* };
        }
        take!(fault_attempts, fault_keys, latency_ms, jitter_ms, list_latency_ms, list_jitter_ms);
        take!(
            qps_limit,
            list_qps_limit,
            fail_code,
            head_fail_code,
            clock_offset_seconds,
            token,
            expired_token
        );
        take!(date_offset_seconds);
        new.prepared()
    }
}

/// Checked settings, with a table of faults for each kind of request.
#[derive(Debug)]
pub(super) struct Prepared {
    settings: Settings,
    detect: Vec<(Fault, f64)>,
    list: Vec<(Fault, f64)>,
    object: Vec<(Fault, f64)>,
}

impl Deref for Prepared {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Prepared {
    fn table(&self, request: Request) -> &[(Fault, f64)] {
        match request {
            Request::Detect => &self.detect,
            Request::List => &self.list,
            Request::Object => &self.object,
        }
    }

    /// Returns `true` if requests of this kind can have a fault.
    pub(super) fn has_faults(&self, request: Request) -> bool {
        !self.table(request).is_empty()
    }

    /// Returns the error that HEAD and GET requests for this key are answered with; `None` if there is none.
    pub(super) fn object_failure(&self, key: &[u8]) -> Option<&FailCode> {
        self.head_fail_code.as_ref().filter(|_| holds(key, self.fault_keys.as_bytes()))
    }

    /// Returns the fault of this attempt at this key or marker; `None` for a right answer. Attempts count from 1.
    pub(super) fn draw(
        &self,
        seed: u64,
        key: &[u8],
        attempt: u32,
        request: Request,
    ) -> Option<Fault> {
        let excused = self.fault_attempts > 0 && attempt > self.fault_attempts;
        if excused || !holds(key, self.fault_keys.as_bytes()) {
            return None;
        }
        let purpose = match request {
            Request::Detect => 20,
            Request::List => 21,
            Request::Object => 22,
        };
        let hash = hash::of_bytes(hash::mix(seed, purpose), key);
        let mut left = hash::unit(hash::mix(hash, u64::from(attempt)));
        for (fault, probability) in self.table(request) {
            if left < *probability {
                return Some(*fault);
            }
            left -= probability;
        }
        None
    }

    /// Milliseconds to wait before this answer.
    pub(super) fn delay_ms(&self, hash: u64, listing: bool) -> u64 {
        let (base, jitter) = if listing {
            (self.list_latency_ms, self.list_jitter_ms)
        } else {
            (self.latency_ms, self.jitter_ms)
        };
        base + if jitter > 0 { hash % (jitter + 1) } else { 0 }
    }
}

fn holds(key: &[u8], part: &[u8]) -> bool {
    part.is_empty() || key.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(faults: &[(&str, f64)]) -> Prepared {
        let mut settings = Settings::default();
        for (name, probability) in faults {
            settings.set_fault(name, *probability).unwrap();
        }
        settings.prepared().unwrap()
    }

    #[test]
    fn draws_are_reproducible_and_as_frequent_as_their_probability() {
        let settings = with(&[("reset", 0.1), ("garbage", 0.2), ("list_stuck", 1.0)]);
        let draw =
            |key: u32, attempt| settings.draw(5, &key.to_le_bytes(), attempt, Request::Detect);
        let count = |fault| (0..20_000).filter(|key| draw(*key, 1) == Some(fault)).count();
        assert!((1800..2200).contains(&count(Fault::Reset)), "{}", count(Fault::Reset));
        assert!((3700..4300).contains(&count(Fault::Garbage)));
        assert_eq!(count(Fault::Stuck), 0);
        assert_eq!(settings.draw(5, b"m", 1, Request::List), Some(Fault::Stuck));
        assert!((0..50).any(|key| draw(key, 1) != draw(key, 2)), "another attempt is another draw");
    }

    #[test]
    fn faults_can_be_limited_to_first_attempts_and_to_some_keys() {
        let mut settings = with(&[("reset", 1.0)]);
        settings.settings.fault_attempts = 2;
        settings.settings.fault_keys = "bad".into();
        assert_eq!(settings.draw(1, b"a/bad.jpg", 2, Request::Detect), Some(Fault::Reset));
        assert_eq!(settings.draw(1, b"a/bad.jpg", 3, Request::Detect), None);
        assert_eq!(settings.draw(1, b"a/good.jpg", 1, Request::Detect), None);
    }

    #[test]
    fn a_change_replaces_what_it_names_and_wrong_values_are_refused() {
        let change = |text: &str| serde_json::from_str::<Change>(text).unwrap();
        let settings = with(&[("reset", 0.5)]);
        let new = settings
            .changed(change(r#"{"faults":{"stall":1},"qps_limit":9,"fail_code":{"status":402,"code":"PaymentRequired"}}"#))
            .unwrap();
        assert_eq!((new.faults["reset"], new.faults["stall"], new.qps_limit), (0.5, 1.0, Some(9)));
        let new = new.changed(change(r#"{"qps_limit":null,"faults":{"reset":0}}"#)).unwrap();
        assert_eq!((new.qps_limit, new.faults.len()), (None, 1));
        assert!(new.fail_code.is_some());
        assert_eq!(new.changed(change(r#"{"clear":true}"#)).unwrap().settings, Settings::default());
        assert!(settings.changed(change(r#"{"faults":{"nonsense":1}}"#)).is_err());
        assert!(settings.changed(change(r#"{"faults":{"reset":2}}"#)).is_err());
        assert!(settings.changed(change(r#"{"fail_code":{"status":200,"code":"x"}}"#)).is_err());
        assert!(serde_json::from_str::<Change>(r#"{"typo":1}"#).is_err());
        for name in ["latency_ms", "jitter_ms", "list_latency_ms", "clock_offset_seconds"] {
            let text = format!(r#"{{"{name}":{}}}"#, i64::MAX);
            let error = settings.changed(change(&text)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is 9223372036854775807")), "{error}");
        }
        assert!(settings.changed(change(r#"{"clock_offset_seconds":-7200}"#)).is_ok());
    }
}
