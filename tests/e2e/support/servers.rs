//! Servers that are not the emulator, and addresses without a server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use super::{BUCKET, Ended, Site, start};

/// A loopback port on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a server that answers every request with the same bytes, or never answers if there are none.
pub(crate) fn canned(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !answer.is_empty() {
                let mut request = [0; 8192];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(Shutdown::Write);
            }
            open.push(stream);
        }
    });
    address
}

/// Starts a server that answers each request according to its head, one request for each connection.
pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
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
pub(crate) fn http(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The command for a run against a service at this address.
pub(crate) fn run_at(endpoint: &str, options: &[&str]) -> Ended {
    let site = Site::plain(0);
    let mut command = site.command(&[&["run", BUCKET], options].concat());
    command.env("COSTAG_ENDPOINT", endpoint);
    start(command).end()
}

/// A listing page with these keys that says it is the last one.
pub(crate) fn last_page(keys: &[&str]) -> Vec<u8> {
    let entry = |key: &&str| {
        format!("<Contents><Key>{key}</Key><ETag>\"{key}\"</ETag><Size>9</Size></Contents>")
    };
    let entries = keys.iter().map(entry).collect::<Vec<_>>().concat();
    let body = format!(
        "<ListBucketResult><Prefix/><Marker/>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>"
    );
    http("200 OK", &body)
}
