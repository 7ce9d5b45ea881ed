//! What a request looks like on the wire.

use super::*;

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
    assert!((before.0 - 120..=before.0).contains(&start) && end == start + 3600, "{time}");
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

/// A process's variables cannot be set safely here, so the test above runs in a process of its own.
#[test]
fn loopback_is_never_reached_through_a_proxy() {
    let name = "cos::client::tests::requests::awkward_keys_reach_the_wire_byte_for_byte";
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

#[test]
fn futures_can_move_between_threads() {
    fn check<F: Future + Send>(_: F) {}
    let client = client_with("http://127.0.0.1:1", None, &Options::default());
    check(client.list(&ListRequest::default()));
    check(client.head("a"));
    check(label(&client, "a"));
}
