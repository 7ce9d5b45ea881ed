//! Servers that are not the emulator, and addresses without a server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

/// A loopback port on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a server that answers every request with the same bytes, or never answers if there are none.
pub(crate) fn canned(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !answer.is_empty() {
                let mut request = [0; 8192];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            open.push(stream);
        }
    });
    address
}
