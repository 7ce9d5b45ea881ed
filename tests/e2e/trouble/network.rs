//! Networks that fail and recover, and servers that answer unlike the service.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{
    BUCKET, Reserved, Site, answering, http, last_page, run_at, start, wait_until,
};

/// A proxy in front of an emulator that can be cut: then nobody listens, and open connections are closed.
struct Way {
    here: Reserved,
    to: SocketAddr,
    open: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Way {
    fn to(to: SocketAddr) -> Self {
        let mut way = Self { here: Reserved::new(), to, open: None };
        way.open();
        way
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.here.address())
    }

    fn open(&mut self) {
        let listener = self.here.listen();
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
        let _ = TcpStream::connect(self.here.address());
        thread.join().unwrap();
    }
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

#[test]
fn a_redirect_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let elsewhere = answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        last_page(&[])
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

#[test]
fn a_call_that_met_no_closed_connection_is_in_the_ledger_once() {
    const IMAGES: u64 = 60;
    let site = Site::plain(IMAGES);
    site.change(r#"{"faults": {"close": 1}}"#);
    // Between two calls there is time for the end of a connection to arrive.
    site.run(&["--workers", "4", "--qps", "40"]).with(0);
    let served = site.emulator.statistics().calls;
    let database = rusqlite::Connection::open(site.path("costag.db")).unwrap();
    let count = |what: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM call{what}");
        database.query_row(&sql, (), |row| row.get(0)).unwrap()
    };
    assert_eq!(served, IMAGES);
    // Only a call that was sent while the end of its connection was on its way can be a further one.
    let further = count("_error");
    assert_eq!(count(""), i64::try_from(IMAGES).unwrap() + further);
    assert!(further <= 3, "{further}");
}
