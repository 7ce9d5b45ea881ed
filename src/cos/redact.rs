//! Removes secrets from texts that come from outside.
//!
//! An answer may repeat the secret id, the token, the key or the signature of a request, and texts of answers are shown,
//! logged and stored. A secret is recognised whole or in part, in upper or lower case, percent-encoded, and with blanks
//! or invisible characters between its own. Eight of its characters in a row are enough.

mod answers;
mod normalised;
#[cfg(test)]
mod tests;
mod windows;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret as _;

use super::credentials::Credentials;
use normalised::{Seen, normalise, seen_as};
use windows::{WINDOW, Window, Windows};

/// Replaces a secret.
const MARK: &str = "[redacted]";

/// The length of a signature, and of the `SignKey` that it is made with, in hexadecimal digits.
const SIGNATURE: usize = 40;

/// How many signatures are remembered. The newest are kept, because an answer may repeat the signature of another
/// request that is under way.
const SIGNATURES: usize = 512;

/// Knows the secrets in use and removes them from texts.
#[derive(Default)]
pub(super) struct Redactor {
    windows: RwLock<Windows>,
    /// The credentials that were learned last; `None` before the first request.
    credentials: Mutex<Option<Arc<Credentials>>>,
    /// The signatures of the latest requests, oldest first.
    signatures: Mutex<VecDeque<String>>,
}

/// Prints none of the secrets.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Creates a redactor that knows the passwords in these URLs of proxies.
    pub(super) fn new(proxies: impl IntoIterator<Item = String>) -> Self {
        let redactor = Self::default();
        for proxy in proxies {
            let Ok(url) = reqwest::Url::parse(&proxy) else { continue };
            let (user, Some(password)) = (url.username(), url.password()) else { continue };
            let decoded = super::decode(password).unwrap_or(Cow::Borrowed(password));
            let user = super::decode(user).unwrap_or(Cow::Borrowed(user));
            redactor.learn(&decoded);
            redactor.learn(&BASE64_STANDARD.encode(format!("{user}:{decoded}")));
        }
        redactor
    }

    /// Returns the URLs of proxies in the environment, from the same variables that the HTTP client reads.
    pub(super) fn proxies() -> impl Iterator<Item = String> {
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
            .into_iter()
            .flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()])
            .filter_map(|name| std::env::var(name).ok())
    }

    /// Learns the credentials and the signature of a request.
    pub(super) fn signed(&self, credentials: &Arc<Credentials>, signature: String) {
        {
            let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, credentials)) {
                // Earlier credentials stay known, because answers to requests signed with them may still come.
                self.learn(&credentials.secret_id);
                self.learn(credentials.secret_key.expose_secret());
                self.learn(credentials.expose_token().unwrap_or_default());
                *known = Some(Arc::clone(credentials));
            }
        }
        let mut signatures = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        if signatures.len() == SIGNATURES {
            signatures.pop_front();
        }
        signatures.push_back(signature);
    }

    fn learn(&self, secret: &str) {
        let lower = secret.to_ascii_lowercase();
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        for run in lower.as_bytes().windows(WINDOW) {
            // No text has a NUL to compare with: it is a control character, which is left out.
            if !run.contains(&0) {
                windows
                    .insert(run.iter().fold(0, |window, byte| window << 8 | Window::from(*byte)));
            }
        }
    }

    /// Returns the text with every secret replaced by `[redacted]`.
    pub(super) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_clean(text) { Cow::Borrowed(text) } else { self.search(text) }
    }

    /// Returns `true` if [`Redactor::search`] would find nothing, in one pass and without an allocation: this is asked
    /// for the labels of every image. Returns `false` if a search is needed to know.
    fn is_clean(&self, text: &str) -> bool {
        if text.len() < WINDOW {
            return true;
        }
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let (mut window, mut length, mut hex_digits): (Window, usize, usize) = (0, 0, 0);
        for c in text.chars() {
            let byte = match seen_as(c) {
                Some(b'%') => return false,
                Some(byte) => byte,
                None => continue,
            };
            window = window << 8 | Window::from(byte);
            length = if byte == 0 { 0 } else { length + 1 };
            hex_digits = if byte.is_ascii_hexdigit() { hex_digits + 1 } else { 0 };
            // Eight hexadecimal digits can be of a signature.
            if hex_digits == WINDOW || length >= WINDOW && windows.contains(window) {
                return false;
            }
        }
        true
    }

    /// Does the work of [`Redactor::hide`].
    fn search<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = vec![false; text.len()];
        // The text is searched undecoded first: what looks like an escape may be a `%` followed by a secret.
        self.find(&normalise(text, false), &mut hidden);
        if text.contains('%') {
            self.find(&normalise(text, true), &mut hidden);
        }
        if !hidden.contains(&true) {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            if !hidden[at] {
                shown.push(c);
            } else if at == 0 || !hidden[at - 1] {
                shown.push_str(MARK);
            }
        }
        Cow::Owned(shown)
    }

    /// Marks the bytes of the text that belong to secrets, by their positions in the text.
    fn find(&self, seen: &[Seen], hidden: &mut [bool]) {
        let mut hide = |run: &[Seen]| {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                hidden[first.start..last.end].fill(true);
            }
        };
        {
            let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
            for run in seen.windows(WINDOW) {
                let window =
                    run.iter().fold(0, |window, seen| window << 8 | Window::from(seen.byte));
                if windows.contains(window) || self.is_of_a_signature(window.to_be_bytes()) {
                    hide(run);
                }
            }
        }
        // Any 40 hexadecimal digits can be a signature that is no longer remembered, or a `SignKey`.
        let is_one_word = |a: &Seen, b: &Seen| {
            a.end == b.start && a.byte.is_ascii_hexdigit() == b.byte.is_ascii_hexdigit()
        };
        for run in seen.chunk_by(is_one_word) {
            if run.len() == SIGNATURE && run[0].byte.is_ascii_hexdigit() {
                hide(run);
            }
        }
    }

    /// Returns `true` if these characters are part of a remembered signature.
    fn is_of_a_signature(&self, window: [u8; WINDOW]) -> bool {
        if !window.iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        let signatures = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        signatures.iter().any(|known| known.as_bytes().windows(WINDOW).any(|run| run == window))
    }
}
