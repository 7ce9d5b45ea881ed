//! Networks that fail and recover, and servers that answer unlike the service.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, nobody, start, wait_until};

/// Starts a server that answers each request according to its head, one request for each connection.
fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut part = [0; 8192];
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(count @ 1..) => head.extend_from_slice(&part[..count]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(&answer(&String::from_utf8_lossy(&head)));
                let _ = stream.shutdown(Shutdown::Write);
                // Read the rest of the request first: closing a socket with unread bytes resets the connection.
                let _ = stream.read(&mut part);
            });
        }
    });
    address
}

/// A complete HTTP answer. `head` is the status line and additional headers.
fn http(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A proxy in front of an emulator that can be cut: then nobody listens, and open connections are closed.
struct Way {
    address: SocketAddr,
    to: SocketAddr,
    open: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Way {
    fn to(to: SocketAddr) -> Self {
        let address = nobody();
        let mut way = Self { address, to, open: None };
        way.open();
        way
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn open(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        let (cut, to) = (Arc::new(AtomicBool::new(false)), self.to);
        let is_cut = Arc::clone(&cut);
        let thread = thread::spawn(move || {
            let mut streams: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                if is_cut.load(Ordering::SeqCst) {
                    break;
                }
                let here = stream.unwrap();
                let there = TcpStream::connect(to).unwrap();
                for (mut from, mut into) in [
                    (here.try_clone().unwrap(), there.try_clone().unwrap()),
                    (there.try_clone().unwrap(), here.try_clone().unwrap()),
                ] {
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut into);
                        let _ = into.shutdown(Shutdown::Both);
                    });
                }
                streams.extend([here, there]);
            }
            for stream in streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        self.open = Some((cut, thread));
    }

    fn cut(&mut self) {
        let Some((cut, thread)) = self.open.take() else { return };
        cut.store(true, Ordering::SeqCst);
        // Unblock the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap();
    }
}

/// The command for a run against a service at this address.
fn run_at(endpoint: &str, options: &[&str]) -> Ended {
    let site = Site::plain(0);
    let mut command = site.command(&[&["run", BUCKET], options].concat());
    command.env("COSTAG_ENDPOINT", endpoint);
    start(command).end()
}

/// A listing page with these keys that says it is the last one.
fn page(keys: &[&str]) -> Vec<u8> {
    let entry = |key: &&str| {
        format!("<Contents><Key>{key}</Key><ETag>\"{key}\"</ETag><Size>9</Size></Contents>")
    };
    let entries = keys.iter().map(entry).collect::<Vec<_>>().concat();
    let body = format!(
        "<ListBucketResult><Prefix/><Marker/>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>"
    );
    http("200 OK", &body)
}

#[test]
fn a_dead_network_costs_time_but_no_attempt_of_any_image() {
    const WORKERS: usize = 4;
    let bucket = Synthetic { objects: 150, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { latency_ms: 20, ..Settings::default() });
    let mut way = Way::to(site.emulator.address());
    let mut command = site.command(&["run", BUCKET, "--workers", "4", "--log", "costag=debug"]);
    command.env("COSTAG_ENDPOINT", way.endpoint());
    let run = start(command);
    wait_until("some calls", || site.calls() >= 20);
    way.cut();
    let calls = site.calls();
    // All requests share one pause, which grows: 0.5, 1, 2 seconds.
    wait_until("it waits", || run.stderr().matches("not sent").count() >= 3);
    assert_eq!(site.calls(), calls, "nothing goes through");
    way.open();
    let ended = run.end().with(0).says(&["  waited    "]);
    // Only calls that were in flight at that moment count as attempts. A call that was never sent does not.
    let lost: i64 = site.one("SELECT count(*) FROM call WHERE outcome <> 0");
    assert!(lost <= WORKERS.try_into().unwrap(), "{lost}: {}", ended.stderr);
    assert_eq!(site.states(), [0, 0, 150, 0]);
    let (settled, unknown) = site.ledger();
    assert!(unknown == 0 && settled >= 150, "{settled} {unknown}");
    site.assert_exports("camera");
}

/// A page that is not the last one: after this marker, with these entries (key and size) and this `NextMarker`.
fn truncated(marker: &str, entries: &[(&str, &str)], next: &str) -> Vec<u8> {
    let entry = |(key, size): &(&str, &str)| {
        format!("<Contents><Key>{key}</Key><ETag>\"{key}\"</ETag><Size>{size}</Size></Contents>")
    };
    let entries = entries.iter().map(entry).collect::<Vec<_>>().concat();
    let body = format!(
        "<ListBucketResult><EncodingType>url</EncodingType><Prefix/><Marker>{marker}</Marker>\
         {entries}<IsTruncated>true</IsTruncated><NextMarker>{next}</NextMarker></ListBucketResult>"
    );
    http("200 OK", &body)
}

/// Two nights: the first one lists these keys, the second one gets a different first page.
#[track_caller]
fn second_night(keys: &'static [&'static str], first: Vec<u8>) -> (String, Vec<String>) {
    let night = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&night);
    let address = answering(move |head| {
        if head.contains("detect-label") {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        let marker = head.split("marker=").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
        let marker = marker.unwrap_or_default();
        if now.load(Ordering::SeqCst) == 2 && marker.is_empty() {
            return first.clone();
        }
        let rest: Vec<&str> = keys.iter().copied().filter(|key| *key > marker).collect();
        let page = String::from_utf8(page(&rest)).unwrap();
        let body = page.split_once("\r\n\r\n").unwrap().1;
        http("200 OK", &body.replace("<Marker/>", &format!("<Marker>{marker}</Marker>")))
    });
    let site = Site::plain(0);
    let run = || {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_ENDPOINT", format!("http://{address}"));
        start(command).end().with(0)
    };
    run();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), i64::try_from(keys.len()).unwrap());
    night.store(2, Ordering::SeqCst);
    let told = run().stderr;
    let database = site.database();
    let mut gone = database.prepare("SELECT key FROM object WHERE gone_run IS NOT NULL").unwrap();
    let gone = gone.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    site.assert_sound();
    (told, gone)
}

const LETTERS: &[&str] = &["a.jpg", "b.jpg", "c.jpg", "m.jpg", "n.jpg"];

#[test]
fn the_next_page_starts_after_the_last_key_whatever_next_marker_says() {
    let first = truncated("", &[("a.jpg", "9"), ("c.jpg", "9")], "zzz");
    let (told, gone) = second_night(LETTERS, first);
    assert_eq!(gone, ["b.jpg"], "{told}");
    assert!(told.contains("listed    4 objects"), "{told}");
}

#[test]
fn a_last_key_that_cannot_be_called_still_ends_the_page() {
    let first = truncated("", &[("a.jpg", "9"), ("b.jpg", "9"), ("c.jpg", "-1")], "zzz");
    let (told, gone) = second_night(LETTERS, first);
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    5 objects: 4 wanted"), "{told}");
}

#[test]
fn a_page_that_ends_with_an_unreadable_key_proves_nothing_after_the_last_readable_key() {
    let first = truncated("", &[("a.jpg", "9"), ("c%FF", "9")], "m.jpg");
    let (told, gone) = second_night(LETTERS, first);
    // Only the page says where the next one starts, and b.jpg may lie before the key that cannot be read.
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    3 objects: 2 wanted"), "{told}");
}

#[test]
fn a_page_without_keys_does_not_prove_that_objects_are_gone() {
    let (told, gone) = second_night(LETTERS, truncated("", &[], "m.jpg"));
    assert!(gone.is_empty(), "{gone:?} {told}");
    assert!(told.contains("listed    1 objects"), "{told}");
}

#[test]
fn a_listing_that_fails_for_a_while_continues() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < 4 {
            http("503 Busy", "<Error><Code>ServiceUnavailable</Code></Error>")
        } else {
            page(&[])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(0);
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[test]
fn a_redirect_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let elsewhere = answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        page(&[])
    });
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let head = format!("{status}\r\nLocation: http://{elsewhere}/?q-signature=secret");
        let by_service = format!("{head}\r\nx-cos-request-id: R1");
        let address = answering(move |_| http(&by_service, ""));
        let target = format!("a redirect to http://{elsewhere}/");
        let ended = run_at(&format!("http://{address}"), &[]).with(2).says(&[&target]);
        assert!(!ended.stderr.contains("q-signature"), "{}", ended.stderr);
        // A redirect without a request id comes from a login page or a proxy, and may be temporary.
        let address = answering(move |_| http(&head, ""));
        let ended = run_at(&format!("http://{address}"), &["--patience", "1s"]).with(5);
        let ended = ended.says(&[&target, "something in between"]);
        assert!(!ended.stderr.contains("q-signature"), "{}", ended.stderr);
    }
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[rstest]
#[case::no_status_line(b"\x00\xff\x1b[2J garbage\r\n\r\n".to_vec())]
#[case::http_0_9(b"<html>an answer without a head</html>".to_vec())]
#[case::a_huge_header([&b"HTTP/1.1 200 OK\r\nX: "[..], &b"x".repeat(1 << 20), b"\r\n\r\n"].concat())]
#[case::many_headers([&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(5000), b"\r\n"].concat())]
#[case::a_length_that_is_none(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec())]
#[case::a_huge_length(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx".to_vec())]
#[case::a_bad_chunk(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx".to_vec())]
#[case::nothing(Vec::new())]
fn an_answer_that_is_not_http_ends_the_run_with_exit_code_5(#[case] bytes: Vec<u8>) {
    let address = answering(move |_| bytes.clone());
    let ended = run_at(&format!("http://{address}"), &["--patience", "300ms"]).with(5);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}

#[test]
fn a_long_retry_after_in_the_last_pass_fails_the_image() {
    let address = answering(|head| {
        if head.contains("detect-label") {
            http("500 Error\r\nRetry-After: 60", "<Error><Code>InternalError</Code></Error>")
        } else {
            page(&["a.jpg"])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(3).says(&["InternalError"]);
}

#[test]
fn a_throttled_image_with_a_long_wait_occupies_no_worker() {
    let keys: Vec<String> = (0..12).map(|n| format!("{n:02}.jpg")).collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (listed, order) = (keys.clone(), Arc::clone(&asked));
    let address = answering(move |head| {
        let Some(key) = listed.iter().find(|key| head.starts_with(&format!("GET /{key}?"))) else {
            return page(&listed.iter().map(String::as_str).collect::<Vec<_>>());
        };
        let mut order = order.lock().unwrap();
        let again = order.iter().any(|(asked, _)| asked == key);
        order.push((key.clone(), Instant::now()));
        if key == "03.jpg" && !again {
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 5", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    run_at(&format!("http://{address}"), &["--workers", "1"]).with(0).says(&["1 throttled"]);
    let asked = asked.lock().unwrap();
    let order: Vec<&String> = asked.iter().map(|(key, _)| key).collect();
    assert!(order.iter().copied().take(12).eq(&keys), "the others go on meanwhile: {order:?}");
    assert_eq!(order[12..], ["03.jpg"]);
    assert!(asked[12].1 - asked[3].1 >= Duration::from_secs(5), "and it is not asked too early");
    assert!(asked[4].1 - asked[3].1 < Duration::from_secs(4), "the one worker went on at once");
}

#[test]
fn a_wait_that_the_service_asks_for_is_respected() {
    let keys: Vec<String> = (0..14).map(|n| format!("{n:02}.jpg")).collect();
    let (first, throttled) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&throttled);
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let begun = *first.lock().unwrap().get_or_insert_with(Instant::now);
        if begun.elapsed() < Duration::from_secs(4) {
            count.fetch_add(1, Ordering::SeqCst);
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 5", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    let ended = run_at(&format!("http://{address}"), &["--workers", "3"]).with(0);
    ended.says(&["14 done, 0 failed, 0 pending", "  waited    "]);
    let throttled = throttled.load(Ordering::SeqCst);
    assert!(throttled <= 6, "{throttled} of 14: those that were on the wire, and no more");
}

#[rstest]
#[case::one_by_one(1)]
#[case::side_by_side(8)]
fn a_wait_longer_than_patience_ends_the_run_at_once(#[case] workers: usize) {
    let keys: Vec<String> = (0..60).map(|n| format!("{n:02}.jpg")).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let answered = count.fetch_add(1, Ordering::SeqCst) < 5;
        if answered {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        let body = "<Error><Code>SlowDown</Code></Error>";
        http("503 Slow Down\r\nRetry-After: 7200", body)
    });
    let options = ["--workers", &workers.to_string(), "--patience", "1h"];
    let begun = Instant::now();
    let ended = run_at(&format!("http://{address}"), &options).with(5);
    ended.says(&["come back at", "2h", "5 done, 0 failed, 55 pending"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(asked.load(Ordering::SeqCst) <= 5 + 3 + workers, "{asked:?}");
}

#[test]
fn a_listing_with_a_wait_longer_than_patience_ends_the_run_at_once() {
    let body = "<Error><Code>SlowDown</Code></Error>";
    let address = answering(move |_| http("503 Slow Down\r\nRetry-After: 7200", body));
    let begun = Instant::now();
    run_at(&format!("http://{address}"), &["--patience", "1h"]).with(5).says(&["come back at"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[rstest]
#[case::one_by_one("1")]
#[case::side_by_side("8")]
fn a_long_wait_for_one_image_fails_only_that_image(#[case] workers: &str) {
    let keys: Vec<String> = (0..30).map(|n| format!("{n:02}.jpg")).collect();
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if head.starts_with("GET /00.jpg?") || head.starts_with("GET /17.jpg?") {
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 7200", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    let begun = Instant::now();
    let ended = run_at(&format!("http://{address}"), &["--workers", workers]).with(3);
    ended.says(&["28 done, 2 failed, 0 pending", "SlowDown"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_wait_that_a_proxy_asks_for_is_ignored() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            http("503 Busy\r\nRetry-After: 7200", "<html><title>Busy</title></html>")
        } else {
            page(&[])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(0);
}

#[test]
fn a_waiting_run_shows_what_it_waits_for_and_until_when() {
    let endpoint = format!("http://{}", nobody());
    let ended = run_at(&endpoint, &["--patience", "4s"]).with(5);
    ended.says(&[
        "waiting: the listing was not answered",
        ", since ",
        "next try at ",
        "gives up at ",
    ]);
}

#[test]
fn a_service_whose_clock_jumps_ends_the_run() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |_| {
        let year = 2030 + 10 * (count.fetch_add(1, Ordering::SeqCst) % 2);
        let head = format!("403 Forbidden\r\nDate: 01 Jan {year} 00:00:00 GMT");
        http(&head, "<Error><Code>RequestTimeTooSkewed</Code></Error>")
    });
    run_at(&format!("http://{address}"), &[]).with(6);
    assert!(asked.load(Ordering::SeqCst) < 200, "{asked:?}");
}

#[test]
fn a_host_that_does_not_exist_ends_with_exit_code_2() {
    let site = Site::plain(0);
    let begun = Instant::now();
    let run = |endpoint: &str| {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_ENDPOINT", endpoint);
        start(command).end()
    };
    let ended = run("https://photos-1.cos.ap-guangzho.invalid");
    if ended.stderr.contains("Temporary failure") {
        // The resolver of this machine cannot tell whether the host exists.
        return;
    }
    let ended = ended.with(2);
    ended.says(&["there is no host", "ap-guangzhou", "without a network"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_proxy_that_cannot_be_used_ends_with_exit_code_2() {
    let site = Site::plain(0);
    for (name, value) in [("ALL_PROXY", "ftp://u:secret@p:1"), ("https_proxy", "socks6://p:1")] {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_ENDPOINT", "https://photos.invalid").env(name, value);
        let ended = start(command).end().with(2).says(&[name, "socks5"]);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
    for value in ["http://u:secret@", "http://u:secret@p:99999", "http://u:sec#ret@p:1"] {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_ENDPOINT", "https://photos.invalid").env("ALL_PROXY", value);
        let ended = start(command).end().with(2).says(&["ALL_PROXY", "SCHEME://HOST:PORT"]);
        assert!(!ended.stderr.contains("sec"), "{}", ended.stderr);
    }
}

/// A SOCKS5 proxy that always connects to this address. Also returns the number of its connections.
fn socks(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut here, counted) = (stream.unwrap(), Arc::clone(&counted));
            thread::spawn(move || -> io::Result<()> {
                let mut start = [0; 2];
                here.read_exact(&mut start)?;
                here.read_exact(&mut vec![0; start[1].into()])?;
                here.write_all(&[5, 0])?;
                let mut request = [0; 4];
                here.read_exact(&mut request)?;
                let length = match request[3] {
                    1 => 4,
                    4 => 16,
                    _ => {
                        let mut length = [0];
                        here.read_exact(&mut length)?;
                        length[0].into()
                    }
                };
                here.read_exact(&mut vec![0; length + 2])?;
                let mut there = TcpStream::connect(to)?;
                counted.fetch_add(1, Ordering::SeqCst);
                here.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
                let (mut back, mut into) = (there.try_clone()?, here.try_clone()?);
                thread::spawn(move || io::copy(&mut back, &mut into));
                io::copy(&mut here, &mut there)?;
                there.shutdown(Shutdown::Both)
            });
        }
    });
    (address, count)
}

#[rstest]
#[case::by_address("socks5", "http://192.0.2.7:8080")]
#[case::by_name("socks5h", "http://photos.invalid:8080")]
fn a_socks_proxy_is_used(#[case] scheme: &str, #[case] endpoint: &str) {
    let site = Site::plain(20);
    let (proxy, count) = socks(site.emulator.address());
    let mut command = site.command(&["run", BUCKET, "--allow-http"]);
    command.env("COSTAG_ENDPOINT", endpoint).env("ALL_PROXY", format!("{scheme}://{proxy}"));
    start(command).end().with(0);
    assert!(count.load(Ordering::SeqCst) > 0);
    site.assert_exports("camera");
}

#[test]
fn every_refusal_names_where_the_credentials_came_from() {
    let site = Site::plain(30);
    let source = "the environment variable COSTAG_SECRET_ID";
    site.change(r#"{"faults":{"list_access_denied":1.0}}"#);
    site.run(&[]).with(6).says(&["AccessDenied", source]);
    site.change(r#"{"clear":true,"faults":{"access_denied":1.0}}"#);
    site.run(&[]).with(6).says(&["AccessDenied", source]);
    site.change(r#"{"clear":true,"faults":{"proxy_page":1.0}}"#);
    let ended = site.run(&["--patience", "1s"]).with(5);
    assert!(
        !ended.stderr.contains("credentials"),
        "a proxy's refusal blames no key: {}",
        ended.stderr
    );
}

/// A page of a thousand and one entries answers the first requests of a listing, as many as `wrong` says.
#[rstest]
#[case::once(1, 0, 2)]
#[case::always(usize::MAX, 5, 4)]
fn a_page_that_is_no_answer_is_asked_for_again_a_few_times(
    #[case] wrong: usize,
    #[case] code: i32,
    #[case] asked: usize,
) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let address = answering(move |head| {
        if head.contains("detect-label") {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        if count.fetch_add(1, Ordering::SeqCst) < wrong {
            let keys: Vec<String> = (0..1001).map(|number| format!("{number:04}.jpg")).collect();
            return page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        page(&["a.jpg"])
    });
    run_at(&format!("http://{address}"), &["--list-workers", "1"]).with(code);
    assert_eq!(requests.load(Ordering::SeqCst), asked);
}
