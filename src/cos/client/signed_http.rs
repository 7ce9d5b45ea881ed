//! Sends signed requests to one bucket, and reads whole answers: the URL, the signature, the bounds of one exchange.

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

pub(super) const TOKEN_HEADER: &str = "x-cos-security-token";
/// Room that an announced length gets before its bytes have come: about a page of a listing.
const ROOM: usize = 512 * 1024;

/// A request as an operation asks for it.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    /// The object's key; empty for the bucket itself.
    pub(super) key: &'a str,
    /// The parameters of the query, decoded, in the order in which they are sent.
    pub(super) params: &'a [(&'a str, &'a str)],
    /// The most bytes of a body with success that are read.
    pub(super) body_max: usize,
    /// Whether only the object's first byte is asked for. Whatever else is sent is cut.
    pub(super) first_byte: bool,
    /// Whether the answer is a page of a listing, which has connections of its own.
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

/// Sends signed requests to one bucket.
#[derive(Debug)]
pub(super) struct SignedHttp {
    http: reqwest::Client,
    /// Connections of its own for listing: a connection keeps a buffer as large as its largest answer, and
    /// hundreds of them would each have carried a page some day.
    pages: reqwest::Client,
    pub(super) endpoint: Endpoint,
    /// The endpoint's origin, which every request's URL begins with.
    base: Url,
    pub(super) provider: Arc<Provider>,
    pub(super) clock: Arc<Clock>,
    timeout: Duration,
    key: Mutex<Option<CachedKey>>,
    pub(super) redactor: Redactor,
}

/// The key of the current minute, made from these credentials.
#[derive(Debug)]
struct CachedKey {
    credentials: Arc<Credentials>,
    start: i64,
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

    /// Signs anew, sends once, and reads the whole answer; success comes back, everything else is an error.
    pub(super) async fn send(&self, outgoing: &Outgoing<'_>) -> Result<Reply, Error> {
        let credentials = self.provider.current(&self.clock).await?;
        let silence = Silence::new(self.timeout);
        // Pinned here: a future that is passed by value takes its room twice, in every worker.
        let exchange = pin!(self.exchange(credentials, outgoing, &silence));
        let answer = silence.bound(exchange).await.unwrap_or_else(|exceeded| {
            let host = self.endpoint.host().to_owned();
            Err(Error::Timeout { host, cause: Box::new(exceeded) })
        });
        answer.map_err(|error| self.redactor.hide_error(error))
    }

    /// Sends one request and reads its answer, without a bound of time.
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
        let mut response = http.execute(request).await.map_err(|error| {
            // An address that no request can hold: that is the key's fault, or the URL's, and nobody else's.
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
        // The status is known: a body that cannot be read takes nothing from it.
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

    /// The URL, built here so that no library changes a byte of a key.
    pub(super) fn url(&self, key: &str, params: &[(&str, &str)]) -> Result<Url, Error> {
        let mut text = String::with_capacity(256);
        text.push('/');
        encode::encode_into(&mut text, key);
        for (index, (name, value)) in params.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode::encode_into(&mut text, name);
            text.push('=');
            encode::encode_into(&mut text, value);
        }
        // Against the origin, whose host need not be parsed again. A slash of the key is an escape here, so the text
        // never begins with two. What cannot be joined is an address that cannot be named.
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

    /// The key of this minute: made once for all requests of the minute.
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

    /// Adds to what a parser has found what only the headers tell.
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

    /// An answer that is not the service's.
    pub(super) fn foreign(&self, status: u16, headers: &HeaderMap, what: String) -> Error {
        let host = self.endpoint.host().to_owned();
        let location = error::location(headers);
        self.redactor.hide_error(Error::Foreign { host, status, what, location })
    }
}

/// A header that no log of headers shows.
fn secret_header(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        // Credentials are checked when they are read; only ones made by hand can get here.
        credentials::Error::Characters { name: "the secret id or token".to_owned() }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The body up to `max` bytes, and whether that was all of it.
async fn read(
    response: &mut Response,
    max: usize,
    silence: &Silence,
) -> Result<(Bytes, bool), reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    // Most answers come in one piece, which need not be copied.
    let first = response.chunk().await?.unwrap_or_default();
    if first.len() > max {
        return Ok((first.slice(..max), false));
    }
    silence.heard();
    let Some(second) = response.chunk().await? else { return Ok((first, true)) };
    // What is announced need not come: room for a page is taken at once, more only as it is filled.
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
