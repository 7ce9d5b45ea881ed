//! Removes secrets from texts that come from outside.
//!
//! An answer may repeat the secret id, the token, the key or the signature of a request, and texts of answers are shown,
//! logged and stored. A secret is recognised whole or in part, in upper or lower case, percent-encoded, and with blanks
//! or invisible characters between its own. Eight of its characters in a row are enough.

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
use crate::object::{ETag, StorageClass};

/// The shortest part of a secret that is removed, in characters. Shorter parts reveal too little to matter, and they
/// occur in ordinary texts by chance.
const WINDOW: usize = 8;

/// Replaces a secret.
const MARK: &str = "[redacted]";

/// The length of a signature, and of the `SignKey` that it is made with, in hexadecimal digits.
const SIGNATURE: usize = 40;

/// How many signatures are remembered. The newest are kept, because an answer may repeat the signature of another
/// request that is under way.
const SIGNATURES: usize = 512;

/// How many layers of percent-encoding inside percent-encoding are decoded.
const NESTED: usize = 4;

/// [`WINDOW`] characters as one number, the first one in the highest byte.
type Window = u64;

/// Bits of the filter in front of the set of windows. A permanent key and its id have about fifty windows, a token a
/// thousand.
const FILTER_BITS: u32 = 15;

/// Every run of [`WINDOW`] characters of the secrets, in lower case.
struct Windows {
    all: HashSet<Window>,
    /// A bit is set if a window with this hash is known. Almost every window of an innocent text is told apart by one
    /// look here, which costs a tenth of a look into the set.
    filter: Box<[u64]>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { all: HashSet::new(), filter: vec![0; 1 << (FILTER_BITS - 6)].into() }
    }
}

impl Windows {
    /// The word of the filter and the bit in it that belong to a window (Fibonacci hashing).
    fn place(window: Window) -> (usize, u64) {
        let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
        (usize::try_from(hash >> 6).unwrap_or_default(), 1 << (hash & 63))
    }

    fn insert(&mut self, window: Window) {
        let (word, bit) = Self::place(window);
        self.filter[word] |= bit;
        self.all.insert(window);
    }

    #[inline]
    fn contains(&self, window: Window) -> bool {
        let (word, bit) = Self::place(window);
        self.filter[word] & bit != 0 && self.all.contains(&window)
    }
}

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
        if self.is_innocent(text) { Cow::Borrowed(text) } else { self.search(text) }
    }

    /// Returns `true` if [`Redactor::search`] would find nothing, in one pass and without an allocation: this is asked
    /// for the labels of every image. Returns `false` if a search is needed to know.
    fn is_innocent(&self, text: &str) -> bool {
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

    fn clean(&self, text: &mut String) {
        if let Cow::Owned(hidden) = self.hide(text) {
            *text = hidden;
        }
    }

    fn clean_all<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>) {
        texts.into_iter().for_each(|text| self.clean(text));
    }

    /// Removes secrets from a page of a listing. Keys are left as they are: they identify objects.
    pub(super) fn clean_page(&self, page: &mut ListPage) {
        for entry in &mut page.entries {
            if !is_usual(entry) {
                self.clean_object(entry);
            }
        }
        self.clean_all(page.rejected.iter_mut().map(|entry| &mut entry.shown));
    }

    /// Returns the entry with secrets removed from everything except its key.
    pub(super) fn clean_entry(&self, mut entry: ObjectEntry) -> ObjectEntry {
        if !is_usual(&entry) {
            self.clean_object(&mut entry);
        }
        entry
    }

    fn clean_object(&self, entry: &mut ObjectEntry) {
        // A redacted ETag would no longer identify the content, so it counts as absent.
        if let Some(ETag::Text(etag)) = &entry.etag
            && matches!(self.hide(etag), Cow::Owned(_))
        {
            entry.etag = None;
        }
        if let Some(StorageClass::Other(class)) = &mut entry.storage_class
            && let Cow::Owned(hidden) = self.hide(class)
        {
            *class = hidden.into();
        }
        self.clean_all(&mut entry.storage_tier);
    }

    /// Removes secrets from the names and categories of labels.
    pub(super) fn clean_labels(&self, labels: &mut Labels) {
        // Part of a secret in one of the texts is also part of their concatenation.
        if self.is_innocent(labels.texts()) {
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

    /// Returns the error with secrets removed from every text that came from outside.
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

/// Returns `true` if `ETag` and storage class look as the service writes them, so that they can hold no secret. This
/// check runs for every listed object and spares it the search.
fn is_usual(entry: &ObjectEntry) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let is_class = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let has_usual_etag = match &entry.etag {
        None | Some(ETag::Md5(_)) => true,
        Some(ETag::Text(etag)) => etag.len() < SIGNATURE && etag.bytes().all(is_digit),
    };
    let has_usual_class = match &entry.storage_class {
        Some(StorageClass::Other(class)) => class.bytes().all(is_class),
        _ => true,
    };
    has_usual_etag && has_usual_class && entry.storage_tier.is_none()
}

/// Returns a character in the form in which it is compared: its byte in lower case, or 0 for a character that no byte
/// stands for, since secrets are ASCII. Returns `None` for blanks, unseen characters and the backslash, which can stand
/// between the characters of a secret.
#[inline]
fn seen_as(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii_graphic() => (c != '\\').then(|| byte.to_ascii_lowercase()),
        // Chinese and most other scripts have no blanks and no invisible characters in this range.
        _ if ('\u{3001}'..'\u{feff}').contains(&c) => Some(0),
        _ if c.is_whitespace() || is_unseen(c) => None,
        byte => Some(byte.unwrap_or_default()),
    }
}

/// A character of a text in the form in which it is compared.
struct Seen {
    /// The value of [`seen_as`], or the decoded byte of an escape in lower case.
    byte: u8,
    /// Where the character begins in the text, in bytes.
    start: usize,
    /// Where the character ends in the text, in bytes.
    end: usize,
}

/// Returns the characters of a text that are compared, with percent-encoding decoded if `decode` is set.
fn normalise(text: &str, decode: bool) -> Vec<Seen> {
    let bytes = text.as_bytes();
    let mut seen = Vec::with_capacity(bytes.len());
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let Some(byte) = seen_as(c) else { continue };
        if decode
            && c == '%'
            && let Some((byte, end)) = unescape(bytes, start)
        {
            while rest.next_if(|(at, _)| *at < end).is_some() {}
            seen.push(Seen { byte: byte.to_ascii_lowercase(), start, end });
            continue;
        }
        let end = start + c.len_utf8();
        seen.push(Seen { byte, start, end });
    }
    seen
}

/// Decodes the escape that begins at `start`. Returns its byte and where it ends. Nested escapes are decoded to the end:
/// `%252B` is `%2B` is `+`.
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
    fn a_secret_is_removed_in_every_form_that_it_can_have() {
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
    fn eight_characters_of_a_secret_are_removed_and_seven_are_not() {
        let redactor = redactor();
        assert_eq!(redactor.hide(&ID[10..18]), "[redacted]");
        assert_eq!(redactor.hide(&ID[..7]), &ID[..7]);
        assert_eq!(redactor.hide(&format!("{}…", &KEY[..20])), "[redacted]…");
        assert_eq!(redactor.hide("q-signature=89abcdef0123&x"), "q-signature=[redacted]&x");
        let foreign = "f".repeat(40);
        assert_eq!(redactor.hide(&format!("signature {foreign}.")), "signature [redacted].");
    }

    #[test]
    fn no_blank_and_no_invisible_character_is_in_the_range_that_is_passed_over() {
        let mut passed_over = '\u{3001}'..'\u{feff}';
        assert!(passed_over.all(|c| !c.is_whitespace() && !is_unseen(c)));
    }

    #[test]
    fn a_text_without_secrets_is_not_changed() {
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

        // The text is made of pieces of a secret, hexadecimal digits, and what may stand between characters.
        #[test]
        fn a_text_that_counts_as_innocent_holds_nothing_to_hide(
            pieces in prop::collection::vec(
                prop_oneof![
                    (0..36_usize, 0..12_usize).prop_map(|(at, length)| {
                        ID[at..(at + length).min(ID.len())].to_owned()
                    }),
                    "[a-f0-9]{1,9}",
                    "[ \\\\\u{200b}%é猫A-Za-z]{0,4}",
                ],
                0..8,
            ),
        ) {
            let (redactor, text) = (redactor(), pieces.concat());
            if redactor.is_innocent(&text) {
                prop_assert!(matches!(redactor.search(&text), Cow::Borrowed(_)), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_hiding_panic_or_leave_a_secret(before: String, after: String, cut in 0..28_usize) {
            let redactor = redactor();
            let _ = redactor.hide(&before);
            let text = format!("{before}{}{after}", &ID[cut..cut + 8]);
            let hidden = redactor.hide(&text).into_owned();
            prop_assert!(!hidden.contains(&ID[cut..cut + 8]), "{}", hidden);
            prop_assert_eq!(redactor.hide(&hidden).into_owned(), hidden.clone());
        }
    }
}
