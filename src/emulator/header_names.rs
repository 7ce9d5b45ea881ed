//! Writes header names in the case that the service uses, such as `ETag` and `Content-Type`.
//!
//! Names are not case-sensitive in HTTP, but some clients treat them so: the official Python SDK copies the headers into a
//! dictionary and looks up `Content-Type` there. hyper writes names in lower case, unless a message has a table of names,
//! which hyper makes only when it reads a request. So the emulator reads one request with all names at its start, and
//! gives that table to every answer.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, OnceLock};

use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

/// The names in answers that the service does not write in lower case.
const NAMES: [&str; 10] = [
    "Access-Control-Allow-Origin",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Server",
];

/// The table of names, as an extension of an answer.
#[derive(Clone)]
pub(super) struct HeaderNames(Extensions);

impl HeaderNames {
    /// Makes the table, by reading a request with all names.
    ///
    /// # Errors
    /// Returns an error if hyper cannot read the request.
    pub(super) async fn learn() -> io::Result<Self> {
        let mut request = "GET / HTTP/1.1\r\nHost: x\r\n".to_owned();
        for name in NAMES {
            let value = if name == "Content-Length" { "0" } else { "close" };
            request.extend([name, ": ", value, "\r\n"]);
        }
        request += "\r\n";
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(request.as_bytes()).await?;
        client.shutdown().await?;
        let learned = Arc::new(OnceLock::new());
        let keep = Arc::clone(&learned);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let _ = keep.set(request.extensions().clone());
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        });
        let outcome = http1::Builder::new()
            .preserve_header_case(true)
            .keep_alive(false)
            .serve_connection(TokioIo::new(server), service)
            .await;
        drop(client);
        match learned.get() {
            Some(extensions) => Ok(Self(extensions.clone())),
            None => Err(io::Error::other(
                outcome.err().map_or_else(|| "nothing was read".into(), |error| error.to_string()),
            )),
        }
    }

    /// Gives the table to an answer.
    pub(super) fn write<B>(&self, answer: &mut Response<B>) {
        answer.extensions_mut().extend(self.0.clone());
    }
}
