//! `costag serve`: the page of a database, asked over plain sockets.

mod browsed;
mod explored;
mod links;
mod pictures;
mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{LONGEST, Running, Site, wait_until};

/// A server at work.
pub(crate) struct Served {
    running: Running,
    pub(crate) port: u16,
    /// The query that lets a browser in.
    pub(crate) token: String,
}

impl Site {
    /// Starts a server, and waits until it says where it is.
    pub(crate) fn serve(&self, options: &[&str]) -> Served {
        Served::started(self.start(&[&["serve"], options].concat()))
    }
}

impl Served {
    pub(crate) fn started(running: Running) -> Self {
        wait_until("the server says where it is", || running.stderr().contains("ssh -L"));
        let told = running.stderr();
        let (_, rest) = told.split_once("the page is at\n  http://127.0.0.1:").unwrap();
        let (port, rest) = rest.split_once("/?").unwrap();
        let token = rest.lines().next().unwrap().to_owned();
        Self { port: port.parse().unwrap(), token, running }
    }

    pub(crate) fn running(self) -> Running {
        self.running
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream
    }

    /// Sends these bytes, and reads until the server closes.
    fn raw(&self, request: &str) -> String {
        String::from_utf8_lossy(&self.sent(request)).into_owned()
    }

    /// As [`Served::raw`], with the bytes as they are.
    fn sent(&self, request: &str) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A server that refuses may reset what it did not read.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// The cookie that the server gives for its token.
    fn cookie(&self) -> String {
        let answer = self.raw(&self.head("GET", &format!("/?{}", self.token), ""));
        let (_, cookie) = answer.split_once("set-cookie: ").unwrap_or_else(|| panic!("{answer}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// A request without a cookie.
    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let port = self.port;
        format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{more}\r\n"
        )
    }

    /// The answer to a request of a browser that was let in.
    pub(crate) fn get(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.bytes(path)).into_owned()
    }

    /// As [`Served::get`], with the bytes as they are.
    fn bytes(&self, path: &str) -> Vec<u8> {
        let cookie = format!("cookie: {}\r\n", self.cookie());
        self.sent(&self.head("GET", path, &cookie))
    }
}
