//! Checks the signature of requests strictly ("Request Signature"): all parameters and all headers that must be signed
//! are signed, the lists of names are sorted, and the signed `Host` is the one that was sent.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha1::{Digest, Sha1};

use super::percent::{self, Parameter};

type Key = Hmac<Sha1>;

/// The largest difference between the start of a signature and the emulator's clock, in seconds.
const SKEW_SECONDS: i64 = 900;
/// How many sign keys are kept. A client may use a new key time every second.
const KEPT_KEYS: usize = 64;

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no signature, or it cannot be read.
    Unsigned,
    /// The secret id is another one, or the security token is missing or another one.
    UnknownKey,
    /// The security token has expired.
    ExpiredToken,
    /// The time now is outside of `q-sign-time`.
    Expired,
    /// The start of the signature is more than 15 minutes from now.
    Skewed,
    /// The signature is wrong, or does not cover what it must.
    Mismatch { string_to_sign: String, http_string: String },
}

/// The parts of a request that are signed, with names and values decoded.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The decoded path: `/` and the key.
    pub(super) path: &'a [u8],
    pub(super) parameters: &'a [Parameter],
    pub(super) headers: &'a HeaderMap,
}

/// The security token that requests must have, and the time now.
pub(super) struct Conditions<'a> {
    /// The token that requests must have; `None` if they need none.
    pub(super) token: Option<&'a str>,
    /// A token that counts as expired; `None` for no such token.
    pub(super) expired_token: Option<&'a str>,
    /// The time now in Unix seconds.
    pub(super) now: i64,
}

/// The seven fields of a signature.
#[derive(Default)]
struct Fields {
    algorithm: String,
    id: String,
    sign_time: String,
    key_time: String,
    headers: String,
    parameters: String,
    signature: String,
}

impl Fields {
    fn set(&mut self, name: &str, value: String) {
        match name {
            "q-sign-algorithm" => self.algorithm = value,
            "q-ak" => self.id = value,
            "q-sign-time" => self.sign_time = value,
            "q-key-time" => self.key_time = value,
            "q-header-list" => self.headers = value,
            "q-url-param-list" => self.parameters = value,
            "q-signature" => self.signature = value,
            _ => {}
        }
    }

    fn parse(authorization: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in authorization.trim().split('&').filter_map(|pair| pair.split_once('='))
        {
            fields.set(name, value.to_owned());
        }
        fields
    }
}

/// Checks signatures made with one secret id and key.
pub(super) struct Verifier {
    secret_id: String,
    secret_key: String,
    keys: RwLock<VecDeque<(String, Arc<Key>)>>,
}

impl Verifier {
    pub(super) fn new(secret_id: String, secret_key: String) -> Self {
        Self { secret_id, secret_key, keys: RwLock::default() }
    }

    /// Checks a request. The signature may be in the header `Authorization`, in parameters `q-…`, or in one parameter
    /// `sign`.
    pub(super) fn check(&self, request: &Request<'_>, at: &Conditions<'_>) -> Result<(), Refusal> {
        let presigned = request.parameters.iter().any(|(name, _)| is_signature_field(name));
        let fields = match request.headers.get("authorization") {
            Some(value) => Fields::parse(value.to_str().map_err(|_| Refusal::Unsigned)?),
            None if presigned => presigned_fields(request.parameters),
            None => return Err(Refusal::Unsigned),
        };
        if fields.algorithm != "sha1" || fields.signature.is_empty() {
            return Err(Refusal::Unsigned);
        }
        if fields.id != self.secret_id {
            return Err(Refusal::UnknownKey);
        }
        check_token(request, at)?;
        check_time(&fields, at.now, presigned)?;
        self.check_signature(request, &fields)
    }

    fn check_signature(&self, request: &Request<'_>, fields: &Fields) -> Result<(), Refusal> {
        let (names, pairs) = canonical_parameters(request.parameters);
        let key = self.sign_key(&fields.key_time);
        let sign = |host_has_port: bool| {
            let (complete, headers) =
                canonical_headers(request.headers, &fields.headers, host_has_port);
            let http_string = http_string(request.method, request.path, &pairs, &headers);
            let string_to_sign = string_to_sign(&fields.sign_time, &http_string);
            let signature = hex_mac(&key, string_to_sign.as_bytes());
            let fits = complete && names == fields.parameters && signature == fields.signature;
            (fits, string_to_sign, http_string)
        };
        let (fits, string_to_sign, http_string) = sign(true);
        // The official Python SDK signs the host without its port.
        if fits || sign(false).0 {
            return Ok(());
        }
        let http_string = String::from_utf8_lossy(&http_string).into_owned();
        Err(Refusal::Mismatch { string_to_sign, http_string })
    }

    fn sign_key(&self, key_time: &str) -> Arc<Key> {
        if let Ok(keys) = self.keys.read()
            && let Some((_, key)) = keys.iter().rev().find(|(time, _)| time == key_time)
        {
            return Arc::clone(key);
        }
        let key = Arc::new(mac(sign_key_text(&self.secret_key, key_time).as_bytes()));
        if let Ok(mut keys) = self.keys.write() {
            if keys.len() >= KEPT_KEYS {
                keys.pop_front();
            }
            keys.push_back((key_time.to_owned(), Arc::clone(&key)));
        }
        key
    }

    /// Returns the query of a presigned request for the decoded `path` at `host`, valid from `start` to `end` in Unix
    /// seconds.
    pub(super) fn presign(
        &self,
        method: &str,
        host: &str,
        path: &[u8],
        parameters: &[Parameter],
        (start, end): (i64, i64),
    ) -> String {
        let (names, pairs) = canonical_parameters(parameters);
        let mut host_value = String::from("host=");
        percent::encode_into(&mut host_value, host.as_bytes());
        let key_time = format!("{start};{end}");
        let to_sign = string_to_sign(&key_time, &http_string(method, path, &pairs, &host_value));
        let signature = hex_mac(&self.sign_key(&key_time), to_sign.as_bytes());
        let mut query = String::from("q-sign-algorithm=sha1&q-ak=");
        percent::encode_into(&mut query, self.secret_id.as_bytes());
        for (name, value) in
            [("q-sign-time", &key_time), ("q-key-time", &key_time), ("q-url-param-list", &names)]
        {
            let _ = write!(query, "&{name}=");
            percent::encode_into(&mut query, value.as_bytes());
        }
        let _ = write!(query, "&q-header-list=host&q-signature={signature}");
        if !pairs.is_empty() {
            query.push('&');
            query.push_str(&pairs);
        }
        query
    }
}

fn is_signature_field(name: &[u8]) -> bool {
    name == b"sign"
        || matches!(
            name,
            b"q-sign-algorithm"
                | b"q-ak"
                | b"q-sign-time"
                | b"q-key-time"
                | b"q-header-list"
                | b"q-url-param-list"
                | b"q-signature"
        )
}

fn presigned_fields(parameters: &[Parameter]) -> Fields {
    if let Some(merged) = percent::find(parameters, "sign") {
        return Fields::parse(&String::from_utf8_lossy(merged));
    }
    let mut fields = Fields::default();
    for (name, value) in parameters {
        fields.set(&String::from_utf8_lossy(name), String::from_utf8_lossy(value).into_owned());
    }
    fields
}

fn check_token(request: &Request<'_>, at: &Conditions<'_>) -> Result<(), Refusal> {
    let sent = match request.headers.get("x-cos-security-token") {
        Some(value) => Some(value.as_bytes()),
        None => percent::find(request.parameters, "x-cos-security-token"),
    };
    if sent.is_some() && sent == at.expired_token.map(str::as_bytes) {
        return Err(Refusal::ExpiredToken);
    }
    match at.token {
        Some(wanted) if sent != Some(wanted.as_bytes()) => Err(Refusal::UnknownKey),
        _ => Ok(()),
    }
}

/// Checks the times of a signature. A presigned URL may have started long ago, so only signatures in the header must
/// have started within 15 minutes.
fn check_time(fields: &Fields, now: i64, presigned: bool) -> Result<(), Refusal> {
    let window = |text: &str| -> Option<(i64, i64)> {
        let (start, end) = text.split_once(';')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    };
    let (start, end) = window(&fields.sign_time).ok_or(Refusal::Unsigned)?;
    let (key_start, key_end) = window(&fields.key_time).ok_or(Refusal::Unsigned)?;
    if now > end || now > key_end {
        return Err(Refusal::Expired);
    }
    if !presigned && start.abs_diff(now) > SKEW_SECONDS.unsigned_abs() {
        return Err(Refusal::Skewed);
    }
    if now < start || now < key_start { Err(Refusal::Expired) } else { Ok(()) }
}

/// Returns `UrlParamList` and `HttpParameters` of all parameters except the fields of the signature.
fn canonical_parameters(parameters: &[Parameter]) -> (String, String) {
    let mut pairs: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| !is_signature_field(name))
        .map(|(name, value)| canonical_pair(name, value))
        .collect();
    pairs.sort_unstable();
    join(&pairs)
}

fn canonical_pair(name: &[u8], value: &[u8]) -> (String, String) {
    let (mut key, mut text) =
        (String::with_capacity(name.len()), String::with_capacity(value.len()));
    percent::encode_into(&mut key, name);
    key.make_ascii_lowercase();
    percent::encode_into(&mut text, value);
    (key, text)
}

fn join(pairs: &[(String, String)]) -> (String, String) {
    let (mut names, mut joined) = (String::new(), String::new());
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            names.push(';');
            joined.push('&');
        }
        names.push_str(name);
        joined.push_str(name);
        joined.push('=');
        joined.push_str(value);
    }
    (names, joined)
}

/// Returns `HttpHeaders` of the listed headers, and whether the list is right: it is sorted, all of its headers are
/// present, and it has all headers that must be signed.
///
/// If `host_has_port` is set, the value of `host` is the header as it was sent. Otherwise it is the part before the
/// port.
fn canonical_headers(headers: &HeaderMap, list: &str, host_has_port: bool) -> (bool, String) {
    let mut pairs = Vec::new();
    let mut complete = true;
    for name in list.split(';').filter(|name| !name.is_empty()) {
        match headers.get(name) {
            Some(value) if name == "host" && !host_has_port => {
                pairs.push(canonical_pair(name.as_bytes(), without_port(value.as_bytes())));
            }
            Some(value) => pairs.push(canonical_pair(name.as_bytes(), value.as_bytes())),
            None => complete = false,
        }
    }
    complete &= pairs.is_sorted();
    let (names, joined) = join(&pairs);
    let signed = |wanted: &str| list.split(';').any(|name| name == wanted);
    complete &= names == list && signed("host");
    complete &= headers.keys().all(|name| {
        let name = name.as_str();
        !(name.starts_with("x-cos-") || name.starts_with("x-ci-")) || signed(name)
    });
    (complete, joined)
}

/// Returns a host without its port: `[::1]` for `[::1]:9000`.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if !host.ends_with(b"]") => &host[..at],
        _ => host,
    }
}

fn http_string(method: &str, path: &[u8], parameters: &str, headers: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(path.len() + parameters.len() + headers.len() + 10);
    text.extend(method.bytes().map(|byte| byte.to_ascii_lowercase()));
    for part in [path, parameters.as_bytes(), headers.as_bytes()] {
        text.push(b'\n');
        text.extend_from_slice(part);
    }
    text.push(b'\n');
    text
}

fn string_to_sign(sign_time: &str, http_string: &[u8]) -> String {
    let digest: [u8; 20] = Sha1::digest(http_string).into();
    let mut text = String::with_capacity(80);
    for part in ["sha1\n", sign_time, "\n", &hex::encode(digest), "\n"] {
        text.push_str(part);
    }
    text
}

fn mac(key: &[u8]) -> Key {
    Key::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hex_mac(key: &Key, message: &[u8]) -> String {
    let mut mac = key.clone();
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

fn sign_key_text(secret_key: &str, key_time: &str) -> String {
    hex_mac(&mac(secret_key.as_bytes()), key_time.as_bytes())
}

#[cfg(test)]
mod tests;
