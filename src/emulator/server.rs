//! Accepts connections, checks requests, and passes each one to its operation.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::answer::{Answer, Between, Dropped, Stamp, answer};
use super::closable::{Closable, Closes};
use super::header_names::HeaderNames;
use super::state::{Asked, State};
use super::verify::{self, Conditions, Refusal};
use super::{clock, control, detect, head, list, percent, whole};

/// Accepts connections until `stop` changes or its sender is gone.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, mut stop: watch::Receiver<()>) {
    let names = match HeaderNames::learn().await {
        Ok(names) => Arc::new(names),
        Err(error) => return tracing::error!(%error, "the emulator cannot name its headers"),
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&state), Arc::clone(&names)));
            }
            // Most likely there are no file descriptors left. Wait until a connection has ended.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, names: Arc<HeaderNames>) {
    if let Err(error) = speak(stream, state, names).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn speak(stream: TcpStream, state: Arc<State>, names: Arc<HeaderNames>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let reset = Arc::new(AtomicBool::new(false));
    let stream = Closable::new(stream);
    let closes = stream.closes();
    let service = service_fn(|request| {
        let (state, reset, names) = (Arc::clone(&state), Arc::clone(&reset), Arc::clone(&names));
        let closes = Arc::clone(&closes);
        // The future is boxed, because `into_parts` needs a connection that is `Unpin`.
        Box::pin(async move {
            let mut answered = respond(&state, request).await;
            if let Ok(answer) = &mut answered {
                names.write(answer);
                if answer.extensions().get::<Closes>().is_some() {
                    closes.store(true, Relaxed);
                }
            }
            reset.store(answered.is_err(), Relaxed);
            answered
        })
    });
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service);
    let ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner().into_inner();
    if reset.load(Relaxed) {
        // Closing the socket without a linger time sends RST, as a machine does that has lost the connection.
        return stream.set_zero_linger();
    }
    ended.map_err(io::Error::other)
}

async fn respond(state: &Arc<State>, request: Request<Incoming>) -> Result<Answer, Dropped> {
    let settings = state.settings();
    let now = clock::now(settings.clock_offset_seconds);
    let count = state.requests.fetch_add(1, Relaxed);
    let mut stamp = Stamp::new(state.started_at, count, now);
    stamp.date_offset = settings.date_offset_seconds;
    // The path is not normalised, neither by hyper nor here: `//` and `..` can be parts of keys.
    let raw_path = request.uri().path();
    if let Some(rest) = raw_path.strip_prefix("/.costag/") {
        let rest = rest.to_owned();
        let mut answer = control::respond(state, &rest, request).await;
        stamp.headers(answer.headers_mut());
        return Ok(answer);
    }
    let path = percent::decode(raw_path.as_bytes(), false);
    let parameters = percent::parse_query(request.uri().query().unwrap_or_default());
    let (method, headers) = (request.method(), request.headers());
    let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    stamp.resource = String::from_utf8_lossy(&[host, &path].concat()).into_owned();
    let key = path.get(1..).unwrap_or_default().to_vec();
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    let asked = Asked { stamp, key, parameters, range, settings };
    let refused = || refusal(state, &asked, method, &path, headers);
    let is_detect = percent::find(&asked.parameters, "ci-process") == Some(b"detect-label");
    let mut answer = if is_detect && method == Method::GET {
        detect::respond(state, &asked, refused).await?
    } else if let Some(refused) = refused() {
        refused
    } else {
        operate(state, &asked, method).await?
    };
    if answer.extensions().get::<Between>().is_none() {
        asked.stamp.headers(answer.headers_mut());
    }
    Ok(answer)
}

async fn operate(state: &Arc<State>, asked: &Asked, method: &Method) -> Result<Answer, Dropped> {
    const SUBRESOURCES: [&str; 9] = [
        "ci-process",
        "versions",
        "acl",
        "cors",
        "lifecycle",
        "policy",
        "uploads",
        "tagging",
        "versioning",
    ];
    let sub = SUBRESOURCES.iter().any(|name| percent::find(&asked.parameters, name).is_some());
    Ok(match *method {
        _ if sub => {
            let message = "The emulator does not know this operation.";
            asked.stamp.error(501, "NotImplemented", message)
        }
        Method::GET if asked.key.is_empty() => list::respond(state, asked).await?,
        Method::HEAD if asked.key.is_empty() => answer(200, "application/xml", ""),
        Method::HEAD => head::head(state, asked).await?,
        Method::GET if asked.range.is_some() => head::get(state, asked).await?,
        Method::GET => whole::get(state, asked).await?,
        _ => asked.stamp.error(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ),
    })
}

/// Returns the answer to a request for another bucket or with a wrong signature; `None` if the request is right.
fn refusal(
    state: &State,
    asked: &Asked,
    method: &Method,
    path: &[u8],
    headers: &HeaderMap,
) -> Option<Answer> {
    let stamp = &asked.stamp;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if bucket_of(host).is_some_and(|bucket| bucket != state.bucket) {
        return Some(stamp.error(404, "NoSuchBucket", "The specified bucket does not exist."));
    }
    let request =
        verify::Request { method: method.as_str(), path, parameters: &asked.parameters, headers };
    let at = Conditions {
        token: asked.settings.token.as_deref(),
        expired_token: asked.settings.expired_token.as_deref(),
        now: stamp.now,
    };
    let refusal = state.verifier.check(&request, &at).err()?;
    state.stats.refused();
    Some(match refusal {
        Refusal::Unsigned => stamp.timed_error("AccessDenied", "Access Denied."),
        Refusal::UnknownKey => stamp.timed_error(
            "InvalidAccessKeyId",
            "The Access Key Id you provided does not exist in our records",
        ),
        Refusal::ExpiredToken => {
            stamp.error(400, "ExpiredToken", "The provided token has expired.")
        }
        Refusal::Expired => stamp.timed_error("AccessDenied", "Request has expired"),
        Refusal::Skewed => stamp.timed_error(
            "RequestTimeTooSkewed",
            "The difference between the request time and the server time is too large.",
        ),
        Refusal::Mismatch { string_to_sign, http_string } => {
            let extra = [
                ("StringToSign", &*string_to_sign.replace('\n', "\\n")),
                ("FormatString", &*http_string.replace('\n', "\\n")),
            ];
            let message = "The Signature you specified is invalid.";
            super::answer::xml(403, stamp.error_body("SignatureDoesNotMatch", message, &extra))
        }
    })
}

/// Returns the bucket in a virtual host, `X.cos.REGION.…` or `X.localhost`; `None` for any other host.
fn bucket_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.split_once(".cos.").map(|(bucket, _)| bucket).or_else(|| name.strip_suffix(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_host_names_its_bucket_and_a_plain_one_none() {
        assert_eq!(bucket_of("pics-1.cos.ap-guangzhou.myqcloud.com"), Some("pics-1"));
        assert_eq!(bucket_of("pics-1.localhost:9000"), Some("pics-1"));
        assert_eq!(bucket_of("localhost:9000"), None);
        assert_eq!(bucket_of("127.0.0.1:9000"), None);
    }
}
