use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::cos::text::one_line;
use crate::time::UnixSeconds;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn read(status: u16, pairs: &[(&'static str, &str)], body: &str) -> ServiceError {
    parse(status, &headers(pairs), body.as_bytes())
}

#[test]
fn all_fields_of_an_xml_body_are_read() {
    let body = include_str!("../../../tests/data/samples/error-403-access-denied.xml");
    let error = read(403, &[], body);
    assert_eq!((error.code.as_str(), error.message.as_str()), ("AccessDenied", "Access Denied."));
    assert_eq!(error.request_id.as_deref(), Some("NjZmNmEwMDBfZXhhbXBsZTAwMDFfMDAwMQ=="));
    assert!(error.trace_id.as_deref().unwrap().starts_with("OGVm"));
    assert_eq!(error.server_time, Some(UnixSeconds(1_773_476_130)));
    assert_eq!(
        Error::from(error).to_string(),
        "HTTP 403 AccessDenied: Access Denied. (request id NjZmNmEwMDBfZXhhbXBsZTAwMDFfMDAwMQ==)"
    );
}

#[test]
fn headers_replace_and_complete_the_fields_of_the_body() {
    let pairs = [
        ("x-cos-request-id", "COS"),
        ("x-ci-request-id", "CI"),
        ("x-ci-trace-id", "T"),
        ("date", "Thu, 16 May 2019 06:45:51 GMT"),
        ("x-cos-error-code", "VectorCode"),
    ];
    let error = read(400, &pairs, "free text\nof it");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("VectorCode", "free text of it"));
    assert_eq!((error.request_id.as_deref(), error.trace_id.as_deref()), (Some("COS"), Some("T")));
    assert_eq!(error.date, Some(UnixSeconds(1_557_989_151)));
    let error = read(400, &pairs[..1], "<Error><Code>C</Code><RequestId>B</RequestId></Error>");
    assert_eq!((error.code.as_str(), error.request_id.as_deref()), ("C", Some("COS")));
}

#[test]
fn json_html_and_empty_bodies_are_read() {
    let error = read(400, &[], include_str!("../../../tests/data/samples/error-ci-json.json"));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("-10000", "example CI JSON error"));
    assert_eq!(error.request_id.as_deref(), Some("NjZmNmEwMDBfZXhhbXBsZTAwMDFfMDAwMg=="));
    let page = include_str!("../../../tests/data/samples/error-502-html-gateway.xml");
    let error = read(502, &[], page);
    assert_eq!(error.to_string(), "HTTP 502: an HTML page: 502 Bad Gateway");
    assert_eq!(read(504, &[], "").to_string(), "HTTP 504");
    assert_eq!(read(403, &[("x-errno", "-113")], "").code, "-113");
}

#[test]
fn a_cut_body_has_the_fields_before_the_cut() {
    let error = read(403, &[], "<Error><Code>AccessDenied</Code><Message>Req");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("AccessDenied", ""));
    let long = format!("<Error><Code>C</Code><Message>{}", "x".repeat(2 * BODY_MAX));
    assert_eq!(read(400, &[], &long).code, "C");
}

#[test]
fn no_error_shows_a_signature() {
    let body = include_str!("../../../tests/data/samples/error-403-signature.xml");
    let shown = format!("{:?}", read(403, &[], body));
    assert!(!shown.contains("detect-label") && !shown.contains("0000000000000000"), "{shown}");
    let body = "<Error><Message>bad: StringToSign sha1 q-signature=abc</Message></Error>";
    assert_eq!(read(403, &[], body).message, "bad:…");
    let location = ("location", "https://h/p?q-signature=abc");
    assert_eq!(read(302, &[location], "").location.as_deref(), Some("https://h/p"));
}

#[test]
fn retry_after_is_seconds_or_a_date_and_at_most_thirty_days() {
    let after = |value: &str| {
        let date = ("date", "Thu, 16 May 2019 06:45:51 GMT");
        read(503, &[date, ("retry-after", value)], "").retry_after.map(|wait| wait.as_secs())
    };
    assert_eq!(after("7"), Some(7));
    assert_eq!(after("Thu, 16 May 2019 06:46:01 GMT"), Some(10));
    assert_eq!(after("3600"), Some(3600));
    assert_eq!(after("99999999"), Some(30 * 24 * 3600));
    assert_eq!(after("99999999999999999999999"), Some(30 * 24 * 3600));
    assert_eq!(after(""), None);
    assert_eq!(after("Thu, 16 May 2019 06:45:00 GMT"), None);
    assert_eq!(after("-1"), None);
    assert_eq!(after("soon"), None);
}

#[test]
fn a_message_is_one_bounded_line() {
    let message = read(400, &[], &format!("a\u{1b}[31m\r\n\tb {}", "猫".repeat(4000))).message;
    assert!(message.starts_with("a[31m b 猫"), "{message}");
    assert!(
        message.ends_with("猫… (cut at 4 KiB)") && message.len() < 4096 + 20,
        "{}",
        message.len()
    );
    let long = "x".repeat(9000);
    let body = format!("<Error><Code>{long}</Code><RequestId>{long}</RequestId></Error>");
    let error = read(400, &[], &body);
    for text in [&error.code, error.request_id.as_ref().unwrap()] {
        assert_eq!(*text, format!("{}… (cut at 4 KiB)", &long[..4096]));
    }
    assert_eq!(read(400, &[("x-cos-request-id", &long)], "").request_id, error.request_id);
}

#[test]
fn a_stored_message_has_the_causes_in_one_line() {
    let cause = || "name not found".into();
    let error = Error::Connect { host: "h".to_owned(), cause: cause() };
    assert_eq!(error.to_string(), "cannot connect to h");
    assert_eq!(error.message(), "cannot connect to h: name not found");
}

#[test]
fn a_complaint_about_the_time_has_a_code_or_a_message_for_it() {
    let complains = |code: &str, message: &str| {
        let error = ServiceError {
            code: code.to_owned(),
            message: message.to_owned(),
            date: Some(UnixSeconds(7)),
            ..ServiceError::default()
        };
        let complaint = Error::from(error).complaint_about_time();
        assert!(complaint.is_none_or(|complaint| complaint.date == Some(UnixSeconds(7))));
        complaint.is_some()
    };
    assert!(complains("RequestTimeTooSkewed", "") && complains("RequestHasExpired", ""));
    assert!(complains("AccessDenied", "Request has expired"));
    assert!(!complains("AccessDenied", "Access Denied.") && !complains("", "Request has expired"));
}

proptest! {
    #![proptest_config(crate::property::config())]

    #[test]
    fn reading_never_panics(status: u16, body: Vec<u8>, text: String) {
        let _ = parse(status, &HeaderMap::new(), &body);
        let _ = read(status, &[], &format!("<Error><Code>{text}"));
        let _ = read(status, &[], &format!("<html><title>{text}"));
        let _ = one_line(&format!("{text}q-sign{text}"));
    }
}
