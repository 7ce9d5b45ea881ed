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

#[rstest]
#[case(r#"{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t","ExpiredTime":4000000000}"#)]
#[case(r#"{"SecretId":"i","SecretKey":"k","Token":"t","Expiration":"2096-10-02T07:06:40Z"}"#)]
#[case(r#"{"Credentials":{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t"},"ExpiredTime":4000000000}"#)]
#[tokio::test]
async fn a_process_prints_credentials_as_json(#[case] json: &str) {
    let mut world = World::new(&[("COSTAG_SECRET_ID", "c-id"), ("COSTAG_SECRET_KEY", "c-key")]);
    world.process = Some(format!("echo noise >&2; cat <<'EOF'\n{json}\nEOF"));
    let provider = world.discover().await.unwrap();
    let credentials = provider.current(&Clock::default()).await.unwrap();
    assert_eq!(parts(&credentials), three("i", "k", Some("t")));
    assert_eq!(credentials.expires_at, Some(4_000_000_000));
    assert_eq!(provider.source(), "credential_process");
}

#[tokio::test]
async fn a_process_that_fails_shows_nothing_that_it_printed() {
    let mut world = World::new(&[]);
    for (command, told) in [
        ("echo s3cret; echo s3cret >&2; exit 3", "exit status: 3"),
        ("echo s3cret", "not JSON"),
        (r#"echo '{"SecretId":"s3cret"}'"#, "no SecretKey"),
        (r#"echo '{"SecretId":"i","SecretKey":"s3cret","ExpiredTime":"soon"}'"#, "expiry"),
        (r#"echo '{"SecretId":"i","SecretKey":" s3cret"}'"#, "blanks"),
    ] {
        world.process = Some(command.to_owned());
        let error = world.discover().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(told) && !shown.contains("s3cret"), "{shown}");
    }
}

#[rstest]
#[case::short(r#"echo '{"SecretId":"id-1","SecretKey":"p@9"}'; echo "rejected p@9 of id-1" >&2"#, &["p@9", "id-1"])]
#[case::by_name(r#"echo "secret_key=abc token: dEf, at 12:30" >&2"#, &["abc", "dEf"])]
#[case::in_json(r#"echo '{"token": "xy", "why": "late"}' >&2"#, &["xy"])]
#[case::of_no_json("echo plain-7; echo not plain-7 >&2", &["plain-7"])]
#[tokio::test]
async fn a_short_secret_of_a_process_that_fails_is_not_shown(
    #[case] command: &str,
    #[case] secrets: &[&str],
) {
    let command = format!("{command}; exit 1");
    let told = process::run(&command, Duration::from_secs(10)).await.unwrap_err().to_string();
    assert!(told.contains("it wrote: "), "{told}");
    for secret in secrets {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn the_error_output_of_a_failed_process_is_shown_without_secrets() {
    let fails = async |command: &str| {
        process::run(command, Duration::from_secs(10)).await.unwrap_err().to_string()
    };
    let told = fails("echo 'vault: token expired 2026-11-01, run: vault login' >&2; exit 2").await;
    assert!(
        told.contains(
            "exit status: 2; it wrote: vault: token expired 2026-11-01, run: vault login"
        ),
        "{told}"
    );
    let told = fails("no-such-command-at-all").await;
    assert!(told.contains("not found"), "{told}");
    let told = fails("echo '+ export KEY=Gu5t9xGARNpq86cd98joQYCN3EXAMPLE' >&2; exit 1").await;
    assert!(told.contains("KEY") || told.contains('…'), "{told}");
    assert!(!told.contains("Gu5t9x"), "{told}");
    let told =
        fails(r#"echo '{"SecretKey":"abcdef"}'; echo 'cannot use abcdef' >&2; exit 1"#).await;
    assert!(told.contains("cannot use …") && !told.contains("abcdef"), "{told}");
    let told = fails("head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1").await;
    assert!(told.len() < 500 && told.ends_with("end"), "{told}");
    let told = fails("exit 7").await;
    assert!(told.ends_with("exit status: 7"), "{told}");
}

#[tokio::test]
async fn a_process_that_outlives_the_command_is_not_waited_for() {
    let json = r#"{"SecretId":"i","SecretKey":"k"}"#;
    let begun = std::time::Instant::now();
    let command = format!("sleep 60 >/dev/null & echo '{json}'");
    let found = process::run(&command, Duration::from_secs(20)).await.unwrap();
    assert_eq!(found.secret_id, "i");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = folder.path().join("numbers");
    let numbers = numbers.display();
    let command = format!(
        "sh -c 'sleep 60 & echo $! >>{numbers}; wait' & echo $! >>{numbers}; sleep 60 & echo $! >>{numbers}; wait"
    );
    let limit = Duration::from_millis(600);
    let error = process::run(&command, limit).await.unwrap_err();
    assert!(matches!(error, Error::ProcessTimeout { .. }));
    let numbers = std::fs::read_to_string(numbers.to_string()).unwrap();
    assert_eq!(numbers.lines().count(), 3, "{numbers}");
    let runs = |number: &str| {
        let status = std::fs::read_to_string(format!("/proc/{number}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    };
    let begun = std::time::Instant::now();
    while numbers.lines().any(runs) {
        assert!(begun.elapsed() < Duration::from_secs(10), "they go on: {numbers}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
    assert_eq!(first.expires_at, Some(4_000_000_000));
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

/// Each test has a clock of its own; they run side by side.
macro_rules! clock {
    () => {{
        static NOW: AtomicI64 = AtomicI64::new(0);
        fn now() -> i64 {
            NOW.load(Ordering::Relaxed) * 1000
        }
        (&NOW, Clock::with_local(now))
    }};
}

fn process_file(path: &Path, id: &str, expires_at: i64) {
    let json = format!(r#"{{"SecretId":"{id}","SecretKey":"k","ExpiredTime":{expires_at}}}"#);
    std::fs::write(path, json).unwrap();
}

#[tokio::test]
async fn credentials_are_renewed_ten_minutes_before_their_end() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let path = world.home.path().join("json");
    world.process = Some(format!("cat '{}'", path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    process_file(&path, "two", 4_000_003_600);
    for (time, id) in [(4_000_000_000 - 601, "one"), (4_000_000_000 - 600, "two")] {
        now.store(time, Ordering::Relaxed);
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, id);
    }
}

#[tokio::test]
async fn after_a_failed_renewal_the_old_credentials_are_used_until_they_expire() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let path = world.home.path().join("json");
    world.process = Some(format!("cat '{}'", path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    for time in [4_000_000_000 - 600, 4_000_000_000 - 300, 4_000_000_000 - 1] {
        now.store(time, Ordering::Relaxed);
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    }
    // The clock may be wrong, so the service decides.
    now.store(4_000_900_000, Ordering::Relaxed);
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    // A clock that the service has accepted is at most 15 minutes off.
    now.store(4_000_000_899, Ordering::Relaxed);
    clock.accepted();
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    now.store(4_000_000_900, Ordering::Relaxed);
    assert!(matches!(provider.current(&clock).await, Err(Error::Expired { cause: Some(_), .. })));
    // Expired credentials that the place returns again are of no use.
    process_file(&path, "one", 4_000_000_000);
    assert!(matches!(provider.current(&clock).await, Err(Error::Expired { cause: None, .. })));
    process_file(&path, "two", 4_000_003_600);
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "two");
}

#[tokio::test]
async fn new_credentials_that_look_expired_are_used_and_not_fetched_again_for_each_request() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let (path, count) = (world.home.path().join("json"), world.home.path().join("count"));
    world.process = Some(format!("echo run >> '{}'; cat '{}'", count.display(), path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    process_file(&path, "two", 4_000_001_800);
    now.store(4_000_003_600, Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, "two");
    }
    let runs = std::fs::read_to_string(count).unwrap().lines().count();
    assert_eq!(runs, 2, "found once, renewed once");
}

#[tokio::test]
async fn one_request_renews_for_all_and_none_gets_expired_credentials() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let (path, count) = (world.home.path().join("json"), world.home.path().join("count"));
    world.process = Some(format!("echo run >> '{}'; cat '{}'", count.display(), path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    let both = async || {
        let (first, second) = tokio::join!(provider.current(&clock), provider.current(&clock));
        (first.unwrap().secret_id.clone(), second.unwrap().secret_id.clone())
    };
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());

    process_file(&path, "two", 4_000_003_600);
    now.store(4_000_000_000 - 10, Ordering::Relaxed);
    assert_eq!(both().await, pair("two", "one"), "the old ones hold while the first renews");
    process_file(&path, "three", 4_000_007_200);
    now.store(4_000_003_600 + 900, Ordering::Relaxed);
    clock.accepted();
    assert_eq!(both().await, pair("three", "three"), "ended ones are waited for");
    let runs = std::fs::read_to_string(count).unwrap().lines().count();
    assert_eq!(runs, 3, "found once, renewed twice");
}

#[test]
fn a_short_life_is_renewed_at_its_half() {
    let credentials = Credentials::checked(["a", "b", "c"], "i", "k", None, Some(1100)).unwrap();
    assert_eq!(provider::renew_at(&credentials, 1000), 1050);
    assert_eq!(provider::renew_at(&credentials, -5000), 500);
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
