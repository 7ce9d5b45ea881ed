//! Accepts connections, and passes each request through the guard to its page.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{self, Answer};
use super::guard::{Guard, Verdict};
use super::pages;
use super::patient::Patient;
use super::site::{Pictures, Site};
use super::state::State;

/// The most connections. Further ones wait until another one has ended.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request, and how long a connection may wait for the next one.
const HEAD: Duration = Duration::from_secs(10);

/// How long a client may take none of the bytes of an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// The largest head of a request. Keys of 850 bytes may be in an address several times.
const HEAD_SIZE: usize = 64 << 10;

/// Tells open requests that the server ends. This happens when it is dropped, so also after an error or a panic.
struct Ends(Arc<State>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Serves the pages of a site until the future is dropped. The listener must listen on a loopback address.
///
/// # Errors
/// The listener has another address.
pub async fn serve(listener: TcpListener, site: Site, guard: Guard) -> std::io::Result<Infallible> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(std::io::Error::other(format!("{address} is no loopback address")));
    }
    let state = Arc::new(State::new(site, guard));
    let _ends = Ends(Arc::clone(&state));
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, peer)) if is_loopback(peer) => {
                tokio::spawn(connection(stream, Arc::clone(&state), permit));
            }
            Ok((_, peer)) => tracing::warn!(%peer, "a connection from elsewhere was refused"),
            // Most likely there are no file descriptors left. Wait until a connection has ended.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

async fn connection(stream: TcpStream, state: Arc<State>, permit: OwnedSemaphorePermit) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(respond(&state, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(Patient::new(stream, PATIENCE)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}

async fn respond(state: &Arc<State>, request: Request<Incoming>) -> Answer {
    let verdict = state.guard.check(request.method(), request.uri(), request.headers());
    let mut answer = match verdict {
        Verdict::Pass => pages::respond(state, request.uri()).await,
        Verdict::Enter { location, cookie } => {
            answer::redirect(303, &location, Some(cookie.expose()))
        }
        Verdict::Refuse(status, why) => {
            let mut answer = answer::line(status, why);
            // Whoever may not ask shall not keep a connection.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            answer
        }
    };
    let pictures = match &state.site.pictures {
        Pictures::Links { origin, .. } => Some(origin.as_str()),
        Pictures::None(_) | Pictures::Folder(_) => None,
    };
    answer::finish(answer.headers_mut(), pictures);
    answer
}
