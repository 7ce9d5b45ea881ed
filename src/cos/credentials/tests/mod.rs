//! Where credentials are found.

mod processes;
mod renewal;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cos::Clock;
use crate::time::UnixSeconds;

/// Variables and a home directory of the test's own; no metadata service is reachable.
struct World {
    variables: HashMap<String, String>,
    home: TempDir,
    file: Option<PathBuf>,
    process: Option<String>,
    role: Option<String>,
    metadata: String,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            home: tempfile::tempdir().unwrap(),
            file: None,
            process: None,
            role: None,
            // Connections to port 1 are refused at once.
            metadata: "http://127.0.0.1:1".to_owned(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn discover(&self) -> Result<Provider, Error> {
        let environment = |name: &str| self.variables.get(name).cloned();
        let sources = Sources {
            environment: &environment,
            home: Some(self.home.path().to_owned()),
            credentials_file: self.file.clone(),
            credential_process: self.process.clone(),
            cvm_role: self.role.clone(),
            metadata_base: Some(self.metadata.clone()),
        };
        Provider::discover(&sources).await
    }

    /// The id, key and token that are found.
    async fn found(&self) -> (String, String, Option<String>) {
        parts(&self.discover().await.unwrap().current(&Clock::default()).await.unwrap())
    }

    async fn error(&self) -> String {
        self.discover().await.unwrap_err().to_string()
    }
}

fn parts(credentials: &Credentials) -> (String, String, Option<String>) {
    (
        credentials.secret_id.clone(),
        credentials.secret_key.expose_secret().to_owned(),
        credentials.expose_token().map(str::to_owned),
    )
}

fn three(id: &str, key: &str, token: Option<&str>) -> (String, String, Option<String>) {
    (id.to_owned(), key.to_owned(), token.map(str::to_owned))
}

#[tokio::test]
async fn families_are_tried_in_order_and_never_mixed() {
    let all = [
        ("COSTAG_SECRET_ID", "c-id"),
        ("COSTAG_SECRET_KEY", "c-key"),
        ("TENCENTCLOUD_SECRET_ID", "t-id"),
        ("TENCENTCLOUD_SECRET_KEY", "t-key"),
        ("TENCENTCLOUD_SECURITY_TOKEN", "t-token"),
        ("COS_SECRETID", "s-id"),
        ("COS_SECRETKEY", "s-key"),
        ("COS_SECRET_ID", "h-id"),
        ("COS_SECRET_KEY", "h-key"),
        ("COS_SESSION_TOKEN", "h-token"),
    ];
    for (skip, expected) in [
        // The token of another family is not used.
        (0, three("c-id", "c-key", None)),
        (2, three("t-id", "t-key", Some("t-token"))),
        (5, three("s-id", "s-key", Some("h-token"))),
        (7, three("h-id", "h-key", Some("h-token"))),
    ] {
        assert_eq!(World::new(&all[skip..]).found().await, expected);
    }
    let source = World::new(&all).discover().await.unwrap().source();
    assert_eq!(source, "the environment variable COSTAG_SECRET_ID");
}

#[tokio::test]
async fn an_empty_variable_is_unset() {
    let world = World::new(&[
        ("COSTAG_SECRET_ID", ""),
        ("COSTAG_SECRET_KEY", ""),
        ("COS_SECRETID", "s-id"),
        ("COS_SECRETKEY", "s-key"),
        ("COS_TOKEN", ""),
    ]);
    assert_eq!(world.found().await, three("s-id", "s-key", None));
}

#[rstest]
#[case(&[("COSTAG_SECRET_ID", "i")], "COSTAG_SECRET_ID is set and COSTAG_SECRET_KEY is not")]
#[case(&[("COS_SECRETKEY", "k")], "COS_SECRETKEY is set and COS_SECRETID is not")]
#[case(&[("COS_SECRETID", "i"), ("COS_SECRETKEY", "k\n")], "COS_SECRETKEY has blanks")]
#[case(&[("COS_SECRETID", " i"), ("COS_SECRETKEY", "k")], "COS_SECRETID has blanks")]
#[case(&[("COS_SECRETID", "i"), ("COS_SECRETKEY", "k"), ("COS_TOKEN", "t ")], "COS_TOKEN has blanks")]
#[case(&[("COS_SECRETID", "i"), ("COS_SECRETKEY", "k\u{e9}y")], "COS_SECRETKEY has characters")]
#[tokio::test]
async fn broken_variables_are_named(#[case] variables: &[(&str, &str)], #[case] told: &str) {
    let error = World::new(variables).error().await;
    assert!(error.contains(told), "{error}");
}

#[tokio::test]
async fn the_error_names_every_place_if_none_has_credentials() {
    let error = World::new(&[]).error().await;
    for place in [
        "COSTAG_SECRET_ID",
        "TENCENTCLOUD_SECRET_KEY",
        "COS_SECRETID",
        "COS_SECRET_ID",
        ".cos.yaml",
        ".cos.conf",
        "role",
    ] {
        assert!(error.contains(place), "{place}: {error}");
    }
}

#[tokio::test]
async fn a_configured_file_beats_variables_and_is_read_again() {
    let mut world = World::new(&[("COSTAG_SECRET_ID", "c-id"), ("COSTAG_SECRET_KEY", "c-key")]);
    let text =
        "# comment\n\nexport COS_SECRETID='f-id'\nCOS_SECRETKEY = \"old\"\nCOS_SECRETKEY=f=key\n";
    let path = world.write("env", text);
    world.file = Some(path.clone());
    let provider = world.discover().await.unwrap();
    let first = provider.current(&Clock::default()).await.unwrap();
    assert_eq!(parts(&first), three("f-id", "f=key", None));

    let refused = provider.renew(&first, &Clock::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected { .. }), "{refused}");
    std::fs::write(&path, "COS_SECRETID=n-id\nCOS_SECRETKEY=n-key\nCOS_TOKEN=n-token\n").unwrap();
    let second = provider.renew(&first, &Clock::default()).await.unwrap();
    assert_eq!(parts(&second), three("n-id", "n-key", Some("n-token")));
    // A request that was signed before the renewal gets the credentials that the other one has fetched.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(parts(&provider.renew(&first, &Clock::default()).await.unwrap()), parts(&second));
    assert!(matches!(provider.renew(&second, &Clock::default()).await, Err(Error::File { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new(&[]);
    let path = world.write("env", "COS_SECRETID=i\nCOS_SECRETKEY=k\n");
    world.file = Some(path.clone());
    for (mode, warnings) in [(0o644, 1), (0o640, 1), (0o600, 0)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let provider = world.discover().await.unwrap();
        assert_eq!(provider.warnings().len(), warnings, "{mode:o}");
    }
}

#[tokio::test]
async fn a_file_in_no_known_form_is_refused() {
    let mut world = World::new(&[]);
    for (text, told) in [("COS_SECRETID", "NAME=value"), ("A=b", "no secret id")] {
        world.file = Some(world.write("env", text));
        let error = world.error().await;
        assert!(error.contains(told), "{error}");
    }
    world.file = Some(world.home.path().join("absent"));
    assert!(world.error().await.contains("cannot read"));
}

const COSCLI: &str = "cos:
  base:
    secretid: 188S9nA8NFUo0WdpjCiRyA==     # here: encrypted
    secretkey: E1N2YlIzRkwWR8/vNbkGON5DWUeMH41IDqmx334kEjM=
    sessiontoken: 3kNZR4wfjUgOqbHffiQSMw==
    protocol: https
    mode: \"\"
  buckets:
    - name: examplebucket-1250000000
      secretid: other
";

#[tokio::test]
async fn the_obfuscated_secrets_of_coscli_are_read() {
    let world = World::new(&[]);
    world.write(".cos.yaml", COSCLI);
    assert_eq!(world.found().await, three("AKIDEXAMPLE", "sixteen-chars-ok", None));
    let clear = "cos:\n  base:\n    secretid: 'AKIDx'\n    secretkey: 188S9nA8NFUo0WdpjCiRyA==\n    \
                 disableencryption: \"true\"\n";
    world.write(".cos.yaml", clear);
    assert_eq!(world.found().await, three("AKIDx", "188S9nA8NFUo0WdpjCiRyA==", None));
    // A plain value without the setting cannot be decrypted, so it is used as it is.
    world.write(".cos.yaml", "cos:\n  base:\n    secretid: AKIDx\n    secretkey: kkk\n");
    assert_eq!(world.found().await, three("AKIDx", "kkk", None));
    world.write(".cos.yaml", "cos:\n  base:\n    secretid: AKIDx\n");
    assert!(world.error().await.contains("secretkey in"));
}

#[tokio::test]
async fn the_file_of_coscmd_comes_after_that_of_coscli() {
    let world = World::new(&[]);
    let conf =
        "[other]\nsecret_id = no\n[common]\n; x\nsecret_id = m-id\nsecret_key = m-key\ntoken=\n";
    world.write(".cos.conf", conf);
    assert_eq!(world.found().await, three("m-id", "m-key", None));
    world.write(".cos.conf", "[common]\naccess_id=a-id\nsecret_key=a-key\ntoken=a-token\n");
    assert_eq!(world.found().await, three("a-id", "a-key", Some("a-token")));
    world.write(".cos.yaml", COSCLI);
    assert_eq!(world.found().await.0, "AKIDEXAMPLE");
    world.write(".cos.yaml", "cos:\n  buckets:\n    - name: b\n");
    assert_eq!(world.found().await.0, "a-id");
}

/// A metadata service with one role, `render`, whose credentials are numbered and end at 4,000,000,000.
async fn metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut served = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap();
            let (status, body) =
                match path.strip_prefix("/latest/meta-data/cam/security-credentials") {
                    Some("") => ("200 OK", "render\n".to_owned()),
                    Some("/render") => {
                        served += 1;
                        let body = format!(
                            r#"{{"TmpSecretId":"r{served}","TmpSecretKey":"k","Token":"t",
                        "ExpiredTime":4000000000,"Code":"Success"}}"#
                        );
                        ("200 OK", body)
                    }
                    Some("/broken") => ("200 OK", r#"{"Code":"Failed"}"#.to_owned()),
                    _ => ("404 Not Found", String::new()),
                };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    base
}

#[tokio::test]
async fn the_role_of_the_machine_is_the_last_resort() {
    let mut world = World::new(&[]);
    world.metadata = metadata().await;
    let provider = world.discover().await.unwrap();
    let first = provider.current(&Clock::default()).await.unwrap();
    assert_eq!(parts(&first), three("r1", "k", Some("t")));
    assert_eq!(first.expires_at, Some(UnixSeconds(4_000_000_000)));
    assert_eq!(provider.renew(&first, &Clock::default()).await.unwrap().secret_id, "r2");
    // A mode of CvmRole in the file of coscli leads to the same place.
    world.write(".cos.yaml", "cos:\n  base:\n    mode: CvmRole\n    cvmrolename: render\n");
    let provider = world.discover().await.unwrap();
    assert_eq!(provider.source(), "the machine's role render");
}

#[tokio::test]
async fn a_role_that_was_asked_for_and_fails_says_why() {
    let mut world = World::new(&[("COSTAG_SECRET_ID", "c-id"), ("COSTAG_SECRET_KEY", "c-key")]);
    world.metadata = metadata().await;
    for (role, told) in [("broken", "Success"), ("absent", "404")] {
        world.role = Some(role.to_owned());
        let error = world.error().await;
        assert!(error.contains(told), "{error}");
    }
    world.role = Some(String::new());
    assert_eq!(world.found().await.0, "r1");
}

#[test]
fn debug_shows_four_characters_of_the_id() {
    let token = Some("tok-tok");
    let credentials =
        Credentials::checked(["a", "b", "c"], "AKIDabcdef", "key-key", token, None).unwrap();
    let shown = format!("{credentials:?} {:?}", Provider::fixed(credentials.clone()));
    assert!(shown.contains("AKID…"), "{shown}");
    for secret in ["AKIDa", "key-key", "tok-tok"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #![proptest_config(crate::property::config())]

    #[test]
    fn reading_files_never_panics(text in "[ a-z:=\\[\\]#'\"\\n\\PC]{0,120}", json: String) {
        let _ = coscmd::parse("p", &format!("[common]\n{text}"));
        let _ = coscli::parse("p", &format!("cos:\n  base:\n    secretid: {text}\n{text}"));
        let _ = process::parse("p", json.as_bytes());
    }
}
