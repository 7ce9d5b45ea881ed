//! The client of one bucket: a method for each operation of the API. A call of a method sends one request.
//!
//! The client neither retries nor follows redirects: the caller decides what to do about a failure. It speaks HTTP/1.1
//! only, because HTTP/2 would put all workers on one connection.

mod connect;
mod link;
mod post;
mod reply;
mod signed_http;

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{DATE, ETAG};

use super::clock::{Clock, Correction};
use super::credentials::Provider;
use super::detect_label::{self, Answer};
use super::endpoint::{Endpoint, addressable};
use super::error::{self, Error};
use super::list::{self, ListPage, ListRequest, ObjectEntry};
use crate::object::StorageClass;
use crate::scene::Scenes;
use reply::Reply;
use signed_http::{Outgoing, SignedHttp};

pub use connect::{BuildError, Options};
pub use link::{Link, LinkRequest, thumbnail};
pub use post::{PostError, post};

/// The header that the emulator adds to each of its answers.
const EMULATOR_HEADER: &str = "x-costag-emulator";
/// The most bytes of a small copy of a picture that are read.
const PICTURE_MAX: usize = 4 << 20;
/// The most bytes of a body that are read where only the headers or an error matter.
const ERROR_ONLY: usize = 1024;

/// The image that a `detect-label` call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An object of the bucket.
    Key(&'a str),
    /// The URL of a public image anywhere. The service fetches it, this program does not.
    Url(&'a str),
}

/// A client of one bucket. It is shared by reference, and its futures are `Send`.
#[derive(Debug)]
pub struct Client {
    http: SignedHttp,
}

impl Client {
    /// Creates a client of the bucket behind `endpoint`. It connects with the first request.
    ///
    /// A loopback endpoint is reached directly, any other endpoint through the proxy that the environment names.
    ///
    /// # Errors
    /// Returns an error if the proxy or the CA file cannot be used, or if the system's certificates cannot be loaded.
    pub fn new(
        endpoint: Endpoint,
        provider: Arc<Provider>,
        options: &Options,
    ) -> Result<Self, BuildError> {
        super::install_crypto_provider();
        Ok(Self { http: SignedHttp::new(endpoint, provider, options)? })
    }

    /// Returns the clock that requests are signed with.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.http.clock
    }

    /// Corrects the clock if `error` is a complaint about the time of a request. Any other error corrects nothing.
    pub fn correct_clock(&self, error: &Error) -> Correction {
        let complaint = error.complaint_about_time();
        complaint.map_or(Correction::Unfounded, |complaint| self.http.clock.correct(&complaint))
    }

    /// Removes the id, token, key and signature of every request from the texts of an error, since errors are shown and
    /// stored. Errors that the methods of this client return have been through this already.
    pub fn without_secrets(&self, error: Error) -> Error {
        self.http.redactor.hide_error(error)
    }

    /// Returns the endpoint that requests are sent to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.http.endpoint
    }

    /// Returns the provider of the credentials that requests are signed with.
    pub fn provider(&self) -> &Provider {
        &self.http.provider
    }

    /// Renews the credentials that the request of `error` was signed with, unless another request has renewed them in
    /// the meantime.
    ///
    /// # Errors
    /// Returns an error if there are no other credentials.
    pub async fn refresh_credentials(&self, error: &Error) -> Result<(), Error> {
        let signed = error.service().and_then(|error| error.signed.as_ref());
        let SignedHttp { provider, clock, .. } = &self.http;
        let rejected = match signed {
            Some(signed) => Arc::clone(&signed.credentials),
            None => provider.current(clock).await?,
        };
        provider.renew(&rejected, clock).await?;
        Ok(())
    }

    /// Requests one page of the listing, with percent-encoded names ("GET Bucket (List Objects)").
    ///
    /// Nothing may be concluded from the page before [`ListPage::prove`] has checked it.
    ///
    /// # Errors
    /// See [`Error`].
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
        let outgoing = Outgoing { is_page: true, ..Outgoing::get("", &params, list::BODY_MAX) };
        let reply = self.http.send(&outgoing).await?;
        let mut page = list::parse(&reply.body)
            .map_err(|error| self.without_secrets(self.http.blame(&reply, error)))?;
        self.observe(&reply);
        self.http.redactor.clean_page(&mut page);
        page.request_id = error::request_id(&reply.headers);
        page.emulated = reply.headers.contains_key(EMULATOR_HEADER);
        Ok(page)
    }

    /// Requests the properties of one object ("HEAD Object").
    ///
    /// # Errors
    /// See [`Error`]. A refusal usually has a status and no code, because an answer to HEAD has no body.
    /// [`Client::look_up`] finds out the code.
    pub async fn head(&self, key: &str) -> Result<ObjectEntry, Error> {
        check(key)?;
        let reply = self.http.send(&Outgoing::head(key)).await?;
        if !reply.headers.contains_key(ETAG) && error::request_id(&reply.headers).is_none() {
            return Err(self.http.foreign(reply.status, &reply.headers, "no ETag".to_owned()));
        }
        self.observe(&reply);
        let size = reply.header("content-length").and_then(list::read_size);
        Ok(self.http.redactor.clean_entry(reply.entry(key, size)))
    }

    /// Requests the properties of one object, and the reason if the service refuses.
    ///
    /// Sends a HEAD request. If it is refused without a code, sends a GET request for one byte, once: its answer has a
    /// body that contains the code. Set `bucket_is_known` if the bucket certainly exists. A 404 can only be about the key
    /// then, and needs no second request.
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

    /// Like [`Client::head`], but requests the first byte of the object, so that a refusal has a body ("GET Object").
    async fn first_byte(&self, key: &str) -> Result<ObjectEntry, Error> {
        let outgoing = Outgoing { first_byte: true, ..Outgoing::get(key, &[], ERROR_ONLY) };
        let reply = match self.http.send(&outgoing).await {
            Ok(reply) => reply,
            // An empty object is the only one that has no first byte.
            Err(Error::Service(error)) if error.status == 416 => {
                let storage_class = Some(StorageClass::Standard);
                let (key, size) = (key.to_owned(), Some(0));
                return Ok(ObjectEntry { key, size, storage_class, ..Default::default() });
            }
            Err(error) => return Err(error),
        };
        self.observe(&reply);
        let size = match reply.header("content-range") {
            Some(range) => range.rsplit('/').next().and_then(list::read_size),
            // The server has ignored the range and sends the whole object.
            None => reply.header("content-length").and_then(list::read_size),
        };
        Ok(self.http.redactor.clean_entry(reply.entry(key, size)))
    }

    /// Returns `true` if the service answers a HEAD request for the bucket. A refusal counts as an answer.
    pub async fn is_reachable(&self) -> bool {
        match self.http.send(&Outgoing::head("")).await {
            // A login page of a network answers everything with success, but has no request id.
            Ok(reply) => error::request_id(&reply.headers).is_some(),
            Err(error) => error.request_id().is_some() && error.status().is_some_and(|at| at < 500),
        }
    }

    /// Requests the labels of one image ("Image Labels", `detect-label`). Every call that is sent may cost money.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::was_sent`] tells whether the call may have been paid for.
    pub async fn detect_label(&self, target: Target<'_>, scenes: Scenes) -> Result<Answer, Error> {
        let names = scenes.to_string();
        let all = [("ci-process", "detect-label"), ("scenes", names.as_str())];
        let reply = match target {
            Target::Key(key) => {
                check(key)?;
                self.http.send(&Outgoing::get(key, &all, detect_label::BODY_MAX)).await?
            }
            Target::Url(url) => {
                let all = [all[0], all[1], ("detect-url", url)];
                self.http.send(&Outgoing::get("", &all, detect_label::BODY_MAX)).await?
            }
        };
        let answer = detect_label::parse(&reply.body, scenes);
        let mut answer =
            answer.map_err(|error| self.without_secrets(self.http.blame(&reply, error)))?;
        self.http.redactor.clean_labels(&mut answer.labels);
        answer.request_id = error::request_id(&reply.headers);
        answer.emulated = reply.headers.contains_key(EMULATOR_HEADER);
        Ok(answer)
    }

    /// Requests a copy of a picture with sides of at most this many pixels ("Image Scaling"). The request costs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn picture(&self, key: &str, side: u32) -> Result<Bytes, Error> {
        check(key)?;
        let instruction = thumbnail(side);
        let params = [(instruction.as_str(), "")];
        let reply = self.http.send(&Outgoing::get(key, &params, PICTURE_MAX)).await?;
        self.observe(&reply);
        Ok(reply.body)
    }

    /// Makes a signed link to an object. Nothing is sent, and nobody has checked that the object exists.
    ///
    /// # Errors
    /// Returns an error if no link can lead to this key, or if the credentials have expired.
    pub async fn link(&self, request: &LinkRequest<'_>) -> Result<Link, Error> {
        check(request.key)?;
        let SignedHttp { provider, clock, redactor, .. } = &self.http;
        let credentials = provider.current(clock).await?;
        let (link, signature) = Link::sign(request, &credentials, clock.now());
        // An answer to the link may come back in an error.
        redactor.signed(&credentials, signature);
        Ok(link)
    }

    /// Notes the service's time from the header `Date`.
    fn observe(&self, reply: &Reply) {
        let date = reply.headers.get(DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(error::parse_date) {
            self.http.clock.observe(date);
        }
    }
}

/// Returns an error if a request for this key would reach the bucket instead.
fn check(key: &str) -> Result<(), Error> {
    if addressable(key) { Ok(()) } else { Err(Error::UnaddressableKey { key: key.to_owned() }) }
}

#[cfg(test)]
mod tests;
