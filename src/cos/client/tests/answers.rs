//! What is made of an answer, or of none.

use super::*;
use crate::time::UnixMillis;

#[tokio::test]
async fn head_returns_the_same_fields_as_a_listing() {
    let found = Play::Answer(
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\netag: \"abc-2\"\r\n\
          last-modified: Thu, 16 May 2019 06:45:51 GMT\r\nx-cos-storage-class: ARCHIVE\r\n\
          x-cos-restore: ongoing-request=\"false\", expiry-date=\"x\"\r\n\r\n"
            .to_vec(),
    );
    let gone = Play::Answer(b"HTTP/1.1 404 Not Found\r\nx-cos-request-id: R2\r\n\r\n".to_vec());
    let (address, mut heads) = server(vec![found, gone]).await;
    let client = client(address);
    let entry = client.head("a/b").await.unwrap();
    assert_eq!(
        entry,
        ObjectEntry {
            key: "a/b".to_owned(),
            etag: ETag::new("abc-2"),
            size: Some(99),
            last_modified: Some(UnixMillis(1_557_989_151_000)),
            storage_class: Some(StorageClass::Archive),
            storage_tier: None,
            restored: Some(Restore::Done),
        }
    );
    assert!(heads.recv().await.unwrap().starts_with("HEAD /a%2Fb HTTP/1.1\r\n"));
    let error = client.head("a/b").await.unwrap_err();
    assert_eq!((error.status(), error.code(), error.request_id()), (Some(404), None, Some("R2")));
}

#[tokio::test]
async fn a_redirect_is_an_error_with_its_target() {
    let head = "307 Temporary Redirect\r\nlocation: http://u:secret@127.0.0.1:1/x?q-signature=s";
    let by_service = format!("{head}\r\nx-cos-request-id: R");
    let plays = vec![answer(&by_service, ""), answer(head, ""), answer("200 OK", NOTHING)];
    let (address, mut heads) = server(plays).await;
    let client = client(address);
    let error = label(&client, "a").await.unwrap_err();
    let service = error.service().unwrap();
    assert_eq!((service.status, service.location.as_deref()), (307, Some("http://127.0.0.1:1/x")));
    let error = label(&client, "a").await.unwrap_err();
    assert!(matches!(&error, Error::Foreign { status: 307, location, .. }
        if location.as_deref() == Some("http://127.0.0.1:1/x")));
    for _ in 0..2 {
        heads.recv().await.unwrap();
    }
    assert!(heads.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_without_request_id_code_or_known_root_is_foreign() {
    let page = "<!doctype html><html><head><title>Blocked</title></head></html>";
    for status in
        ["200 OK", "302 Found", "400 Bad", "403 Forbidden", "404 Not Found", "407 Proxy", "501 No"]
    {
        for (body, told) in [(page, "an HTML page: Blocked"), ("", "an empty body")] {
            let head =
                format!("{status}\r\nRetry-After: 3600\r\nDate: Thu, 16 May 2019 06:45:51 GMT");
            let plays = vec![answer(&head, body); 3];
            let (address, _heads) = server(plays).await;
            let client = client(address);
            let errors = [
                label(&client, "a").await.unwrap_err(),
                client.list(&ListRequest::default()).await.unwrap_err(),
                client.head("a").await.unwrap_err(),
            ];
            for (error, told) in errors.iter().zip([told, told, ""]) {
                assert!(matches!(error, Error::Foreign { .. }), "{status}: {error:?}");
                assert!(error.message().contains(told), "{error}");
                assert_eq!(error.retry_after(), None);
            }
            assert!(errors[0].message().contains("the proxy") == status.starts_with("407"));
            assert_eq!(client.clock().measured(), None, "its time is not the service's");
        }
    }
    for (head, body) in [
        ("403 Forbidden\r\nx-cos-request-id: R", page),
        ("404 Not Found\r\nx-ci-request-id: R", ""),
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>"),
        ("400 Bad", r#"{"code":-1,"message":"no"}"#),
        ("403 Forbidden\r\nx-cos-error-code: Denied", ""),
    ] {
        let (address, _heads) = server(vec![answer(head, body)]).await;
        let error = label(&client(address), "a").await.unwrap_err();
        assert!(error.service().is_some(), "{head}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let head = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
        Play::Endless(head.into_bytes())
    };
    let plays = vec![head("200 OK"), head("200 OK"), head("403 Forbidden")];
    let (address, _heads) = server(plays).await;
    let client = client(address);
    assert!(matches!(label(&client, "a").await, Err(Error::Unusable { status: 200, .. })));
    let page = client.list(&ListRequest::default()).await;
    assert!(matches!(page, Err(Error::Unusable { status: 200, .. })));
    assert_eq!(label(&client, "a").await.unwrap_err().status(), Some(403));
}

#[tokio::test]
async fn a_stalled_body_is_timed_out() {
    let stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<Rec".to_vec();
    let (address, _heads) = server(vec![Play::Stall(stalled), Play::Stall(Vec::new())]).await;
    let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
    let client = client_with(&format!("http://{address}"), None, &options);
    for _ in 0..2 {
        let answer = tokio::time::timeout(Duration::from_secs(10), label(&client, "a")).await;
        let error = answer.expect("the client has a limit of its own").unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }) && error.was_sent(), "{error:?}");
    }
}

#[tokio::test]
async fn a_cut_answer_was_sent_and_a_refused_connection_was_not() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<Rec".to_vec();
    let (address, _heads) = server(vec![Play::Answer(cut), Play::Answer(Vec::new())]).await;
    let cut = client(address);
    for _ in 0..2 {
        let error = label(&cut, "a").await.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }) && error.was_sent(), "{error:?}");
        let shown = format!("{error:?} {}", error.message());
        assert!(!shown.contains("ci-process") && !shown.contains("q-sign"), "{shown}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let error = label(&client(address), "a").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && !error.was_sent(), "{error:?}");
}

#[tokio::test]
async fn an_unusable_success_keeps_its_request_id() {
    let head = "200 OK\r\nx-cos-request-id: R3";
    let (address, _heads) = server(vec![answer(head, ""), answer(head, "<Error/>")]).await;
    let client = client(address);
    let error = label(&client, "a").await.unwrap_err();
    assert!(matches!(error, Error::Unusable { .. }));
    assert_eq!(error.request_id(), Some("R3"));
    let error = label(&client, "a").await.unwrap_err();
    assert_eq!((error.status(), error.request_id()), (Some(200), Some("R3")));
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_once_for_all_requests_of_before() {
    let body = include_str!("../../../../tests/data/samples/error-403-expired.xml");
    let head = "403 Forbidden\r\ndate: Thu, 16 May 2019 06:45:51 GMT";
    let plays = vec![answer(head, body), answer(head, body), answer("200 OK", NOTHING)];
    let (address, mut heads) = server(plays).await;
    let client = client(address);
    let first = label(&client, "a").await.unwrap_err();
    let second = label(&client, "a").await.unwrap_err();
    assert!(matches!(client.correct_clock(&first), Correction::Corrected(_)));
    // This request was signed with the old clock too, so it is worth another attempt with the corrected one.
    assert_eq!(client.correct_clock(&second), Correction::Outdated);
    label(&client, "a").await.unwrap();
    let mut last = String::new();
    for _ in 0..3 {
        last = heads.recv().await.unwrap();
    }
    assert!(header(&last, "authorization").unwrap().contains("q-sign-time=15579"), "{last}");
}

#[tokio::test]
async fn expired_credentials_without_a_source_cannot_be_refreshed() {
    let body = include_str!("../../../../tests/data/samples/error-400-expired-token.xml");
    let (address, _heads) = server(vec![answer("400 Bad Request", body)]).await;
    let client = client_with(&format!("http://{address}"), Some("t"), &Options::default());
    let error = label(&client, "a").await.unwrap_err();
    assert!(error.service().unwrap().temporary);
    let shown = format!("{error:?}");
    assert!(!shown.contains("AKIDEXAMPLE") && !shown.contains("a-key"), "{shown}");
    let refused = client.refresh_credentials(&error).await;
    assert!(matches!(refused, Err(Error::Credentials(credentials::Error::Rejected { .. }))));
}

#[tokio::test]
async fn an_idle_connection_that_the_service_has_closed_is_not_used() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (close, asked) = std::sync::mpsc::channel();
    let (closed, is_closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let Play::Answer(bytes) = answer("200 OK", NOTHING) else { unreachable!() };
            stream.write_all(&bytes).unwrap();
            asked.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let client = client(address);
    for key in ["a", "b", "c"] {
        label(&client, key).await.unwrap();
        // The runtime does nothing while this thread waits, so it has not learnt of the end of the connection.
        close.send(()).unwrap();
        is_closed.recv().unwrap();
    }
}
