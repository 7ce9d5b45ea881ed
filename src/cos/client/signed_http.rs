//! Sends one signed request and reads its whole answer: the URL, the signature, and the limits of time and size.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Request, Response, Url};

use super::connect::{BuildError, Options, http};
use super::reply::Reply;
use crate::cos::clock::Clock;
use crate::cos::credentials::{self, Credentials, Provider};
use crate::cos::endpoint::Endpoint;
use crate::cos::error::{self, Error, SignedWith};
use crate::cos::redact::Redactor;
use crate::cos::signer::{self, SignKey};
use crate::cos::silence::Silence;
use crate::cos::{encode, foreign};
use crate::time::UnixSeconds;

pub(super) const TOKEN_HEADER: &str = "x-cos-security-token";
/// The most memory that is reserved for an announced length before its bytes have arrived: about a page of a listing.
const ROOM: usize = 512 * 1024;

/// A request before it is signed.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    /// The key of the object, or an empty text for a request about the bucket.
    pub(super) key: &'a str,
    /// The parameters of the query, not encoded, in the order in which they are sent.
    pub(super) params: &'a [(&'a str, &'a str)],
    /// The most bytes of a successful answer that are read.
    pub(super) body_max: usize,
    /// True to request only the first byte of the object. A longer body is cut.
    pub(super) first_byte: bool,
    /// True if the answer is a page of a listing. Pages have connections of their own.
    pub(super) is_page: bool,
}

impl<'a> Outgoing<'a> {
    pub(super) fn get(key: &'a str, params: &'a [(&'a str, &'a str)], body_max: usize) -> Self {
        Self { method: Method::GET, key, params, body_max, first_byte: false, is_page: false }
    }

    pub(super) fn head(key: &'a str) -> Self {
        Self { method: Method::HEAD, ..Self::get(key, &[], 0) }
    }
}

/// Sends signed requests to one bucket. Used by [`super::Client`] alone.
#[derive(Debug)]
pub(super) struct SignedHttp {
    http: reqwest::Client,
    /// The connections for listing. A connection keeps a buffer as large as its largest answer, so pages on the
    /// hundreds of connections for calls would take a lot of memory.
    pages: reqwest::Client,
    pub(super) endpoint: Endpoint,
    /// The origin of the endpoint. The URL of every request begins with it.
    base: Url,
    pub(super) provider: Arc<Provider>,
    pub(super) clock: Arc<Clock>,
    timeout: Duration,
    key: Mutex<Option<CachedKey>>,
    pub(super) redactor: Redactor,
}

/// The `SignKey` of the current minute, and the credentials that it was made from.
#[derive(Debug)]
struct CachedKey {
    credentials: Arc<Credentials>,
    start: UnixSeconds,
    key: Arc<SignKey>,
}

impl SignedHttp {
    pub(super) fn new(
        endpoint: Endpoint,
        provider: Arc<Provider>,
        options: &Options,
    ) -> Result<Self, BuildError> {
        let base = Url::parse(endpoint.origin())
            .map_err(|cause| BuildError::Endpoint { endpoint: endpoint.clone(), cause })?;
        Ok(Self {
            base,
            http: http(&endpoint, options)?,
            pages: http(&endpoint, options)?,
            endpoint,
            provider,
            clock: Arc::default(),
            timeout: options.timeout,
            key: Mutex::new(None),
            redactor: Redactor::new(Redactor::proxies()),
        })
    }

    /// Signs a request, sends it once, and reads the whole answer.
    ///
    /// # Errors
    /// Every answer without a status of success is an error, and so is a body that is too long or incomplete.
    pub(super) async fn send(&self, outgoing: &Outgoing<'_>) -> Result<Reply, Error> {
        let credentials = self.provider.current(&self.clock).await?;
        let silence = Silence::new(self.timeout);
        // The future is pinned here, because one that is passed by value takes its memory twice, in every worker.
        let exchange = pin!(self.exchange(credentials, outgoing, &silence));
        let answer = silence.bound(exchange).await.unwrap_or_else(|exceeded| {
            let host = self.endpoint.host().to_owned();
            Err(Error::Timeout { host, cause: Box::new(exceeded) })
        });
        answer.map_err(|error| self.redactor.hide_error(error))
    }

    /// Sends one request and reads its answer, without a limit of time.
    async fn exchange(
        &self,
        credentials: Arc<Credentials>,
        outgoing: &Outgoing<'_>,
        silence: &Silence,
    ) -> Result<Reply, Error> {
        let Outgoing { key, params, body_max, first_byte, .. } = *outgoing;
        let offset = self.clock.offset();
        let url = self.url(key, params)?;
        let mut request = Request::new(outgoing.method.clone(), url);
        self.authorize(&mut request, key, params, &credentials)?;
        if first_byte {
            request.headers_mut().insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        let http = if outgoing.is_page { &self.pages } else { &self.http };
        // The runtime learns only between its tasks what has happened to connections. Without this, an idle connection that
        // the service has closed would be used, and nobody could tell whether the service has read the request.
        tokio::task::yield_now().await;
        let mut response = http.execute(request).await.map_err(|error| {
            // No request can have this address. The key is at fault, or the URL of the image.
            if error.is_builder() {
                let url = params.iter().find(|(name, _)| *name == "detect-url");
                return Error::UnaddressableKey { key: url.map_or(key, |(_, url)| url).to_owned() };
            }
            self.transport(error)
        })?;
        silence.heard();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if status.is_success() {
            self.clock.accepted();
            let reply = Reply { status: status.as_u16(), headers, body: Bytes::new() };
            let body = match read(&mut response, body_max, silence).await {
                Ok((body, whole)) if whole || first_byte => body,
                Ok(_) => return Err(reply.unusable("longer than any answer")),
                Err(error) => return Err(self.transport(error)),
            };
            return Ok(Reply { body, ..reply });
        }
        // The status is the error. A body that cannot be read is not another one.
        let body = read(&mut response, error::BODY_MAX, silence).await;
        let body = body.map(|(body, _)| body).unwrap_or_default();
        let mut error = error::parse(status.as_u16(), &headers, &body);
        if !error.is_from_service() && !foreign::has_known_root(&body) {
            return Err(self.foreign(status.as_u16(), &headers, foreign::name(&body)));
        }
        if let Some(date) = error.date {
            self.clock.observe(date);
        }
        error.temporary = credentials.token.is_some();
        error.signed_from = (status.as_u16() == 403).then(|| self.provider.source());
        error.signed = Some(SignedWith { offset, credentials });
        Err(error.into())
    }

    /// Returns the URL of a request. It is built here, because libraries normalise paths, and a key must reach the
    /// service byte for byte.
    pub(super) fn url(&self, key: &str, params: &[(&str, &str)]) -> Result<Url, Error> {
        let mut text = String::with_capacity(256);
        text.push('/');
        encode::encode_into(&mut text, key);
        for (index, (name, value)) in params.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            if value.is_empty() && name.contains('/') {
                encode::instruction_into(&mut text, name);
                continue;
            }
            encode::encode_into(&mut text, name);
            text.push('=');
            encode::encode_into(&mut text, value);
        }
        // The origin is parsed already. The slashes of a key are escaped here, so the text never begins with two of
        // them, which would make the URL parser take the key for a host.
        self.base.join(&text).map_err(|_| Error::UnaddressableKey { key: key.to_owned() })
    }

    fn authorize(
        &self,
        request: &mut Request,
        key: &str,
        params: &[(&str, &str)],
        credentials: &Arc<Credentials>,
    ) -> Result<(), Error> {
        let path = ["/", key].concat();
        let host = ("host", self.endpoint.host());
        let token = credentials.expose_token();
        let both = [host, (TOKEN_HEADER, token.unwrap_or_default())];
        let signed = signer::sign(
            &credentials.secret_id,
            &self.sign_key(credentials),
            &signer::Request {
                method: request.method().as_str(),
                path: &path,
                params,
                headers: if token.is_some() { &both } else { &both[..1] },
            },
        );
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, secret_header(&signed.authorization)?);
        self.redactor.signed(credentials, signed.signature);
        if let Some(token) = token {
            headers.insert(TOKEN_HEADER, secret_header(token)?);
        }
        Ok(())
    }

    /// Returns the `SignKey` of this minute. It is computed once a minute for all requests.
    fn sign_key(&self, credentials: &Arc<Credentials>) -> Arc<SignKey> {
        let start = signer::key_start(self.clock.now());
        let mut cached = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cached.as_ref()
            && cached.start == start
            && Arc::ptr_eq(&cached.credentials, credentials)
        {
            return Arc::clone(&cached.key);
        }
        let key = Arc::new(SignKey::new(&credentials.secret_key, signer::key_time(start)));
        let credentials = Arc::clone(credentials);
        *cached = Some(CachedKey { credentials, start, key: Arc::clone(&key) });
        key
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        Error::from_transport(self.endpoint.host(), error)
    }

    /// Adds what only the headers report to an error of a parser: status, request id, and whether the answer comes from
    /// the service at all.
    pub(super) fn blame(&self, reply: &Reply, error: Error) -> Error {
        match error {
            Error::Unusable { reason, .. } => {
                let unusable = reply.unusable(&foreign::describe(&reply.body).unwrap_or(reason));
                if unusable.request_id().is_none() && !foreign::has_known_root(&reply.body) {
                    return self.foreign(reply.status, &reply.headers, foreign::name(&reply.body));
                }
                unusable
            }
            Error::Service(mut error) => {
                error.status = reply.status;
                error.request_id = error::request_id(&reply.headers).or(error.request_id);
                Error::Service(error)
            }
            error => error,
        }
    }

    /// Returns the error for an answer that does not come from the service.
    pub(super) fn foreign(&self, status: u16, headers: &HeaderMap, what: String) -> Error {
        let host = self.endpoint.host().to_owned();
        let location = error::location(headers);
        self.redactor.hide_error(Error::Foreign { host, status, what, location })
    }
}

/// Returns a header value that is marked as sensitive, so that no log of headers prints it.
fn secret_header(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        // Credentials are checked when they are read, so this happens only for ones that code has made.
        credentials::Error::Characters { name: "the secret id or token".to_owned() }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads the body up to `max` bytes. The second value is `false` if there was more.
async fn read(
    response: &mut Response,
    max: usize,
    silence: &Silence,
) -> Result<(Bytes, bool), reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    // Most answers arrive in one chunk, which need not be copied.
    let first = response.chunk().await?.unwrap_or_default();
    if first.len() > max {
        return Ok((first.slice(..max), false));
    }
    silence.heard();
    let Some(second) = response.chunk().await? else { return Ok((first, true)) };
    // An announced length may be a lie. Memory for a page is reserved at once, and more only as bytes arrive.
    let mut body = Vec::with_capacity(announced.unwrap_or(0).min(max).min(ROOM));
    body.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        silence.heard();
        let room = max - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body.into(), false));
        }
        body.extend_from_slice(&chunk);
        next = response.chunk().await?;
    }
    Ok((body.into(), true))
}
