//! Builds, signs and sends requests, and reads what comes back: one method an operation, one request a call.
//!
//! No retries, no redirects, HTTP/1.1 only: what to do about a failure is the caller's.

mod connect;
mod reply;
mod signed_http;

use std::sync::Arc;

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

/// Set by the emulator on each of its answers.
const EMULATOR_HEADER: &str = "x-costag-emulator";
/// Of an answer that is asked for because of its headers, or of its error: as much of a body as is read.
const ERROR_ONLY: usize = 1024;

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
    http: SignedHttp,
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
        Ok(Self { http: SignedHttp::new(endpoint, provider, options)? })
    }

    /// The clock that requests are signed by.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.http.clock
    }

    /// Corrects the clock by an error that complains about the time of its request; any other corrects nothing.
    pub fn correct_clock(&self, error: &Error) -> Correction {
        let complaint = error.complaint_about_time();
        complaint.map_or(Correction::Unfounded, |complaint| self.http.clock.correct(&complaint))
    }

    /// The error without the id, token, key or signature of any request, should the answer repeat them: errors are
    /// shown and kept. Those of this client's requests have been through this already.
    pub fn without_secrets(&self, error: Error) -> Error {
        self.http.redactor.hide_error(error)
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.http.endpoint
    }

    /// Who signs.
    pub fn provider(&self) -> &Provider {
        &self.http.provider
    }

    /// Renews the credentials that `error`'s request was signed with, unless that was done since.
    ///
    /// # Errors
    /// There are no other credentials.
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

    /// What the service knows about one object: HEAD Object.
    ///
    /// # Errors
    /// See [`Error`]; a refusal is a service error with a status and, because HEAD has no body, usually no code.
    /// [`Client::look_up`] finds the code out.
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
        let outgoing = Outgoing { first_byte: true, ..Outgoing::get(key, &[], ERROR_ONLY) };
        let reply = match self.http.send(&outgoing).await {
            Ok(reply) => reply,
            // Only of an empty object no first byte can be sent.
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
            // The whole object was sent: the range was ignored.
            None => reply.header("content-length").and_then(list::read_size),
        };
        Ok(self.http.redactor.clean_entry(reply.entry(key, size)))
    }

    /// Whether the service answers at all, asked for about the bucket itself: any answer of its own counts.
    pub async fn is_reachable(&self) -> bool {
        match self.http.send(&Outgoing::head("")).await {
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

    fn observe(&self, reply: &Reply) {
        let date = reply.headers.get(DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(error::parse_date) {
            self.http.clock.observe(date);
        }
    }
}

fn check(key: &str) -> Result<(), Error> {
    if addressable(key) { Ok(()) } else { Err(Error::UnaddressableKey { key: key.to_owned() }) }
}

#[cfg(test)]
mod tests;
