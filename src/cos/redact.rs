//! Takes secrets out of texts that come from outside: whoever answers may repeat the id, the token, the key or the
//! signature of a request, and such a text is shown and kept.
//!
//! A secret is found whole or in part, in any case of letters, percent-encoded, and with blanks or unseen characters
//! between its own: eight characters of it in a row are enough.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret as _;

use super::credentials::Credentials;
use super::error::{Error, ServiceError};
use super::list::{ListPage, ObjectEntry, StuckListing, Unproven};
use super::text::is_unseen;
use crate::label::{Label, Labels};

/// So many characters of a secret in a row are taken out. Fewer tell nothing, and occur in innocent texts.
const WINDOW: usize = 8;

/// What stands in place of a secret.
const MARK: &str = "[redacted]";

/// A signature, and a key made from the secret key for it, have so many hexadecimal digits.
const SIGNATURE: usize = 40;

/// Signatures that are remembered, the newest ones: an answer may repeat one of another request under way.
const SIGNATURES: usize = 512;

/// Percent-encoding within percent-encoding is undone so many times.
const NESTED: usize = 4;

type Window = [u8; WINDOW];

/// Knows the secrets in use, and takes them out of texts.
#[derive(Default)]
pub(super) struct Redactor {
    /// Every run of [`WINDOW`] characters of a secret, in lower case.
    windows: RwLock<HashSet<Window>>,
    /// The credentials whose secrets are among them.
    credentials: Mutex<Option<Arc<Credentials>>>,
    signatures: Mutex<VecDeque<String>>,
}

/// Shows nothing of what it knows.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor that knows the passwords of the proxies that these URLs name.
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

    /// The proxies that the environment names, as the HTTP client finds them.
    pub(super) fn proxies() -> impl Iterator<Item = String> {
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
            .into_iter()
            .flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()])
            .filter_map(|name| std::env::var(name).ok())
    }

    /// Remembers what a request is signed with, and its signature.
    pub(super) fn signed(&self, credentials: &Arc<Credentials>, signature: String) {
        {
            let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, credentials)) {
                // Secrets of before stay known: an answer to a request of before may still come.
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
        windows
            .extend(lower.as_bytes().windows(WINDOW).filter_map(|run| Window::try_from(run).ok()));
    }

    /// The text without secrets.
    pub(super) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.len() < WINDOW {
            return Cow::Borrowed(text);
        }
        let mut hidden = vec![false; text.len()];
        // As it stands as well: what looks like an escape may be the end of one text and the beginning of a secret.
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

    /// Marks the bytes of the text that belong to secrets.
    fn find(&self, seen: &[Seen], hidden: &mut [bool]) {
        let mut hide = |run: &[Seen]| {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                hidden[first.start..last.end].fill(true);
            }
        };
        {
            let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
            for run in seen.windows(WINDOW) {
                let mut window = Window::default();
                window.iter_mut().zip(run).for_each(|(byte, seen)| *byte = seen.byte);
                if windows.contains(&window) || self.is_of_a_signature(window) {
                    hide(run);
                }
            }
        }
        // Any signature, also one that is long gone, and the keys that signatures are made with.
        let is_one_word = |a: &Seen, b: &Seen| {
            a.end == b.start && a.byte.is_ascii_hexdigit() == b.byte.is_ascii_hexdigit()
        };
        for run in seen.chunk_by(is_one_word) {
            if run.len() == SIGNATURE && run[0].byte.is_ascii_hexdigit() {
                hide(run);
            }
        }
    }

    fn is_of_a_signature(&self, window: Window) -> bool {
        if !window.iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        let signatures = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        signatures.iter().any(|known| known.as_bytes().windows(WINDOW).any(|run| run == window))
    }

    fn clean(&self, text: &mut String) {
        if let Cow::Owned(hidden) = self.hide(text) {
            *text = hidden;
        }
    }

    fn clean_all<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>) {
        texts.into_iter().for_each(|text| self.clean(text));
    }

    /// Takes secrets out of what a page says of objects beside their keys.
    pub(super) fn clean_page(&self, page: &mut ListPage) {
        for entry in &mut page.entries {
            if !is_usual(entry) {
                self.clean_object(entry);
            }
        }
        self.clean_all(page.rejected.iter_mut().map(|entry| &mut entry.shown));
    }

    /// The object without secrets in what is told of it beside its key.
    pub(super) fn clean_entry(&self, mut entry: ObjectEntry) -> ObjectEntry {
        if !is_usual(&entry) {
            self.clean_object(&mut entry);
        }
        entry
    }

    fn clean_object(&self, entry: &mut ObjectEntry) {
        // An ETag that is no longer what it was identifies nothing.
        if matches!(self.hide(&entry.etag), Cow::Owned(_)) {
            entry.etag.clear();
        }
        self.clean(&mut entry.storage_class);
        self.clean_all(&mut entry.storage_tier);
    }

    /// Takes secrets out of the names of labels.
    pub(super) fn clean_labels(&self, labels: &mut Labels) {
        // Names are short words in the language of the site, mostly Chinese: few of them are looked at.
        if !has_long_run(labels.texts()) {
            return;
        }
        let mut clean = Labels::default();
        for label in labels.iter() {
            clean.push(Label {
                name: &self.hide(label.name),
                first_category: &self.hide(label.first_category),
                second_category: &self.hide(label.second_category),
                ..label
            });
        }
        *labels = clean;
    }

    /// The error without secrets in what others have said.
    pub(super) fn hide_error(&self, mut error: Error) -> Error {
        match &mut error {
            Error::Service(error) => {
                let ServiceError { code, message, request_id, trace_id, location, .. } =
                    &mut **error;
                self.clean_all([code, message]);
                self.clean_all([request_id, trace_id, location].into_iter().flatten());
            }
            Error::Unusable { reason, request_id, .. } => {
                self.clean(reason);
                self.clean_all(request_id);
            }
            Error::Foreign { what, location, .. } => {
                self.clean(what);
                self.clean_all(location);
            }
            Error::StuckListing(StuckListing { next, .. }) => self.clean_all(next),
            Error::Unproven(unproven) => match unproven {
                Unproven::Prefix { echo, .. } | Unproven::Marker { echo, .. } => {
                    self.clean_all(echo);
                }
                Unproven::Bucket { echo, .. } => self.clean(echo),
                Unproven::TooMany { .. } => {}
                Unproven::Order { before, key } => self.clean_all([before, key]),
                Unproven::Folded { prefix } => self.clean(prefix),
                Unproven::Outside { key, .. } => self.clean(key),
            },
            Error::Connect { .. }
            | Error::NoSuchHost { .. }
            | Error::Certificate { .. }
            | Error::Interrupted { .. }
            | Error::Timeout { .. }
            | Error::Credentials(_)
            | Error::UnaddressableKey { .. } => {}
        }
        error
    }
}

/// Whether `ETag` and storage class look as the service writes them: then nothing hides there. This is asked for each
/// listed object.
fn is_usual(entry: &ObjectEntry) -> bool {
    let etag = entry.etag.as_bytes();
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let is_class = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    etag.len() < SIGNATURE
        && etag.iter().all(is_digit)
        && entry.storage_class.as_bytes().iter().all(is_class)
        && entry.storage_tier.is_none()
}

/// Whether there is a run of ASCII characters that a part of a secret could be.
fn has_long_run(text: &str) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        run = if byte.is_ascii() { run + 1 } else { 0 };
        run == WINDOW
    })
}

/// A byte of a text as it is compared, and the bytes of the text that it stands for.
struct Seen {
    byte: u8,
    start: usize,
    end: usize,
}

/// The text in lower case, without blanks and what is unseen; with percent-encoding undone, if that is asked for.
fn normalise(text: &str, decode: bool) -> Vec<Seen> {
    let bytes = text.as_bytes();
    let mut seen = Vec::with_capacity(bytes.len());
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        if c.is_whitespace() || is_unseen(c) || c == '\\' {
            continue;
        }
        if decode
            && c == '%'
            && let Some((byte, end)) = unescape(bytes, start)
        {
            while rest.next_if(|(at, _)| *at < end).is_some() {}
            seen.push(Seen { byte: byte.to_ascii_lowercase(), start, end });
            continue;
        }
        let end = start + c.len_utf8();
        // Secrets are ASCII: of other characters it only matters that they are there.
        let byte = u8::try_from(c).map_or(0, |byte| byte.to_ascii_lowercase());
        seen.push(Seen { byte, start, end });
    }
    seen
}

/// The byte that the escape at this place stands for, and where it ends; `%252B` is `%2B` is `+`.
fn unescape(bytes: &[u8], start: usize) -> Option<(u8, usize)> {
    let digits = |at: usize| {
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
    };
    let (mut byte, mut end) = (digits(start + 1)?, start + 3);
    for _ in 0..NESTED {
        if byte != b'%' {
            break;
        }
        let Some(inner) = digits(end) else { break };
        (byte, end) = (inner, end + 2);
    }
    Some((byte, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3gnPhESA";
    const KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3Cozk1qA";
    const TOKEN: &str = "tok/en+Qx7Lm2Rw9Kd4Vb6Nc8Zh1Jf3Gs5Tp0YuWe==";

    fn redactor() -> Redactor {
        let redactor = Redactor::new(["http://someone:pass%2Fword-1@proxy:3128".to_owned()]);
        let credentials = Credentials {
            secret_id: ID.to_owned(),
            secret_key: KEY.into(),
            token: Some(TOKEN.into()),
            expires_at: None,
        };
        redactor
            .signed(&Arc::new(credentials), "0123456789abcdef0123456789abcdef01234567".to_owned());
        redactor
    }

    #[test]
    fn a_secret_is_taken_out_in_every_form() {
        let redactor = redactor();
        let encoded = |text: &str| {
            text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"))
        };
        for secret in [ID, KEY, TOKEN, "pass/word-1", "c29tZW9uZTpwYXNzL3dvcmQtMQ=="] {
            let forms = [
                secret.to_owned(),
                secret.to_lowercase(),
                secret.to_uppercase(),
                secret[1..secret.len() - 1].to_owned(),
                crate::cos::encode(secret),
                crate::cos::encode(&crate::cos::encode(secret)),
                encoded(secret),
                secret.replace('/', "\\/"),
                format!("{}\n {}", &secret[..6], &secret[6..]),
                format!("{}\u{200b}{}", &secret[..6], &secret[6..]),
            ];
            for form in forms {
                let text = format!("denied for <{form}> here");
                let hidden = redactor.hide(&text);
                assert_eq!(hidden, "denied for <[redacted]> here", "{form}");
            }
        }
    }

    #[test]
    fn a_part_of_eight_characters_is_taken_out_and_less_is_not() {
        let redactor = redactor();
        assert_eq!(redactor.hide(&ID[10..18]), "[redacted]");
        assert_eq!(redactor.hide(&ID[..7]), &ID[..7]);
        assert_eq!(redactor.hide(&format!("{}…", &KEY[..20])), "[redacted]…");
        assert_eq!(redactor.hide("q-signature=89abcdef0123&x"), "q-signature=[redacted]&x");
        let foreign = "f".repeat(40);
        assert_eq!(redactor.hide(&format!("signature {foreign}.")), "signature [redacted].");
    }

    #[test]
    fn innocent_texts_stay_as_they_are() {
        let redactor = redactor();
        for text in [
            "",
            "Access Denied.",
            "NjZmNmEwMDBfZXhhbXBsZTAwMDFfMDAwMQ==",
            "d41d8cd98f00b204e9800998ecf8427e",
            "照片/猫.jpg 100% of %zz %",
        ] {
            assert!(matches!(redactor.hide(text), Cow::Borrowed(_)), "{text}");
        }
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn hiding_never_panics_and_leaves_no_secret(before: String, after: String, cut in 0..28_usize) {
            let redactor = redactor();
            let _ = redactor.hide(&before);
            let text = format!("{before}{}{after}", &ID[cut..cut + 8]);
            let hidden = redactor.hide(&text).into_owned();
            prop_assert!(!hidden.contains(&ID[cut..cut + 8]), "{}", hidden);
            prop_assert_eq!(redactor.hide(&hidden).into_owned(), hidden.clone());
        }
    }
}
