//! Signs requests: an HMAC-SHA1 over method, path, parameters and headers ("Request Signature").
//!
//! A signature depends only on the request, the key and the time. Paths and values are passed unencoded and are encoded
//! here. The caller chooses the headers to sign; [`signs_by_default`] returns what the SDKs sign.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};

use super::encode::encode_into;
use crate::time::UnixSeconds;

/// How long before now a signature starts to be valid, in seconds, since clocks differ.
const START_BEFORE: i64 = 60;
/// How long a signature is valid, in seconds.
const LIFE: i64 = 3600;
/// How long a `KeyTime`, and the `SignKey` that is made for it, is reused, in seconds.
const STEP: i64 = 60;

/// The parts of a request that are signed: every parameter, and the headers that the caller chooses.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, such as `GET`, in upper or lower case.
    pub method: &'a str,
    /// The unencoded path: `/` and the key.
    pub path: &'a str,
    /// Names and values of the parameters, unencoded, in any order. A parameter without a value has an empty one.
    pub params: &'a [(&'a str, &'a str)],
    /// Names of headers in upper or lower case, and their values as they are sent.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The key of one `KeyTime`, made from the secret key. It takes two hashes to make, so it is reused.
#[derive(Clone)]
pub struct SignKey {
    key_time: String,
    hex: String,
    mac: Hmac<Sha1>,
}

/// Prints only the time. Whoever has the key can sign requests until that time ends.
impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignKey").field("key_time", &self.key_time).finish_non_exhaustive()
    }
}

impl SignKey {
    /// Makes the key: HMAC-SHA1(secret key, `KeyTime`) in lower-case hex. `key_time` is `start;end` in Unix seconds.
    pub fn new(secret_key: &SecretString, key_time: String) -> Self {
        let hex = hex::encode(
            hmac(secret_key.expose_secret().as_bytes())
                .chain_update(key_time.as_bytes())
                .finalize()
                .into_bytes(),
        );
        // The key of the next step is the hex text, not the bytes that it stands for.
        let mac = hmac(hex.as_bytes());
        Self { key_time, hex, mac }
    }

    /// Returns the `KeyTime`, `start;end` in Unix seconds.
    pub fn key_time(&self) -> &str {
        &self.key_time
    }

    /// Returns the key in lower-case hex, for test vectors. It is a secret until `key_time` ends.
    pub fn expose_hex(&self) -> &str {
        &self.hex
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// A signature and the texts that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Method, path, parameters and headers in canonical form.
    pub http_string: String,
    /// The text that the signature is computed over.
    pub string_to_sign: String,
    /// The signature, 40 hexadecimal digits.
    pub signature: String,
    /// The value of the header `Authorization`.
    pub authorization: String,
}

/// Returns the start of the `KeyTime` for a request at `now`: 60 to 119 seconds before `now`.
pub fn key_start(UnixSeconds(now): UnixSeconds) -> UnixSeconds {
    UnixSeconds(now - now.rem_euclid(STEP) - START_BEFORE)
}

/// Returns the `KeyTime` that starts at `start` and ends an hour later.
pub fn key_time(UnixSeconds(start): UnixSeconds) -> String {
    format!("{start};{}", start + LIFE)
}

/// Returns `true` if the SDKs sign the header with this name. They leave out headers that libraries and proxies change.
pub fn signs_by_default(name: &str) -> bool {
    const SIGNED: [&str; 17] = [
        "host",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-type",
        "content-md5",
        "content-length",
        "expect",
        "expires",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "origin",
        "range",
        "transfer-encoding",
        "pic-operations",
    ];
    let has = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    has("x-cos-") || has("x-ci-") || SIGNED.iter().any(|signed| name.eq_ignore_ascii_case(signed))
}

/// Signs `request` (steps 3 to 8 of "Request Signature").
///
/// ```
/// use costag::cos::signer::{Request, SignKey, sign};
///
/// let key = SignKey::new(&"sixteen-chars-ok".into(), "1700000000;1700003600".to_owned());
/// let request = Request {
///     method: "GET",
///     path: "/a b.jpg", // decoded, as the key is
///     params: &[("ci-process", "detect-label"), ("scenes", "web,camera")],
///     headers: &[("Host", "photos-1250000000.cos.ap-guangzhou.myqcloud.com")],
/// };
/// let signed = sign("AKIDEXAMPLE", &key, &request);
/// assert!(signed.http_string.contains("ci-process=detect-label&scenes=web%2Ccamera"));
/// assert!(signed.authorization.contains("&q-header-list=host&q-url-param-list=ci-process;scenes&"));
/// ```
pub fn sign(secret_id: &str, key: &SignKey, request: &Request<'_>) -> Signed {
    let params = Canonical::new(request.params);
    let headers = Canonical::new(request.headers);

    let mut http_string = String::with_capacity(
        request.method.len() + request.path.len() + params.len() + headers.len() + 4,
    );
    http_string.push_str(request.method);
    http_string.make_ascii_lowercase();
    http_string.push('\n');
    http_string.push_str(request.path);
    http_string.push('\n');
    params.pairs_into(&mut http_string);
    http_string.push('\n');
    headers.pairs_into(&mut http_string);
    http_string.push('\n');

    let time = key.key_time.as_str();
    let mut digest = [0; 40];
    let digest = hex_into(&Sha1::digest(http_string.as_bytes()).into(), &mut digest);
    let string_to_sign = ["sha1\n", time, "\n", digest, "\n"].concat();
    let mut mac = key.mac.clone();
    mac.update(string_to_sign.as_bytes());
    let mut signature = [0; 40];
    let signature = hex_into(&mac.finalize().into_bytes().into(), &mut signature).to_owned();

    let mut authorization = [
        "q-sign-algorithm=sha1&q-ak=",
        secret_id,
        "&q-sign-time=",
        time,
        "&q-key-time=",
        time,
        "&q-header-list=",
    ]
    .concat();
    headers.names_into(&mut authorization);
    authorization.push_str("&q-url-param-list=");
    params.names_into(&mut authorization);
    authorization.push_str("&q-signature=");
    authorization.push_str(&signature);
    Signed { http_string, string_to_sign, signature, authorization }
}

fn hex_into<'a>(bytes: &[u8; 20], out: &'a mut [u8; 40]) -> &'a str {
    hex::encode_to_slice(bytes, out).expect("40 digits hold 20 bytes");
    std::str::from_utf8(out).expect("hex digits are ASCII")
}

/// Names and values in the form in which they are signed: encoded, names in lower case, sorted by the encoded name.
struct Canonical {
    /// All names and values without separators.
    text: String,
    /// For each pair, where the name begins, where the value begins, and where the value ends in `text`.
    spans: Vec<(usize, usize, usize)>,
}

impl Canonical {
    fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::with_capacity(48 * pairs.len());
        let mut spans = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let start = text.len();
            encode_into(&mut text, name);
            // This is done after the encoding, because the escapes of a name are in lower case too.
            text[start..].make_ascii_lowercase();
            let middle = text.len();
            encode_into(&mut text, value);
            spans.push((start, middle, text.len()));
        }
        // Pairs with the same name are ordered by value, so that the order of the caller makes no difference.
        spans.sort_unstable_by(|a, b| {
            let key = |s: &(usize, usize, usize)| (&text[s.0..s.1], &text[s.1..s.2]);
            key(a).cmp(&key(b))
        });
        Self { text, spans }
    }

    fn len(&self) -> usize {
        self.text.len() + 2 * self.spans.len()
    }

    fn pairs_into(&self, out: &mut String) {
        for (index, &(start, middle, end)) in self.spans.iter().enumerate() {
            if index > 0 {
                out.push('&');
            }
            out.push_str(&self.text[start..middle]);
            out.push('=');
            out.push_str(&self.text[middle..end]);
        }
    }

    fn names_into(&self, out: &mut String) {
        for (index, &(start, middle, _)) in self.spans.iter().enumerate() {
            if index > 0 {
                out.push(';');
            }
            out.push_str(&self.text[start..middle]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        secret_id: String,
        secret_key: String,
        method: String,
        path: String,
        params: BTreeMap<String, String>,
        headers: BTreeMap<String, String>,
        key_time: String,
        sign_key: String,
        signed_headers: Vec<String>,
        http_string: String,
        string_to_sign: String,
        signature: String,
        authorization: String,
    }

    #[test]
    fn every_test_vector_gives_the_same_signature() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/data/vectors/signature.json")).unwrap();
        assert_eq!(vectors.len(), 30);
        for vector in &vectors {
            // The two official examples sign every header, `Date` included.
            let official = vector.name.starts_with("official-");
            let headers: Vec<_> = vector
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .filter(|(name, _)| official || signs_by_default(name))
                .collect();
            assert_eq!(headers.len(), vector.signed_headers.len(), "{}", vector.name);
            let params: Vec<_> =
                vector.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).rev().collect();
            let key = SignKey::new(&vector.secret_key.as_str().into(), vector.key_time.clone());
            assert_eq!(key.expose_hex(), vector.sign_key, "{}", vector.name);
            let request = Request {
                method: &vector.method,
                path: &vector.path,
                params: &params,
                headers: &headers,
            };
            let signed = sign(&vector.secret_id, &key, &request);
            assert_eq!(signed.http_string, vector.http_string, "{}", vector.name);
            assert_eq!(signed.string_to_sign, vector.string_to_sign, "{}", vector.name);
            assert_eq!(signed.signature, vector.signature, "{}", vector.name);
            assert_eq!(signed.authorization, vector.authorization, "{}", vector.name);
        }
    }

    #[test]
    fn escapes_are_in_lower_case_in_names_and_in_upper_case_in_values() {
        let key = SignKey::new(&"k".into(), "1;2".to_owned());
        let params = [("a[b]", "[c]")];
        let request = Request { method: "GET", path: "/", params: &params, headers: &[] };
        assert_eq!(sign("id", &key, &request).http_string, "get\n/\na%5bb%5d=%5Bc%5D\n\n");
    }

    #[test]
    fn a_key_time_starts_a_minute_ago_and_is_reused_for_a_minute() {
        for now in [0, 59, 60, 1_700_000_000, 1_700_000_039] {
            let before = now - key_start(UnixSeconds(now)).0;
            assert!((60..120).contains(&before), "{now}: {before}");
        }
        assert_eq!(key_start(UnixSeconds(1_700_000_040)), key_start(UnixSeconds(1_700_000_099)));
        assert_eq!(key_time(UnixSeconds(100)), "100;3700");
    }

    #[test]
    fn the_debug_form_of_a_sign_key_has_no_key() {
        let key = SignKey::new(&"secret".into(), "1;2".to_owned());
        assert!(!format!("{key:?}").contains(key.expose_hex()));
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn the_order_of_parameters_makes_no_difference(
            mut params in proptest::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 0..6),
            seed: usize,
        ) {
            fn signed(params: &[(String, String)]) -> Signed {
                let params: Vec<_> = params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let key = SignKey::new(&"k".into(), "1;2".to_owned());
                let request = Request { method: "GET", path: "/", params: &params, headers: &[] };
                sign("id", &key, &request)
            }
            let before = signed(&params);
            if !params.is_empty() {
                let middle = seed % params.len();
                params.rotate_left(middle);
                params.reverse();
            }
            prop_assert_eq!(signed(&params), before);
        }
    }
}
