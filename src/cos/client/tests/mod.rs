//! The client against a server that plays prepared answers.

mod answers;
mod certificates;
mod requests;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::signed_http::TOKEN_HEADER;
use super::*;
use crate::cos::credentials::{self, Credentials};
use crate::cos::signer::{self, SignKey};
use crate::cos::{Restore, encode};
use crate::object::ETag;

/// What the server does after it has read a request's head.
#[derive(Clone)]
enum Play {
    /// Writes these bytes and closes.
    Answer(Vec<u8>),
    /// Writes these bytes, then nothing more.
    Stall(Vec<u8>),
    /// Writes these bytes, then zeros until the client goes.
    Endless(Vec<u8>),
}

fn answer(head: &str, body: &str) -> Play {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    Play::Answer([head.as_bytes(), body.as_bytes()].concat())
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, play: Play) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    match play {
        Play::Answer(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Play::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // This returns when the client has closed the connection.
            let _ = stream.read_u8().await;
        }
        Play::Endless(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server on loopback that plays `plays`, one connection each, and tells the heads it has read.
async fn server(plays: Vec<Play>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for play in plays {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = heads.send(serve(stream, play).await);
        }
    });
    (address, told)
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        secret_id: "AKIDEXAMPLE".to_owned(),
        secret_key: "a-key".into(),
        token: token.map(Into::into),
        expires_at: None,
    }
}

fn client_with(endpoint: &str, token: Option<&str>, options: &Options) -> Client {
    let provider = Arc::new(Provider::fixed(credentials(token)));
    Client::new(Endpoint::custom(endpoint).unwrap(), provider, options).unwrap()
}

fn client(address: SocketAddr) -> Client {
    client_with(&format!("http://{address}"), None, &Options::default())
}

async fn label(client: &Client, key: &str) -> Result<Answer, Error> {
    client.detect_label(Target::Key(key), crate::scene::Scene::Web.into()).await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

const NOTHING: &str = "<RecognitionResult/>";
const EMPTY: &str = include_str!("../../../../tests/data/samples/list-empty.xml");
