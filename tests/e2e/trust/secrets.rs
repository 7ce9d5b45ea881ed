//! No secret appears in any output, log, database, error or argument.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::sync::{Arc, Mutex};

use costag::emulator::{Holdings, Options, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, bare, nobody, start, wait_until};

const KEY: &str = "hUsH0kEy1d2c3b4a5968778695a4b3c2";
const TOKEN: &str = "hUsH0tOkEn.d2c3b4a5968778695a4b3";

fn site() -> Site {
    let settings =
        Settings { token: Some(TOKEN.to_owned()), latency_ms: 20, ..Settings::default() };
    let bucket = Synthetic { objects: 60, ..Synthetic::default() };
    let holdings = Holdings::Objects(bucket);
    let secret_key = KEY.to_owned();
    Site::with(Options { settings, holdings, secret_key, ..Options::default() })
}

fn costag(site: &Site, arguments: &[&str], key: &str) -> Ended {
    let mut command = site.command(&[arguments, &["--log", "trace"]].concat());
    command.env("COSTAG_SECRET_KEY", key).env("COSTAG_TOKEN", TOKEN);
    let run = start(command);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", run.id())).unwrap_or_default();
    assert!(!holds_secret(&arguments));
    let ended = run.end();
    assert!(!holds_secret(ended.stdout.as_bytes()), "{arguments:?}");
    assert!(!holds_secret(ended.stderr.as_bytes()), "{arguments:?}");
    ended
}

fn holds_secret(bytes: &[u8]) -> bool {
    [KEY, TOKEN]
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

#[track_caller]
fn assert_no_file_holds_one(site: &Site) {
    let mut files = 0;
    for entry in std::fs::read_dir(site.folder()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!holds_secret(&bytes), "{}", path.display());
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn no_secret_is_in_any_output_log_or_file() {
    let site = site();
    let ended = costag(&site, &["run", BUCKET, "--max-calls", "30"], KEY).with(8);
    assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "it was a full log");
    assert_no_file_holds_one(&site);
    costag(&site, &["resume", "--log-format", "json"], KEY).with(0);
    costag(&site, &["status"], KEY).with(0);
    costag(&site, &["config", "show"], KEY).with(0);
    costag(&site, &["config", "show", "--json"], KEY).with(0);
    costag(&site, &["export", "-o", "tags.csv"], KEY).with(0);
    // The service's complaint about the signature is shown. The key is wrong here, so it is refused.
    site.change(r#"{"token":"another"}"#);
    costag(&site, &["run", BUCKET, "--scenes", "web"], KEY).with(6);
    costag(&site, &["run", BUCKET, "--scenes", "web"], &KEY[1..]).with(6);
    assert_no_file_holds_one(&site);
}

#[test]
fn no_secret_is_visible_while_a_run_goes_on() {
    let site = site();
    let mut command = site.command(&["run", BUCKET, "--workers", "2", "--log", "trace"]);
    command.env("COSTAG_SECRET_KEY", KEY).env("COSTAG_TOKEN", TOKEN);
    let run = start(command);
    wait_until("some calls", || site.calls() >= 20);
    if cfg!(target_os = "linux") {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", run.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "no core dump: {core}");
    }
    assert_no_file_holds_one(&site);
    run.kill();
    assert_no_file_holds_one(&site);
}

const ID: &str = "AKIDhUsH0iDe5f6a7b8c9d0e1f2a3b4c5d6e7";

/// A service or proxy that repeats in its answers what it was sent, and the key as well.
struct Echo {
    address: SocketAddr,
    signatures: Arc<Mutex<Vec<String>>>,
}

/// The part of a request between these two texts.
fn between<'a>(request: &'a str, start: &str, end: char) -> &'a str {
    let rest = request.split_once(start).map_or("", |(_, rest)| rest);
    rest.split(end).next().unwrap_or_default()
}

fn percent_encoded(text: &str) -> String {
    hex::encode_upper(text)
        .as_bytes()
        .chunks(2)
        .map(|pair| format!("%{}", String::from_utf8_lossy(pair)))
        .collect::<Vec<_>>()
        .concat()
}

impl Echo {
    /// Answers listings with `list` and calls with `label`. `ID`, `TOKEN`, `KEY` and `SIGNATURE` in braces are replaced
    /// by the values of the request.
    fn start(list: String, label: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let signatures = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&signatures);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (list, label, seen) = (list.clone(), label.clone(), Arc::clone(&seen));
                std::thread::spawn(move || answer(stream.unwrap(), &list, &label, &seen));
            }
        });
        Self { address, signatures }
    }

    /// Texts that must not appear: the secrets and all signatures so far, whole, in part, and percent-encoded.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![ID.to_owned(), KEY.to_owned(), TOKEN.to_owned()];
        secrets.extend(self.signatures.lock().unwrap().iter().cloned());
        let parts: Vec<String> = secrets.iter().map(|secret| secret[5..25].to_owned()).collect();
        let encoded: Vec<String> = secrets.iter().map(|secret| percent_encoded(secret)).collect();
        [secrets, parts, encoded].concat()
    }
}

fn answer(mut stream: TcpStream, list: &str, label: &str, signatures: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let signature = between(&request, "q-signature=", '\r');
    signatures.lock().unwrap().push(signature.to_owned());
    let answer = if request.contains("detect-label") { label } else { list };
    let filled = [
        ("{ID}", between(&request, "q-ak=", '&')),
        ("{TOKEN}", between(&request, "x-cos-security-token: ", '\r')),
        ("{KEY}", KEY),
        ("{SIGNATURE}", signature),
    ]
    .iter()
    .fold(answer.to_owned(), |text, (name, value)| {
        let name = name.trim_matches(['{', '}']);
        text.replace(&format!("{{{name}}}"), value)
            .replace(&format!("{{%{name}}}"), &percent_encoded(value))
            .replace(&format!("{{{name} cut}}"), value.get(..25).unwrap_or_default())
    });
    let (head, body) = filled.split_once("\n\n").unwrap();
    let head = head.replace('\n', "\r\n");
    let length = body.len();
    let text =
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes());
}

const LISTING: &str = "200 OK\nContent-Type: application/xml\nx-cos-request-id: listing\n\n\
    <ListBucketResult><Name>demo-1250000000</Name><EncodingType>url</EncodingType><Prefix></Prefix><Marker></Marker>\
    <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>\
    <Contents><Key>a.jpg</Key><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>3</Size></Contents>\
    </ListBucketResult>";

const ALL: &str = "{ID} {TOKEN} {KEY} {SIGNATURE} {%ID} {%TOKEN} {%KEY} {%SIGNATURE} {ID cut} {TOKEN cut} {KEY cut} \
    {SIGNATURE cut}";

#[rstest]
#[case::message(
    "403 Forbidden\nx-cos-request-id: r\n\n<Error><Code>AccessDenied</Code><Message>no ALL</Message></Error>"
)]
#[case::code("400 Bad\nx-cos-request-id: r\n\n<Error><Code>ALL</Code><Message>m</Message></Error>")]
#[case::request_id_in_the_body(
    "400 Bad\n\n<Error><Code>C</Code><RequestId>ALL</RequestId><TraceId>ALL</TraceId></Error>"
)]
#[case::header("400 Bad\nx-cos-request-id: ALL\nx-cos-trace-id: ALL\nx-cos-error-code: ALL\n\n")]
#[case::location(
    "301 Moved\nx-cos-request-id: r\nLocation: https://ALL/ALL?ALL\n\n<Error><Code>M</Code></Error>"
)]
#[case::location_of_a_proxy(
    "302 Found\nLocation: https://login.example/ALL\n\n<html><title>ALL</title></html>"
)]
#[case::page("502 Bad Gateway\n\n<html><head><title>ALL</title></head><body>ALL</body></html>")]
#[case::text("407 Proxy\n\nALL")]
#[case::json("400 Bad\n\n{\"code\":\"ALL\",\"message\":\"ALL\",\"request_id\":\"ALL\"}")]
#[case::unusable("200 OK\nx-cos-request-id: ALL\n\n<ALL/>")]
#[case::error_with_success(
    "200 OK\nx-cos-request-id: r\n\n<Error><Code>ALL</Code><Message>ALL</Message></Error>"
)]
fn secrets_that_an_answer_repeats_are_not_shown_or_stored(#[case] answer: &str) {
    let answer = answer.replace("ALL", ALL);
    let of_a_call = Echo::start(LISTING.to_owned(), answer.clone());
    let of_a_listing = Echo::start(answer.clone(), answer);
    for echo in [of_a_call, of_a_listing] {
        assert_nothing_is_told(&echo);
    }
}

#[rstest]
#[case::another_bucket(LISTING.replace("demo-1250000000", ALL))]
#[case::another_prefix(LISTING.replace("<Prefix></Prefix>", "<Prefix>ALL</Prefix>"))]
#[case::another_marker(LISTING.replace("<Marker></Marker>", "<Marker>ALL</Marker>"))]
#[case::a_folded_key(LISTING.replace("<Contents>", "<CommonPrefixes><Prefix>ALL</Prefix></CommonPrefixes><Contents>"))]
#[case::an_etag(LISTING.replace("0123456789abcdef0123456789abcdef", "ALL"))]
#[case::a_class(LISTING.replace("<Size>", "<StorageClass>ALL</StorageClass><Size>"))]
#[case::a_size(LISTING.replace("<Size>3", "<Size>ALL"))]
fn secrets_that_a_listing_repeats_are_not_shown_or_stored(#[case] listing: String) {
    let labels = "200 OK\nx-cos-request-id: r\n\n<RecognitionResult><CameraLabels><Labels><Name>ALL</Name>\
        <FirstCategory>ALL</FirstCategory><Confidence>9</Confidence></Labels></CameraLabels></RecognitionResult>";
    let echo = Echo::start(listing.replace("ALL", ALL), labels.replace("ALL", ALL));
    assert_nothing_is_told(&echo);
}

/// Runs against the service and asserts that nothing that can be shown afterwards contains a secret.
#[track_caller]
fn assert_nothing_is_told(echo: &Echo) {
    let site = Site::plain(0);
    let endpoint = format!("http://{}", echo.address);
    let commands: [&[&str]; 6] = [
        &["run", BUCKET, "--endpoint", &endpoint, "--patience", "1s", "--log", "debug"],
        &["doctor", BUCKET, "--endpoint", &endpoint, "-y"],
        &["status", "--failures"],
        &["status", "--json"],
        &["export"],
        &["ledger"],
    ];
    let mut told = Vec::new();
    for arguments in commands {
        let mut command = bare(site.folder(), arguments);
        command
            .env("COSTAG_SECRET_ID", ID)
            .env("COSTAG_SECRET_KEY", KEY)
            .env("COSTAG_TOKEN", TOKEN);
        command.env("COSTAG_COOLDOWN", "10ms");
        let ended = start(command).end();
        told.push(ended.stdout.into_bytes());
        told.push(ended.stderr.into_bytes());
    }
    for entry in std::fs::read_dir(site.folder()).unwrap() {
        told.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(!echo.signatures.lock().unwrap().is_empty(), "it was asked");
    for secret in echo.secrets() {
        for text in &told {
            let lower = text.to_ascii_lowercase();
            let secret = secret.to_ascii_lowercase();
            let found = lower.windows(secret.len()).position(|part| part == secret.as_bytes());
            assert!(found.is_none(), "{secret} in\n{}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn a_password_in_an_endpoint_or_proxy_is_masked_in_every_message() {
    let site = Site::plain(1);
    let hushed = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = bare(site.folder(), arguments);
        command.env("COSTAG_SECRET_ID", ID).env("COSTAG_SECRET_KEY", KEY);
        command.envs(variables.iter().copied());
        let ended = start(command).end();
        assert_ne!(ended.code, Some(0));
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!told.contains("hush-hush") && !told.contains("aHVzaC1odXNo"), "{told}");
        told
    };
    let endpoint = "https://somebody:hush-hush@cos.example";
    for command in [&["run", BUCKET][..], &["doctor", BUCKET], &["config", "show"], &["resume"]] {
        let told = hushed(&[command, &["--endpoint", endpoint]].concat(), &[]);
        assert!(told.contains("--endpoint"), "{told}");
        hushed(&[command, &["--metadata-endpoint", endpoint]].concat(), &[]);
        hushed(command, &[("COSTAG_ENDPOINT", endpoint)]);
        site.write("named.toml", format!("endpoint = \"{endpoint}\"\n"));
        hushed(&[command, &["--config", "named.toml"]].concat(), &[]);
    }
    hushed(&["run", endpoint], &[]);
    hushed(&["run", BUCKET, endpoint], &[]);
    // One proxy does not answer, another repeats what it was sent.
    let echo = Echo::start(String::from("407 No\n\nsomebody hush-hush"), String::new());
    let run = ["run", BUCKET, "-r", "ap-nowhere", "--patience", "1s", "--log", "trace"];
    let plain = ["run", BUCKET, "--endpoint", "http://cos.example", "--allow-http"];
    let plain = [&plain[..], &["--patience", "1s", "--log", "trace"]].concat();
    for address in [nobody(), echo.address] {
        for scheme in ["http", "ftp"] {
            let proxy = format!("{scheme}://somebody:hush-hush@{address}");
            hushed(&run, &[("HTTPS_PROXY", &proxy), ("ALL_PROXY", &proxy)]);
            hushed(&plain, &[("HTTP_PROXY", &proxy), ("http_proxy", &proxy)]);
        }
    }
}

#[test]
fn config_show_masks_the_variables_that_credential_process_sets() {
    let site = Site::plain(1);
    let process = "VAULT_TOKEN=hush-hush OTHER='hush-hush too' get-keys --password hush-hush";
    for json in [&[][..], &["--json"]] {
        let show = ["config", "show", "--credential-process", process];
        let shown = start(bare(site.folder(), &[&show[..], json].concat())).end().with(0).stdout;
        assert!(!shown.contains("hush-hush"), "{shown}");
        assert!(shown.contains("VAULT_TOKEN=… OTHER=… get-keys …"), "{shown}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn other_processes_of_the_user_cannot_read_the_memory() {
    let mut command = bare(std::path::Path::new("/"), &["emulator", "--objects", "1"]);
    command.env("HOME", "/");
    // Root can read it in any case.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        command.uid(65534).gid(65534);
    }
    let run = start(command);
    wait_until("it serves", || {
        run.stdout().contains("http://") || run.stderr().contains("http://")
    });
    let memory = std::fs::metadata(format!("/proc/{}/mem", run.id())).unwrap();
    assert_eq!(memory.uid(), 0, "only root may look at a process that is not dumpable");
    run.kill();
}

#[test]
fn the_output_of_a_failed_credential_process_is_shown_without_secrets() {
    let site = Site::plain(0);
    let process = "echo \"cannot use $COSTAG_SECRET_KEY here\" >&2; exit 3";
    let ended = site.costag(&["run", BUCKET, "--credential-process", process]).with(6);
    assert!(!ended.stderr.contains(costag::emulator::SECRET_KEY), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot use … here"), "{}", ended.stderr);
}
