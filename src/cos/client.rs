//! Builds, signs and sends requests, and reads what comes back: one method an operation, one request a call.
//!
//! No retries, no redirects, HTTP/1.1 only: what to do about a failure is the caller's.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, DATE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, RANGE};
use reqwest::{Certificate, Method, Request, Response, Url, redirect, retry};

use super::clock::Clock;
use super::credentials::{self, Credentials, Provider};
use super::detect_label::{self, Answer};
use super::encode::encode_into;
use super::endpoint::{Endpoint, addressable};
use super::error::{self, Error, SignedWith};
use super::foreign;
use super::list::{self, ListPage, ListRequest, ObjectEntry, Restore};
use super::proxy;
use super::redact::Redactor;
use super::resolve::Resolver;
use super::signer::{self, SignKey};
use super::silence::Silence;
use crate::scene::Scenes;

const TOKEN_HEADER: &str = "x-cos-security-token";
/// Set by the emulator on each of its answers.
const EMULATOR_HEADER: &str = "x-costag-emulator";
/// Below the idle limit of common servers and balancers: a connection that was closed is rarely reused.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The class that headers leave out.
const STANDARD: &str = "STANDARD";

/// Of an answer that is asked for because of its headers, or of its error: as much of a body as is read.
const ERROR_ONLY: usize = 1024;

/// Room that an announced length gets before its bytes have come: about a page of a listing.
const ROOM: usize = 512 * 1024;

/// How a client connects and how long it waits.
#[derive(Debug, Clone)]
pub struct Options {
    /// For name, connection and TLS together.
    pub connect_timeout: Duration,
    /// For each silence while an answer is waited for or read; the whole may take ten times as long.
    pub timeout: Duration,
    /// How many idle connections are kept: as many as there are requests at a time.
    pub pool_size: usize,
    /// A PEM file of certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The header `User-Agent`; not signed.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            pool_size: 64,
            ca_file: None,
            user_agent: concat!("costag/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file of certificates cannot be read.
    #[error("cannot read the CA file {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file holds no certificate in PEM form.
    #[error("no certificate in the CA file {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The endpoint makes no URL.
    #[error("cannot use the endpoint {endpoint} as a URL")]
    Endpoint {
        /// The endpoint.
        endpoint: Endpoint,
        /// Why.
        #[source]
        cause: url::ParseError,
    },
    /// The environment names a proxy that cannot be used. Its address is not kept: it may hold a password.
    #[error("the proxy in the environment variable {variable} cannot be used: {what}")]
    Proxy {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        what: String,
    },
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// Which image is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An object of the bucket.
    Key(&'a str),
    /// A public image anywhere; fetched by the service, not by us.
    Url(&'a str),
}

/// A client of one bucket. Cheap to share by reference; its futures are `Send`.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Connections of its own for listing: a connection keeps a buffer as large as its largest answer, and
    /// hundreds of them would each have carried a page some day.
    pages: reqwest::Client,
    endpoint: Endpoint,
    /// The endpoint's origin, which every request's URL begins with.
    base: Url,
    provider: Arc<Provider>,
    clock: Arc<Clock>,
    timeout: Duration,
    key: Mutex<Option<CachedKey>>,
    redactor: Redactor,
}

/// The key of the current minute, made from these credentials.
#[derive(Debug)]
struct CachedKey {
    credentials: Arc<Credentials>,
    start: i64,
    key: Arc<SignKey>,
}

/// What came back with success.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// A client with connections of its own.
fn http(endpoint: &Endpoint, options: &Options) -> Result<reqwest::Client, BuildError> {
    let variable = |name: &str| std::env::var(name).ok();
    proxy::check(endpoint, variable)
        .map_err(|(variable, what)| BuildError::Proxy { variable, what })?;
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .dns_resolver(Arc::new(Resolver))
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .tcp_nodelay(true)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.pool_size)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(options.user_agent.as_str());
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        let pem = std::fs::read(path)
            .map_err(|cause| BuildError::CaFile { path: path.clone(), cause })?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(BuildError::NoCertificate { path: path.clone() });
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(BuildError::Http)
}

impl Client {
    /// A client of the bucket behind `endpoint`. Connects to nothing yet.
    ///
    /// A loopback endpoint is reached directly, any other through the system's proxy settings.
    ///
    /// # Errors
    /// The CA file cannot be used, or the system's certificates cannot be loaded.
    pub fn new(
        endpoint: Endpoint,
        provider: Arc<Provider>,
        options: &Options,
    ) -> Result<Self, BuildError> {
        super::install_crypto_provider();
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

    /// The clock that requests are signed by.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The error without the id, token, key or signature of any request, should the answer repeat them: errors are
    /// shown and kept. Those of this client's requests have been through this already.
    pub fn without_secrets(&self, error: Error) -> Error {
        self.redactor.hide_error(error)
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who signs.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Renews the credentials that `error`'s request was signed with, unless that was done since.
    ///
    /// # Errors
    /// There are no other credentials.
    pub async fn refresh_credentials(&self, error: &Error) -> Result<(), Error> {
        let signed = error.service().and_then(|error| error.signed.as_ref());
        let rejected = match signed {
            Some(signed) => Arc::clone(&signed.credentials),
            None => self.provider.current(&self.clock).await?,
        };
        self.provider.renew(&rejected, &self.clock).await?;
        Ok(())
    }

    /// One page of the listing: GET Bucket (List Objects), names asked for percent-encoded.
    ///
    /// # Errors
    /// See [`Error`]; the page is not proven yet, see [`ListPage::prove`].
    pub async fn list(&self, request: &ListRequest) -> Result<ListPage, Error> {
        let max_keys = request.max_keys.min(list::KEYS_MAX).to_string();
        let mut params = vec![("encoding-type", "url"), ("max-keys", max_keys.as_str())];
        for (name, value) in [
            ("delimiter", request.delimiter.as_deref().unwrap_or_default()),
            ("marker", request.marker.as_str()),
            ("prefix", request.prefix.as_str()),
        ] {
            if !value.is_empty() {
                params.push((name, value));
            }
        }
        let reply = self.send(Method::GET, "", &params, list::BODY_MAX).await?;
        let mut page = list::parse(&reply.body)
            .map_err(|error| self.without_secrets(self.blame(&reply, error)))?;
        self.observe(&reply);
        self.redactor.clean_page(&mut page);
        page.request_id = error::request_id(&reply.headers);
        page.emulated = reply.headers.contains_key(EMULATOR_HEADER);
        Ok(page)
    }

    /// What the service knows about one object: HEAD Object.
    ///
    /// # Errors
    /// See [`Error`]; a refusal is a service error with a status and, because HEAD has no body, usually no code.
    /// [`Client::look_up`] finds the code out.
    pub async fn head(&self, key: &str) -> Result<ObjectEntry, Error> {
        check(key)?;
        let reply = self.send(Method::HEAD, key, &[], 0).await?;
        if !reply.headers.contains_key(ETAG) && error::request_id(&reply.headers).is_none() {
            return Err(self.foreign(reply.status, &reply.headers, "no ETag".to_owned()));
        }
        self.observe(&reply);
        let size = length(reply.header("content-length"));
        Ok(self.redactor.clean_entry(reply.entry(key, size)))
    }

    /// What the service knows about one object, or why it tells nothing.
    ///
    /// Asks by HEAD. A refusal without a code is asked for again, once, by a GET of one byte, whose answer has a body
    /// that names the code. `bucket_is_known` says that the bucket exists: then a 404 of HEAD can only mean the key.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn look_up(&self, key: &str, bucket_is_known: bool) -> Result<ObjectEntry, Error> {
        match self.head(key).await {
            Err(Error::Service(error)) if error.hides_its_code(bucket_is_known) => {
                self.first_byte(key).await
            }
            answer => answer,
        }
    }

    /// As [`Client::head`], by GET Object of the first byte: a refusal has a body.
    async fn first_byte(&self, key: &str) -> Result<ObjectEntry, Error> {
        let reply = match self.send_for(Method::GET, key, &[], ERROR_ONLY, true).await {
            Ok(reply) => reply,
            // Only of an empty object no first byte can be sent.
            Err(Error::Service(error)) if error.status == 416 => {
                let (key, storage_class) = (key.to_owned(), STANDARD.to_owned());
                return Ok(ObjectEntry { key, size: Some(0), storage_class, ..Default::default() });
            }
            Err(error) => return Err(error),
        };
        self.observe(&reply);
        let size = match reply.header("content-range") {
            Some(range) => length(range.rsplit('/').next()),
            // The whole object was sent: the range was ignored.
            None => length(reply.header("content-length")),
        };
        Ok(self.redactor.clean_entry(reply.entry(key, size)))
    }

    /// Whether the service answers at all, asked for about the bucket itself: any answer of its own counts.
    pub async fn is_reachable(&self) -> bool {
        match self.send(Method::HEAD, "", &[], 0).await {
            // A login page answers everything with success.
            Ok(reply) => error::request_id(&reply.headers).is_some(),
            Err(error) => error.request_id().is_some() && error.status().is_some_and(|at| at < 500),
        }
    }

    /// What is to be seen in one image: `detect-label`. Every call that is sent may be paid.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::was_sent`] tells whether it may have been paid.
    pub async fn detect_label(&self, target: Target<'_>, scenes: Scenes) -> Result<Answer, Error> {
        let names = scenes.to_string();
        let all = [("ci-process", "detect-label"), ("scenes", names.as_str())];
        let reply = match target {
            Target::Key(key) => {
                check(key)?;
                self.send(Method::GET, key, &all, detect_label::BODY_MAX).await?
            }
            Target::Url(url) => {
                let all = [all[0], all[1], ("detect-url", url)];
                self.send(Method::GET, "", &all, detect_label::BODY_MAX).await?
            }
        };
        let answer = detect_label::parse(&reply.body, scenes);
        let mut answer = answer.map_err(|error| self.without_secrets(self.blame(&reply, error)))?;
        self.redactor.clean_labels(&mut answer.labels);
        answer.request_id = error::request_id(&reply.headers);
        answer.emulated = reply.headers.contains_key(EMULATOR_HEADER);
        Ok(answer)
    }

    /// Signs anew, sends once, and reads the whole answer; success comes back, everything else is an error.
    async fn send(
        &self,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        body_max: usize,
    ) -> Result<Reply, Error> {
        self.send_for(method, key, params, body_max, false).await
    }

    /// As [`Client::send`]; `first_byte` asks for no more of the object than that, and cuts whatever else is sent.
    async fn send_for(
        &self,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        body_max: usize,
        first_byte: bool,
    ) -> Result<Reply, Error> {
        let credentials = self.provider.current(&self.clock).await?;
        let silence = Silence::new(self.timeout);
        let exchange =
            self.exchange(credentials, method, key, params, body_max, first_byte, &silence);
        let answer = silence.bound(exchange).await.unwrap_or_else(|exceeded| {
            let host = self.endpoint.host().to_owned();
            Err(Error::Timeout { host, cause: Box::new(exceeded) })
        });
        answer.map_err(|error| self.without_secrets(error))
    }

    /// Sends one request and reads its answer, without a bound of time.
    #[expect(clippy::too_many_arguments, reason = "what a request is made of")]
    async fn exchange(
        &self,
        credentials: Arc<Credentials>,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        body_max: usize,
        first_byte: bool,
        silence: &Silence,
    ) -> Result<Reply, Error> {
        let offset = self.clock.offset();
        let url = self.url(key, params)?;
        let mut request = Request::new(method, url);
        self.authorize(&mut request, key, params, &credentials)?;
        if first_byte {
            request.headers_mut().insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        let http = if body_max > detect_label::BODY_MAX { &self.pages } else { &self.http };
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
        if !foreign::is_from_service(&error, &body) {
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
    fn url(&self, key: &str, params: &[(&str, &str)]) -> Result<Url, Error> {
        let mut text = String::with_capacity(256);
        text.push('/');
        encode_into(&mut text, key);
        for (index, (name, value)) in params.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode_into(&mut text, name);
            text.push('=');
            encode_into(&mut text, value);
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
    fn blame(&self, reply: &Reply, error: Error) -> Error {
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
    fn foreign(&self, status: u16, headers: &HeaderMap, what: String) -> Error {
        let host = self.endpoint.host().to_owned();
        let location = error::location(headers);
        self.without_secrets(Error::Foreign { host, status, what, location })
    }

    fn observe(&self, reply: &Reply) {
        let date = reply.headers.get(DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(error::parse_date) {
            self.clock.observe(date);
        }
    }
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the headers tell of an object of this size.
    fn entry(&self, key: &str, size: Option<i64>) -> ObjectEntry {
        let text = |name: &str| self.header(name).unwrap_or_default();
        let class = text("x-cos-storage-class");
        ObjectEntry {
            key: key.to_owned(),
            etag: list::unquote(text(ETAG.as_str())).to_owned(),
            size,
            last_modified: self
                .header(LAST_MODIFIED.as_str())
                .and_then(error::parse_date)
                .map(|seconds| seconds * 1000),
            // HEAD leaves the header out for the standard class.
            storage_class: if class.is_empty() { STANDARD } else { class }.to_owned(),
            storage_tier: self.header("x-cos-storage-tier").map(str::to_owned),
            restored: self.header("x-cos-restore").map(|restore| {
                let ongoing = restore.contains("ongoing-request=\"true\"");
                if ongoing { Restore::Ongoing } else { Restore::Done }
            }),
        }
    }

    fn unusable(&self, reason: &str) -> Error {
        let request_id = error::request_id(&self.headers);
        Error::Unusable { reason: reason.to_owned(), status: self.status, request_id }
    }
}

/// A size as a header tells it; `None` if there is none, or none that can be: the size is unknown then.
fn length(text: Option<&str>) -> Option<i64> {
    text.and_then(|size| size.trim().parse().ok()).filter(|size| *size >= 0)
}

fn check(key: &str) -> Result<(), Error> {
    if addressable(key) { Ok(()) } else { Err(Error::UnaddressableKey { key: key.to_owned() }) }
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

#[cfg(test)]
mod tests;
