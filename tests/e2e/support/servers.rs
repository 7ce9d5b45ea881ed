//! Servers that are not the emulator, and addresses without a server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Socket, Type};

use super::{BUCKET, Ended, Site, start};

/// An address that refuses connections unless a listener of [`Reserved::listen`] is open.
///
/// A socket that is bound and does not listen keeps the port. Otherwise the emulator of another test could get it, and
/// would be called by a program that expects nobody there.
#[derive(Debug)]
pub(crate) struct Reserved(Socket);

impl Reserved {
    pub(crate) fn new() -> Self {
        Self(bound(SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// Accepts connections at the address until the listener is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        let socket = bound(self.address());
        socket.listen(128).unwrap();
        socket.into()
    }
}

/// A socket at this address, which further sockets of this user may share.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    // Connections that have just ended at this port do not prevent its use.
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// A loopback port on which nobody listens while the tests run.
pub(crate) fn nobody() -> SocketAddr {
    let reserved = Reserved::new();
    let address = reserved.address();
    // The socket stays open until this process ends.
    std::mem::forget(reserved);
    address
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

/// Starts a server that answers each POST according to its path and its whole body.
pub(crate) fn posted(answer: impl Fn(&str, &str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 8192];
            let (head, body) = loop {
                let Ok(count @ 1..) = stream.read(&mut part) else { return };
                request.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let lower = head.to_ascii_lowercase();
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = stream.write_all(&http("200 OK", &answer(&path, &body)));
            let _ = stream.shutdown(Shutdown::Write);
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
