use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::signed_http::TOKEN_HEADER;
use super::*;
use crate::cos::credentials::{self, Credentials};
use crate::cos::signer::{self, SignKey};
use crate::cos::{Restore, encode};
use crate::object::ETag;

/// What the server does after it has read a request's head.
#[derive(Clone)]
enum Play {
    /// Writes these bytes and closes.
    Answer(Vec<u8>),
    /// Writes these bytes, then nothing more.
    Stall(Vec<u8>),
    /// Writes these bytes, then zeros until the client goes.
    Endless(Vec<u8>),
}

fn answer(head: &str, body: &str) -> Play {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    Play::Answer([head.as_bytes(), body.as_bytes()].concat())
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, play: Play) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    match play {
        Play::Answer(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Play::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // This returns when the client has closed the connection.
            let _ = stream.read_u8().await;
        }
        Play::Endless(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server on loopback that plays `plays`, one connection each, and tells the heads it has read.
async fn server(plays: Vec<Play>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for play in plays {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = heads.send(serve(stream, play).await);
        }
    });
    (address, told)
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        secret_id: "AKIDEXAMPLE".to_owned(),
        secret_key: "a-key".into(),
        token: token.map(Into::into),
        expires_at: None,
    }
}

fn client_with(endpoint: &str, token: Option<&str>, options: &Options) -> Client {
    let provider = Arc::new(Provider::fixed(credentials(token)));
    Client::new(Endpoint::custom(endpoint).unwrap(), provider, options).unwrap()
}

fn client(address: SocketAddr) -> Client {
    client_with(&format!("http://{address}"), None, &Options::default())
}

async fn label(client: &Client, key: &str) -> Result<Answer, Error> {
    client.detect_label(Target::Key(key), crate::scene::Scene::Web.into()).await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

const NOTHING: &str = "<RecognitionResult/>";
const EMPTY: &str = include_str!("../../../tests/data/samples/list-empty.xml");

#[tokio::test]
async fn awkward_keys_reach_the_wire_byte_for_byte() {
    let keys = [
        "a/../b",
        "../up",
        "a/./b",
        "...",
        "/lead.jpg",
        "a//b.jpg",
        "trail/",
        " blank ",
        "+%41%2F.jpg",
        "!'()*;:@&=$,?#[]|\\^`{}\"<>.jpg",
        "tab\there\r\n\u{1}\u{7f}.jpg",
        "照片/🐱.png",
        "%2e%2e/x",
    ];
    let (address, mut heads) = server(vec![answer("200 OK", NOTHING); keys.len()]).await;
    let client = client(address);
    for key in keys {
        label(&client, key).await.unwrap();
        let head = heads.recv().await.unwrap();
        let expected = format!("GET /{}?ci-process=detect-label&scenes=web HTTP/1.1", encode(key));
        assert_eq!(head.lines().next().unwrap(), expected);
    }
}

#[tokio::test]
async fn the_host_is_signed_with_its_port_and_the_token_too() {
    let (address, mut heads) = server(vec![answer("200 OK", NOTHING)]).await;
    let client = client_with(&format!("http://{address}"), Some("t+/="), &Options::default());
    let before = client.clock().now();
    label(&client, "a b/c").await.unwrap();
    let head = heads.recv().await.unwrap();
    assert_eq!(header(&head, "host"), Some(address.to_string().as_str()));
    assert_eq!(header(&head, TOKEN_HEADER), Some("t+/="));
    assert_eq!(header(&head, "accept-encoding"), None);
    let authorization = header(&head, "authorization").unwrap();
    let (_, time) = authorization.split_once("q-sign-time=").unwrap();
    let (time, _) = time.split_once('&').unwrap();
    let host = address.to_string();
    let signed = signer::sign(
        "AKIDEXAMPLE",
        &SignKey::new(&"a-key".into(), time.to_owned()),
        &signer::Request {
            method: "GET",
            path: "/a b/c",
            params: &[("scenes", "web"), ("ci-process", "detect-label")],
            headers: &[("host", host.as_str()), (TOKEN_HEADER, "t+/=")],
        },
    );
    assert_eq!(authorization, signed.authorization);
    let (start, end) = time.split_once(';').unwrap();
    let (start, end) = (start.parse::<i64>().unwrap(), end.parse::<i64>().unwrap());
    assert!((before - 120..=before).contains(&start) && end == start + 3600, "{time}");
}

#[tokio::test]
async fn a_url_is_encoded_once_into_the_query() {
    let (address, mut heads) = server(vec![answer("200 OK", NOTHING)]).await;
    let client = client(address);
    let url = "http://e.com/p?a=1&b=x y+z";
    let scenes = "web,camera".parse().unwrap();
    let answer = client.detect_label(Target::Url(url), scenes).await.unwrap();
    assert!(!answer.emulated && answer.request_id.is_none());
    assert_eq!(
        heads.recv().await.unwrap().lines().next().unwrap(),
        "GET /?ci-process=detect-label&scenes=camera%2Cweb\
         &detect-url=http%3A%2F%2Fe.com%2Fp%3Fa%3D1%26b%3Dx%20y%2Bz HTTP/1.1"
    );
}

#[tokio::test]
async fn a_listing_sends_only_the_parameters_that_are_set() {
    let head = "200 OK\r\nx-cos-request-id: R1\r\nx-costag-emulator: 1\
                \r\ndate: Thu, 16 May 2019 06:45:51 GMT";
    let (address, mut heads) = server(vec![answer(head, EMPTY), answer("200 OK", EMPTY)]).await;
    let client = client(address);
    let page = client.list(&ListRequest::default()).await.unwrap();
    assert_eq!((page.request_id.as_deref(), page.emulated), (Some("R1"), true));
    assert!(client.clock().measured().unwrap() < -100_000_000);
    assert_eq!(client.clock().offset(), 0);
    assert_eq!(
        heads.recv().await.unwrap().lines().next().unwrap(),
        "GET /?encoding-type=url&max-keys=1000 HTTP/1.1"
    );
    let request = ListRequest {
        prefix: "a b/".to_owned(),
        marker: "a+\u{1}".to_owned(),
        max_keys: 7,
        delimiter: Some("/".to_owned()),
    };
    let page = client.list(&request).await.unwrap();
    assert!(!page.emulated);
    assert_eq!(
        heads.recv().await.unwrap().lines().next().unwrap(),
        "GET /?encoding-type=url&max-keys=7&delimiter=%2F&marker=a%2B%01&prefix=a%20b%2F HTTP/1.1"
    );
}

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
            last_modified: Some(1_557_989_151_000),
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
async fn a_request_for_an_unaddressable_key_is_not_sent() {
    let (address, mut heads) = server(vec![answer("200 OK", NOTHING)]).await;
    let client = client(address);
    for key in ["", "/", ".", "..", "a/.."] {
        let error = label(&client, key).await.unwrap_err();
        assert!(matches!(error, Error::UnaddressableKey { .. }) && !error.was_sent());
        assert!(client.head(key).await.is_err());
    }
    assert!(heads.try_recv().is_err());
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
    let body = include_str!("../../../tests/data/samples/error-403-expired.xml");
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
    let body = include_str!("../../../tests/data/samples/error-400-expired-token.xml");
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
async fn an_https_server_is_trusted_through_the_ca_file_only() {
    crate::cos::install_crypto_provider();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, issued.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, answer("200 OK", NOTHING)).await;
            }
        }
    });

    let trusting = Options { ca_file: Some(ca_file), ..Options::default() };
    label(&client_with(&endpoint, None, &trusting), "a").await.unwrap();
    let error = label(&client_with(&endpoint, None, &Options::default()), "a").await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }) && !error.was_sent(), "{error:?}");
}

#[tokio::test]
async fn a_certificate_outside_its_validity_hints_at_a_wrong_clock() {
    crate::cos::install_crypto_provider();
    for (from, to, is_about_time) in [(2999, 3000, true), (1999, 2001, true), (2000, 2999, false)] {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, issued.pem()).unwrap();
        let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.der().clone()], der)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        let trusts = if is_about_time { Some(ca_file) } else { None };
        let options = Options { ca_file: trusts, ..Options::default() };
        let error = label(&client_with(&endpoint, None, &options), "a").await.unwrap_err();
        assert!(
            matches!(error, Error::Certificate { is_about_time: told, .. } if told == is_about_time),
            "{from}: {error:?}"
        );
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let build = |path: PathBuf| {
        let options = Options { ca_file: Some(path), ..Options::default() };
        let endpoint = Endpoint::custom("https://localhost").unwrap();
        Client::new(endpoint, Arc::new(Provider::fixed(credentials(None))), &options)
    };
    assert!(matches!(build(empty), Err(BuildError::NoCertificate { .. })));
    assert!(matches!(build(folder.path().join("none")), Err(BuildError::CaFile { .. })));
}

/// A process's variables cannot be set safely here, so the test above runs in a process of its own.
#[test]
fn loopback_is_never_reached_through_a_proxy() {
    let name = "cos::client::tests::awkward_keys_reach_the_wire_byte_for_byte";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name]);
    for proxy in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(proxy, "http://127.0.0.1:1");
    }
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn futures_can_move_between_threads() {
    fn check<F: Future + Send>(_: F) {}
    let client = client_with("http://127.0.0.1:1", None, &Options::default());
    check(client.list(&ListRequest::default()));
    check(client.head("a"));
    check(label(&client, "a"));
}

#[test]
fn the_path_of_any_key_decodes_to_that_key() {
    let client = client_with("http://127.0.0.1:1", None, &Options::default());
    proptest!(crate::property::config(), |(key in any::<String>())| {
        prop_assume!(addressable(&key));
        let url = client.http.url(&key, &[("a", &key)]).unwrap();
        let (path, query) = (format!("/{}", encode(&key)), format!("a={}", encode(&key)));
        prop_assert_eq!(url.path(), path);
        prop_assert_eq!(url.query(), Some(query.as_str()));
    });
}
