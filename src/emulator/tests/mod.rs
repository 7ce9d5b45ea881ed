//! Tests of the emulator over HTTP, with a client that sends and reads raw bytes.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::options::MOST_OBJECTS;
use super::*;

mod faults;

/// The status, head and body of an answer. A body that was cut is shorter than announced.
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

fn send(emulator: &Emulator, request: &str) -> io::Result<Got> {
    let mut stream = TcpStream::connect(emulator.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head[9..12].parse().map_err(io::Error::other)?;
    Ok(Got { status, head, body: bytes[end + 4..].to_vec() })
}

fn request(emulator: &Emulator, method: &str, target: &str, body: &str) -> io::Result<Got> {
    let (host, length) = (emulator.address(), body.len());
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    send(emulator, &format!("{head}Content-Length: {length}\r\n\r\n{body}"))
}

/// Returns the presigned target of a request with this decoded query.
fn signed(emulator: &Emulator, method: &str, key: &str, query: &str) -> String {
    let parameters = percent::parse_query(query);
    let now = clock::now(0);
    let (host, path) = (emulator.address().to_string(), format!("/{key}"));
    let query = emulator.state.verifier.presign(
        method,
        &host,
        path.as_bytes(),
        &parameters,
        (now - 60, now + 600),
    );
    let mut target = String::from("/");
    percent::encode_into(&mut target, key.as_bytes());
    target + "?" + &query
}

fn get(emulator: &Emulator, key: &str, query: &str) -> io::Result<Got> {
    request(emulator, "GET", &signed(emulator, "GET", key, query), "")
}

fn detect(emulator: &Emulator, key: &str) -> io::Result<Got> {
    get(emulator, key, "ci-process=detect-label&scenes=web%2Ccamera")
}

fn control(emulator: &Emulator, path: &str, body: &str) -> Got {
    let method = if body.is_empty() { "GET" } else { "POST" };
    request(emulator, method, &format!("/.costag/{path}"), body).unwrap()
}

fn synthetic(synthetic: Synthetic) -> Emulator {
    let threads = NonZeroUsize::new(1);
    let holdings = Holdings::Objects(synthetic);
    Emulator::start(Options { threads, holdings, ..Options::default() }).unwrap()
}

fn keys_of(text: &str) -> Vec<String> {
    text.split("<Key>")
        .skip(1)
        .map(|part| part.split("</Key>").next().unwrap().to_owned())
        .collect()
}

#[test]
fn signed_requests_are_answered_and_unsigned_ones_refused() {
    let emulator = synthetic(Synthetic::default());
    let key = emulator.some_key().unwrap();
    let got = detect(&emulator, &key).unwrap();
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.text().matches("<Labels>").count(), 10);
    assert!(got.text().find("<CameraLabels>").unwrap() < got.text().find("<WebLabels>").unwrap());
    assert_eq!(got.header("server"), Some("tencent-cos"));
    assert_eq!(got.header("x-costag-emulator"), Some("1"));
    assert_eq!(got.header("content-type"), Some("application/xml"));
    assert!(got.header("date").unwrap().ends_with(" GMT"));
    let again = detect(&emulator, &key).unwrap();
    assert_eq!(again.body, got.body);
    assert_ne!(again.header("x-cos-request-id"), got.header("x-cos-request-id"));
    let drip = r#"{"faults":{"slow_drip":1}}"#;
    let small = synthetic(Synthetic { objects: 1, labels_per_image: 0, ..Synthetic::default() });
    let whole = detect(&small, &small.some_key().unwrap()).unwrap();
    control(&small, "faults", drip);
    let begun = Instant::now();
    assert_eq!(detect(&small, &small.some_key().unwrap()).unwrap().body, whole.body);
    let fastest = 50 * u64::try_from(whole.body.len()).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(fastest), "a byte every 50 ms");
    let url = emulator.presigned_url(&key, "web");
    let target = url.strip_prefix(&emulator.endpoint()).unwrap();
    assert_eq!(request(&emulator, "GET", target, "").unwrap().status, 200);
    let refused = request(&emulator, "GET", "/?max-keys=1", "").unwrap();
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("<Code>AccessDenied</Code>"));
    let forged = signed(&emulator, "GET", "", "max-keys=1").replace("max-keys=1", "max-keys=2");
    let refused = request(&emulator, "GET", &forged, "").unwrap();
    assert!(refused.text().contains("<Code>SignatureDoesNotMatch</Code>"), "{}", refused.text());
    let stats = emulator.statistics();
    assert_eq!((stats.calls, stats.answered_ok, stats.distinct_keys), (3, 3, 1));
    assert_eq!((stats.bad_signatures, stats.most_calls_for_one_key), (2, 3));
    emulator.stop();
}

#[test]
fn an_object_is_sent_whole_or_as_a_small_copy_if_the_instruction_is_signed() {
    let root = tempfile::tempdir().unwrap();
    let wide = image::RgbImage::from_pixel(900, 300, image::Rgb([9, 9, 200]));
    wide.save(root.path().join("wide.png")).unwrap();
    fs::write(root.path().join("notes.txt"), "no picture").unwrap();
    let holdings = Holdings::Images(root.path().to_owned());
    let folder = Emulator::start(Options { holdings, ..Options::default() }).unwrap();
    let whole = get(&folder, "wide.png", "").unwrap();
    assert_eq!(whole.body, fs::read(root.path().join("wide.png")).unwrap());
    assert_eq!(whole.header("content-type"), Some("image/png"));
    assert_eq!(get(&folder, "notes.txt", "").unwrap().text(), "no picture");
    // The list of signed parameters has their names in lower case; the instruction itself keeps its case.
    let target = |emulator: &Emulator, key: &str, instruction: &str| {
        let signed = signed(emulator, "GET", key, instruction);
        let (rest, _) = signed.rsplit_once('&').unwrap();
        format!("{rest}&{instruction}")
    };
    let small = "imageMogr2/thumbnail/100x100%3E";
    let copy = request(&folder, "GET", &target(&folder, "wide.png", small), "").unwrap();
    assert_eq!(copy.header("content-type"), Some("image/jpeg"));
    let copy = image::load_from_memory(&copy.body).unwrap();
    assert_eq!((copy.width(), copy.height()), (100, 33));
    for (key, instruction, code) in [
        ("notes.txt", small, "InvalidImageFormat"),
        ("missing.png", small, "NoSuchKey"),
        ("wide.png", "imageMogr2/thumbnail/0x9%3E", "InvalidArgument"),
        ("wide.png", "imageMogr2/rotate/90", "InvalidArgument"),
    ] {
        let refused = request(&folder, "GET", &target(&folder, key, instruction), "").unwrap();
        assert!(refused.text().contains(&format!("<Code>{code}</Code>")), "{}", refused.text());
    }
    // Neither another size nor the picture itself can be had with the signature of the copy.
    let signed = target(&folder, "wide.png", small);
    for forged in [signed.replace("100x100%3E", "900x900%3E"), signed.replace(small, "")] {
        let refused = request(&folder, "GET", &forged, "").unwrap();
        assert_eq!(refused.status, 403, "{}", refused.text());
    }
    // A computed picture is drawn, always in the same way.
    let computed = synthetic(Synthetic { objects: 2, ..Synthetic::default() });
    let key = computed.some_key().unwrap();
    let drawn = get(&computed, &key, "").unwrap().body;
    assert_eq!(image::load_from_memory(&drawn).unwrap().width(), 240);
    assert_eq!(get(&computed, &key, "").unwrap().body, drawn);
    assert_eq!(folder.statistics().bad_signatures, 2);
}

#[test]
fn every_awkward_key_is_listed_and_reached() {
    let emulator = synthetic(Synthetic { objects: 150, awkward: 1.0, ..Synthetic::default() });
    let page = get(&emulator, "", "encoding-type=url&max-keys=1000").unwrap().text();
    let keys = keys_of(&page);
    assert_eq!(keys.len(), 150);
    for key in keys {
        let key = String::from_utf8(percent::decode(key.as_bytes(), false)).unwrap();
        assert_eq!(detect(&emulator, &key).unwrap().status, 200, "{key:?}");
    }
    // A key with unescaped slashes is the same key, and the path is not normalised.
    let target = signed(&emulator, "GET", "a//../b", "ci-process=detect-label");
    let raw = target.replace("%2F", "/");
    let got = request(&emulator, "GET", &raw, "").unwrap();
    assert!(got.text().contains("<Code>NoSuchKey</Code>"), "{}", got.text());
    assert!(got.text().contains("/a//../b</Resource>"));
}

#[test]
fn head_returns_the_properties_that_the_listing_has() {
    let emulator = synthetic(Synthetic { objects: 40, archived: 1.0, ..Synthetic::default() });
    let page = get(&emulator, "", "max-keys=1").unwrap().text();
    let key = keys_of(&page).remove(0);
    let head =
        |key: &str| request(&emulator, "HEAD", &signed(&emulator, "HEAD", key, ""), "").unwrap();
    let got = head(&key);
    assert_eq!((got.status, got.body.len()), (200, 0));
    let part = |name: &str| page.split(name).nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(got.header("content-length"), Some(&*part("<Size>")));
    assert_eq!(got.header("etag"), Some(&*part("<ETag>").replace("&quot;", "\"")));
    assert_eq!(got.header("x-cos-storage-class"), Some(&*part("<StorageClass>")));
    assert!(part("<StorageClass>").contains("ARCHIVE"));
    assert!(got.header("last-modified").unwrap().ends_with(" GMT"));
    let gone = head("nothing.jpg");
    assert_eq!((gone.status, gone.body.len()), (404, 0));
    assert_eq!(emulator.statistics().head_calls, 2);
    let put = request(&emulator, "PUT", &signed(&emulator, "PUT", &key, ""), "").unwrap();
    assert!(put.text().contains("<Code>MethodNotAllowed</Code>"));
}

#[test]
fn a_virtual_host_of_another_bucket_is_refused() {
    let emulator = synthetic(Synthetic::default());
    let host = "GET / HTTP/1.1\r\nConnection: close\r\nHost: other-1.cos.ap-guangzhou.myqcloud.com\r\n\r\n";
    let got = send(&emulator, host).unwrap();
    assert_eq!(got.status, 404);
    assert!(got.text().contains("<Code>NoSuchBucket</Code>"));
    let host = host.replace("other-1", "demo-1250000000");
    assert!(send(&emulator, &host).unwrap().text().contains("<Code>AccessDenied</Code>"));
}

#[test]
fn operations_that_the_emulator_does_not_have_are_refused() {
    let emulator = synthetic(Synthetic::default());
    let key = emulator.some_key().unwrap();
    let code = |query: &str, key: &str| {
        let text = get(&emulator, key, query).unwrap().text();
        text.split("<Code>").nth(1).map(|rest| rest.split('<').next().unwrap().to_owned())
    };
    assert_eq!(code("versions", "").as_deref(), Some("NotImplemented"));
    assert_eq!(code("", &key).as_deref(), None);
    assert_eq!(code("max-keys=1001", "").as_deref(), Some("InvalidArgument"));
    assert_eq!(
        code("ci-process=detect-label&scenes=zoo", &key).as_deref(),
        Some("InvalidArgument")
    );
    assert_eq!(code("ci-process=detect-label", "nothing.jpg").as_deref(), Some("NoSuchKey"));
    let url = "ci-process=detect-label&scenes=web&detect-url=http%3A%2F%2Fe.com%2F";
    assert_eq!(code(&format!("{url}missing.jpg"), "").as_deref(), Some("ResourceDownloadFailed"));
    assert_eq!(code(&format!("{url}there.jpg"), ""), None);
    let put = request(&emulator, "PUT", &signed(&emulator, "GET", "x", ""), "").unwrap();
    assert_eq!(put.status, 403, "signed for GET");
}

#[test]
fn objects_can_be_put_and_deleted_and_the_expected_result_follows() {
    let emulator = synthetic(Synthetic { objects: 3, ..Synthetic::default() });
    let before = control(&emulator, "expected?scenes=web,camera", "").text_unchunked();
    assert!(before.starts_with("key,scene,rank,name,"));
    assert_eq!(before.lines().count(), 31);
    let gone = emulator.some_key().unwrap();
    let body = serde_json::json!({
        "put": [{ "key": "zz,\"1\".jpg", "content": "x", "size": 5, "last_modified": 7 },
                { "key": "cold.jpg", "content": "y", "storage_class": "ARCHIVE" }],
        "delete": [gone],
    });
    assert_eq!(control(&emulator, "objects", &body.to_string()).status, 200);
    assert_eq!(detect(&emulator, &gone).unwrap().status, 404);
    assert_eq!(detect(&emulator, "cold.jpg").unwrap().status, 403);
    assert_eq!(detect(&emulator, "zz,\"1\".jpg").unwrap().status, 200);
    let after = control(&emulator, "expected?scenes=web,camera", "").text_unchunked();
    assert_eq!(after.lines().count(), 31);
    assert!(after.lines().last().unwrap().starts_with("\"zz,\"\"1\"\".jpg\",web,5,"));
    assert!(after.ends_with(",9dd4e461268c8034f5c8564e155c67a6,5,7\n"));
    assert!(!after.contains("cold.jpg"));
    let keys = control(&emulator, "keys", "").text_unchunked();
    assert!(keys.contains("{\"key\":\"zz,\\\"1\\\".jpg\",\"calls\":1}"), "{keys}");
    assert_eq!(control(&emulator, "reset", "{}").status, 200);
    assert_eq!(emulator.statistics().calls, 0);
}

#[test]
fn a_folder_is_served_with_its_present_files() {
    let root = tempfile::tempdir().unwrap();
    pictures::write_samples(root.path()).unwrap();
    // Reading the pixels of all pictures takes seconds in a build without optimisation.
    for album in ["animals", "documents", "food", "home", "people", "shop", "travel"] {
        fs::remove_dir_all(root.path().join(album)).unwrap();
    }
    let holdings = Holdings::Images(root.path().to_owned());
    let emulator = Emulator::start(Options { holdings, ..Options::default() }).unwrap();
    let page = get(&emulator, "", "encoding-type=url").unwrap().text();
    let files = ["backup", "city", "events", "garden"].map(|album| {
        fs::read_dir(root.path().join(album))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::read_dir(path).unwrap().count() } else { 1 }
            })
            .sum::<usize>()
    });
    // The file beside the albums is notes.txt.
    assert_eq!(keys_of(&page).len(), files.into_iter().sum::<usize>() + 1);
    let got = detect(&emulator, "city/bridges/bridge4.jpg").unwrap();
    assert!(got.text().contains("<Name>横图</Name>"), "{}", got.text());
    fs::copy(
        root.path().join("garden/sunflower.jpg"),
        root.path().join("city/bridges/bridge4.jpg"),
    )
    .unwrap();
    assert!(
        detect(&emulator, "city/bridges/bridge4.jpg").unwrap().text().contains("<Name>方图</Name>")
    );
    fs::remove_file(root.path().join("city/bridges/bridge4.jpg")).unwrap();
    assert_eq!(detect(&emulator, "city/bridges/bridge4.jpg").unwrap().status, 404);
    for file in ["backup/damaged.jpg", "backup/empty.jpg", "notes.txt"] {
        assert!(detect(&emulator, file).unwrap().text().contains("InvalidImageFormat"), "{file}");
    }
    assert_eq!(control(&emulator, "objects", r#"{"delete":["x"]}"#).status, 400);
    let expected = control(&emulator, "expected?scenes=web", "").text_unchunked();
    assert!(expected.contains("events/元宵节 灯会/lantern.jpg,web,1,"));
    assert!(!expected.contains("damaged.jpg"));
}

#[test]
fn an_emulator_that_cannot_start_returns_the_reason() {
    let bucket = Options { bucket: "noappid".into(), ..Options::default() };
    assert!(matches!(Emulator::start(bucket), Err(Error::Bucket(_))));
    let folder = Holdings::Images("/nonexistent/folder".into());
    let folder = Options { holdings: folder, ..Options::default() };
    assert!(matches!(Emulator::start(folder), Err(Error::Folder { .. })));
    let first = Emulator::start(Options::default()).unwrap();
    let port = first.address().port();
    let second = Options { port, ..Options::default() };
    assert!(matches!(Emulator::start(second), Err(Error::Listen { .. })));
}

impl Got {
    /// Returns the body of a chunked answer.
    fn text_unchunked(&self) -> String {
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        let (mut rest, mut out) = (&self.body[..], Vec::new());
        while let Some(at) = rest.windows(2).position(|part| part == b"\r\n") {
            let size = std::str::from_utf8(&rest[..at]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            out.extend_from_slice(&rest[at + 2..at + 2 + size]);
            rest = &rest[at + 4 + size..];
            if size == 0 {
                break;
            }
        }
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn header_names_are_written_as_the_service_writes_them() {
    let emulator = synthetic(Synthetic { objects: 10, ..Synthetic::default() });
    let key = emulator.some_key().unwrap();
    let names = |got: Got| -> Vec<String> {
        let lines = got.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, _)| name.to_owned()).collect()
    };
    let head = names(request(&emulator, "HEAD", &signed(&emulator, "HEAD", &key, ""), "").unwrap());
    for name in ["ETag", "Last-Modified", "Content-Length", "Content-Type", "Date", "Server"] {
        assert!(head.iter().any(|known| known == name), "{name} in {head:?}");
    }
    assert!(head.iter().any(|name| name == "x-cos-request-id"), "{head:?}");
    let labels = names(detect(&emulator, &key).unwrap());
    for name in ["Content-Type", "Content-Length", "x-cos-request-id"] {
        assert!(labels.iter().any(|known| known == name), "{name} in {labels:?}");
    }
    let refused = names(request(&emulator, "GET", "/", "").unwrap());
    assert!(refused.iter().any(|name| name == "Content-Type"), "{refused:?}");
}

#[test]
fn control_paths_refuse_requests_for_other_hosts() {
    let emulator = synthetic(Synthetic::default());
    let ask = |headers: &str| {
        let head = format!("GET /.costag/stats HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        send(&emulator, &head).unwrap().status
    };
    for own in [
        "Host: localhost:9000\r\n",
        "Host: LOCALHOST\r\n",
        "Host: 127.0.0.1\r\n",
        "Host: 127.8.9.1:80\r\n",
        "Host: [::1]:9000\r\n",
        "Host: demo-1250000000.localhost:9000\r\n",
        "Host: localhost\r\nOrigin: http://localhost:8080\r\n",
        "Host: localhost\r\nOrigin: https://[::1]\r\n",
    ] {
        assert_eq!(ask(own), 200, "{own}");
    }
    for foreign in [
        "Host: example.com\r\n",
        "Host: localhost.example.com\r\n",
        "Host: 127.0.0.1.example.com:9000\r\n",
        "Host: 10.0.0.1\r\n",
        "Host: [::2]\r\n",
        "Host:\r\n",
        "Host: localhost\r\nOrigin: http://example.com\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nOrigin: file://\r\n",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://example.com\r\n",
    ] {
        assert_eq!(ask(foreign), 403, "{foreign}");
    }
}

#[test]
fn options_that_are_too_large_are_refused() {
    let start = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        Emulator::start(options).err().expect("it is refused").to_string()
    };
    let objects = |objects| Holdings::Objects(Synthetic { objects, ..Synthetic::default() });
    assert_eq!(
        start(|options| options.threads = NonZeroUsize::new(1 << 40)),
        "1099511627776 threads are too many: an emulator has at most 1024"
    );
    let mut options = Options { holdings: objects(u64::MAX), ..Options::default() };
    let error = Emulator::start(options).err().unwrap().to_string();
    assert!(error.starts_with("18446744073709551615 objects are too many"), "{error}");
    let bucket = Synthetic { labels_per_image: usize::MAX, ..Synthetic::default() };
    options = Options { holdings: Holdings::Objects(bucket), ..Options::default() };
    assert!(Emulator::start(options).err().unwrap().to_string().contains("labels of an image"));
    // The largest possible bucket starts at once and answers requests.
    let emulator =
        Emulator::start(Options { holdings: objects(MOST_OBJECTS), ..Options::default() }).unwrap();
    assert!(emulator.some_key().is_some());
}
