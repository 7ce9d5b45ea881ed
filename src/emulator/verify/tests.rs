use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    http_string: String,
    string_to_sign: String,
    authorization: String,
    wire_path: String,
    wire_query: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../tests/data/vectors/signature.json")).unwrap()
}

fn header_map(vector: &Vector) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers.insert("authorization", HeaderValue::from_str(&vector.authorization).unwrap());
    headers
}

fn check(vector: &Vector, headers: &HeaderMap, query: &str, now: i64) -> Result<(), Refusal> {
    let path = percent::decode(vector.wire_path.as_bytes(), false);
    let parameters = percent::parse_query(query);
    let verifier = Verifier::new(vector.secret_id.clone(), vector.secret_key.clone());
    verifier.check(
        &Request { method: &vector.method, path: &path, parameters: &parameters, headers },
        &Conditions { token: None, expired_token: None, now },
    )
}

fn start(vector: &Vector) -> i64 {
    vector.key_time.split(';').next().unwrap().parse().unwrap()
}

#[test]
fn every_test_vector_has_the_same_intermediate_texts() {
    let vectors = vectors();
    assert!(vectors.len() > 20);
    for vector in vectors {
        let path = percent::decode(vector.wire_path.as_bytes(), false);
        assert_eq!(path, vector.path.as_bytes(), "{}", vector.name);
        let parameters = percent::parse_query(&vector.wire_query);
        assert_eq!(parameters.len(), vector.params.len());
        let (_, pairs) = canonical_parameters(&parameters);
        let fields = Fields::parse(&vector.authorization);
        let (_, headers) = canonical_headers(&header_map(&vector), &fields.headers, true);
        let text = http_string(&vector.method, &path, &pairs, &headers);
        assert_eq!(String::from_utf8(text.clone()).unwrap(), vector.http_string, "{}", vector.name);
        assert_eq!(string_to_sign(&vector.key_time, &text), vector.string_to_sign);
        assert_eq!(sign_key_text(&vector.secret_key, &vector.key_time), vector.sign_key);
    }
}

#[test]
fn test_vectors_are_accepted_unless_the_host_is_not_signed() {
    for vector in vectors() {
        let verdict = check(&vector, &header_map(&vector), &vector.wire_query, start(&vector) + 1);
        if vector.headers.contains_key("Host") {
            assert_eq!(verdict, Ok(()), "{}", vector.name);
        } else {
            assert!(matches!(verdict, Err(Refusal::Mismatch { .. })), "{}", vector.name);
        }
    }
}

#[test]
fn parameters_and_headers_that_are_not_signed_are_refused() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector.name == "label-scenes").unwrap();
    let now = start(vector) + 1;
    let extra = format!("{}&prefix=x", vector.wire_query);
    let mismatch = |verdict| matches!(verdict, Err(Refusal::Mismatch { .. }));
    assert!(mismatch(check(vector, &header_map(vector), &extra, now)));
    assert!(mismatch(check(vector, &header_map(vector), "ci-process=detect-label", now)));
    let mut headers = header_map(vector);
    headers.insert("x-cos-extra", HeaderValue::from_static("1"));
    assert!(mismatch(check(vector, &headers, &vector.wire_query, now)));
    let mut headers = header_map(vector);
    headers.insert("host", HeaderValue::from_static("elsewhere:80"));
    assert!(mismatch(check(vector, &headers, &vector.wire_query, now)));
}

#[test]
fn expired_and_skewed_times_are_refused_with_their_own_errors() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector.name == "label-basic").unwrap();
    let headers = header_map(vector);
    let at = |now| check(vector, &headers, &vector.wire_query, now);
    let (from, to) = vector.key_time.split_once(';').unwrap();
    let (from, to): (i64, i64) = (from.parse().unwrap(), to.parse().unwrap());
    assert_eq!(at(to + 1), Err(Refusal::Expired));
    assert_eq!(at(from - 1), Err(Refusal::Expired));
    assert_eq!(at(from - 901), Err(Refusal::Skewed));
    assert_eq!(at(from + 901), Err(Refusal::Skewed));
    assert_eq!(at(from + 900), Ok(()));
}

#[test]
fn a_presigned_query_is_accepted_and_a_changed_one_refused() {
    let verifier = Verifier::new("id".into(), "key".into());
    let parameters = percent::parse_query("ci-process=detect-label&scenes=web%2Ccamera");
    let query = verifier.presign("GET", "127.0.0.1:9", b"/a b.jpg", &parameters, (100, 4000));
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:9"));
    let check = |path: &[u8], query: &str| {
        let parameters = percent::parse_query(query);
        let request = Request { method: "GET", path, parameters: &parameters, headers: &headers };
        verifier.check(&request, &Conditions { token: None, expired_token: None, now: 3000 })
    };
    assert_eq!(check(b"/a b.jpg", &query), Ok(()));
    assert!(matches!(check(b"/b.jpg", &query), Err(Refusal::Mismatch { .. })));
    assert!(matches!(check(b"/a b.jpg", &format!("{query}&x=1")), Err(Refusal::Mismatch { .. })));
}

#[test]
fn a_missing_or_expired_token_is_refused() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector.name == "label-security-token").unwrap();
    let headers = header_map(vector);
    let path = vector.path.as_bytes();
    let parameters = percent::parse_query(&vector.wire_query);
    let verifier = Verifier::new(vector.secret_id.clone(), vector.secret_key.clone());
    let check = |token: Option<&str>, expired_token: Option<&str>| {
        let request = Request { method: "GET", path, parameters: &parameters, headers: &headers };
        verifier.check(&request, &Conditions { token, expired_token, now: start(vector) })
    };
    let sent = vector.headers["x-cos-security-token"].as_str();
    assert_eq!(check(Some(sent), None), Ok(()));
    assert_eq!(check(Some("other"), None), Err(Refusal::UnknownKey));
    assert_eq!(check(Some("other"), Some(sent)), Err(Refusal::ExpiredToken));
}

/// A presigned request for `signed_host`, sent with another `Host` header.
fn presigned_for(signed_host: &str, sent_host: &'static str) -> Result<(), Refusal> {
    let verifier = Verifier::new("id".to_owned(), "key".to_owned());
    let query = verifier.presign("GET", signed_host, b"/a", &[], (1_000, 2_000));
    let parameters = percent::parse_query(&query);
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static(sent_host));
    verifier.check(
        &Request { method: "GET", path: b"/a", parameters: &parameters, headers: &headers },
        &Conditions { token: None, expired_token: None, now: 1_500 },
    )
}

#[test]
fn the_host_may_be_signed_with_or_without_its_port() {
    for (signed, sent) in [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("127.0.0.1", "127.0.0.1:9000"),
        ("a-1.localhost", "a-1.localhost:80"),
        ("[::1]", "[::1]:9000"),
        ("[::1]", "[::1]"),
    ] {
        assert_eq!(presigned_for(signed, sent), Ok(()), "{signed} {sent}");
    }
}

#[test]
fn another_host_or_port_than_the_signed_one_is_refused() {
    for (signed, sent) in [
        ("127.0.0.1:9001", "127.0.0.1:9000"),
        ("127.0.0.1:9000", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.1:9000"),
        ("", "127.0.0.1:9000"),
        ("[:", "[::1]"),
    ] {
        let answer = presigned_for(signed, sent);
        assert!(matches!(answer, Err(Refusal::Mismatch { .. })), "{signed} {sent}");
    }
}
