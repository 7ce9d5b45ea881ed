//! Tests of faults, limits, and clocks that are set wrong.

use super::*;

#[test]
fn each_fault_of_detect_label_has_its_answer() {
    let emulator = synthetic(Synthetic::default());
    let key = emulator.some_key().unwrap();
    let right = detect(&emulator, &key).unwrap();
    let with = |fault: &str| {
        let body = format!(r#"{{"clear":true,"faults":{{"{fault}":1}}}}"#);
        assert_eq!(control(&emulator, "faults", &body).status, 200);
        detect(&emulator, &key)
    };
    for (fault, status, part) in [
        ("internal_error", 500, "<Code>InternalError</Code>"),
        ("bad_gateway", 502, "<html>"),
        ("slow_down", 503, "<Code>SlowDown</Code>"),
        ("too_many", 429, "<Code>"),
        ("garbage", 200, "<<<"),
        ("not_found", 404, "<Code>NoSuchKey</Code>"),
        ("invalid_state", 403, "<Code>InvalidObjectState</Code>"),
        ("access_denied", 403, "<ServerTime>"),
        ("error_200", 200, "<Error>"),
        ("legacy", 200, "<RecognitionResult>\n\t<Labels>"),
    ] {
        let got = with(fault).unwrap();
        assert_eq!(got.status, status, "{fault}");
        assert!(got.text().contains(part), "{fault}: {}", got.text());
    }
    assert!(with("empty_200").unwrap().body.is_empty());
    let cut = with("truncated").unwrap();
    assert_eq!(cut.header("content-length"), Some(&*right.body.len().to_string()));
    assert_eq!(cut.body.len(), right.body.len() / 2);
    assert!(with("reset").is_err(), "no answer at all");
    let fail = r#"{"clear":true,"fail_code":{"status":402,"code":"PaymentRequired"}}"#;
    control(&emulator, "faults", fail);
    let got = detect(&emulator, &key).unwrap();
    assert_eq!((got.status, got.text().contains("<Code>PaymentRequired</Code>")), (402, true));
    control(&emulator, "faults", r#"{"clear":true}"#);
    assert_eq!(detect(&emulator, &key).unwrap().body, right.body);
    assert_eq!(emulator.statistics().calls_by_status["dropped"], 1);
    assert_eq!(control(&emulator, "faults", r#"{"faults":{"typo":1}}"#).status, 400);
}

#[test]
fn an_endless_answer_ends_at_64_mebibytes_and_a_stalled_one_when_the_client_leaves() {
    let emulator = synthetic(Synthetic::default());
    let key = emulator.some_key().unwrap();
    control(&emulator, "faults", r#"{"faults":{"endless":1}}"#);
    let got = detect(&emulator, &key).unwrap();
    assert!(got.body.len() > 60 << 20, "{}", got.body.len());
    assert_eq!(got.header("content-length"), None);
    control(&emulator, "faults", r#"{"clear":true,"faults":{"stall":1}}"#);
    let target = signed(&emulator, "GET", &key, "ci-process=detect-label");
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", emulator.address());
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 10]).is_err(), "nothing comes");
    assert_eq!(emulator.statistics().calls, 2);
}

#[test]
fn each_fault_of_listings_has_its_answer() {
    let emulator = synthetic(Synthetic { objects: 30, ..Synthetic::default() });
    let first = get(&emulator, "", "max-keys=10").unwrap().text();
    let marker = keys_of(&first)[9].clone();
    let query = format!("max-keys=10&marker={marker}");
    let with = |fault: &str| {
        let body = format!(r#"{{"clear":true,"faults":{{"{fault}":1}}}}"#);
        assert_eq!(control(&emulator, "faults", &body).status, 200);
        get(&emulator, "", &query).unwrap()
    };
    assert!(with("list_stuck").text().contains(&format!("<NextMarker>{marker}</NextMarker>")));
    assert!(with("list_wrong_prefix").text().contains("<Prefix>wrong/</Prefix>"));
    assert!(with("list_wrong_marker").text().contains(&format!("<Marker>{marker}wrong<")));
    assert!(keys_of(&with("list_out_of_order").text()).is_sorted_by(|a, b| a > b));
    assert!(with("list_empty_200").body.is_empty());
    assert_eq!(with("list_internal_error").status, 500);
    assert_eq!(with("list_garbage").status, 200);
    let cut = with("list_truncated");
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!(cut.body.len(), announced / 2);
    assert!(with("list_huge_page").body.len() > 60 << 20);
    let reset = r#"{"clear":true,"faults":{"list_reset":1}}"#;
    assert_eq!(control(&emulator, "faults", reset).status, 200);
    assert!(get(&emulator, "", &query).is_err());
    let query = "max-keys=1000";
    control(&emulator, "faults", r#"{"clear":true,"faults":{"list_never_ends":1}}"#);
    assert!(get(&emulator, "", query).unwrap().text().contains("<IsTruncated>true<"));
    control(&emulator, "faults", r#"{"clear":true}"#);
    assert!(get(&emulator, "", query).unwrap().text().contains("<IsTruncated>false<"));
    assert!(emulator.statistics().list_calls > 8);
}

#[test]
fn requests_beyond_the_limit_are_throttled_and_counted() {
    let settings = Settings { qps_limit: Some(3), ..Settings::default() };
    let emulator = Emulator::start(Options { settings, ..Options::default() }).unwrap();
    let key = emulator.some_key().unwrap();
    let statuses: Vec<u16> = (0..5).map(|_| detect(&emulator, &key).unwrap().status).collect();
    // The five requests are within one second, unless this machine stood still in the meantime.
    if emulator.statistics().peak_per_second == 5 {
        assert_eq!(statuses, [200, 200, 200, 503, 503]);
        assert_eq!(emulator.statistics().throttled, 2);
    }
    assert_eq!(statuses[..3], [200; 3]);
}

#[test]
fn the_clock_can_be_set_wrong_and_tokens_can_expire() {
    let emulator = synthetic(Synthetic::default());
    let key = emulator.some_key().unwrap();
    control(&emulator, "faults", r#"{"clock_offset_seconds":-7200}"#);
    let got = detect(&emulator, &key).unwrap();
    assert!(got.text().contains("<Message>Request has expired</Message>"), "{}", got.text());
    let shown = clock::http_date(clock::now(-7200));
    assert_eq!(got.header("date").unwrap()[..19], shown[..19]);
    control(&emulator, "faults", r#"{"clear":true,"token":"t2","expired_token":"t1"}"#);
    let with = |token: &str| {
        let query = format!("ci-process=detect-label&x-cos-security-token={token}");
        get(&emulator, &key, &query).unwrap()
    };
    assert_eq!(with("t2").status, 200);
    assert!(with("t1").text().contains("<Code>ExpiredToken</Code>"));
    assert!(with("t3").text().contains("<Code>InvalidAccessKeyId</Code>"));
}
