//! Reads `~/.cos.yaml`, the configuration of coscli. Its secrets are obfuscated by AES with a key that is public.
//!
//! Only the values under `cos: base:` are needed, so they are read by hand instead of by a YAML crate.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use super::secret::Credentials;

/// The key in the source code of coscli, padded with zeros to 16 bytes.
const KEY: [u8; 16] = *b"coscli-secret\0\0\0";

/// What the file contains about credentials.
pub(super) enum Found {
    /// The file has none.
    Nothing,
    /// An id and a key.
    Credentials(Credentials),
    /// `mode: CvmRole`, with the name of the role if the file has one.
    Role(Option<String>),
}

/// Reads the values under `cos: base:`.
pub(super) fn parse(place: &str, text: &str) -> Result<Found, Error> {
    let base = scalars(text);
    let get = |name: &str| {
        let found = base.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    if get("mode") == Some("CvmRole") {
        return Ok(Found::Role(get("cvmrolename").map(str::to_owned)));
    }
    let plain = get("disableencryption") == Some("true");
    let secret = |name: &str| {
        let reveal = |value: &str| if plain { value.to_owned() } else { reveal(value) };
        get(name).map(reveal).filter(|value| !value.is_empty())
    };
    let name = |word: &str| format!("{word} in {place}");
    match (secret("secretid"), secret("secretkey")) {
        (None, None) => Ok(Found::Nothing),
        (Some(id), Some(key)) => {
            let names = [name("secretid"), name("secretkey"), name("sessiontoken")];
            let names = [names[0].as_str(), names[1].as_str(), names[2].as_str()];
            let token = secret("sessiontoken");
            let found = Credentials::checked(names, &id, &key, token.as_deref(), None)?;
            Ok(Found::Credentials(found))
        }
        (Some(_), None) => Err(Error::Half { set: name("secretid"), missing: name("secretkey") }),
        (None, Some(_)) => Err(Error::Half { set: name("secretkey"), missing: name("secretid") }),
    }
}

/// Returns the names and values under `cos: base:`.
fn scalars(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // The indentations of `cos:` and of `base:`; `None` outside of them.
    let (mut cos, mut base): (Option<usize>, Option<usize>) = (None, None);
    for line in text.lines() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        if cos.is_some_and(|at| indent <= at) {
            (cos, base) = (None, None);
        }
        if base.is_some_and(|at| indent <= at) {
            base = None;
        }
        let Some((name, value)) = content.split_once(':') else { continue };
        let (name, value) = (scalar(name), scalar(value));
        match (cos, base) {
            (None, _) if indent == 0 && name == "cos" => cos = Some(indent),
            (Some(_), None) if name == "base" => base = Some(indent),
            (Some(_), Some(_)) => found.push((name.to_ascii_lowercase(), value)),
            _ => {}
        }
    }
    found
}

/// Reads a plain or quoted value. A comment after it is left out.
fn scalar(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some((inner, _)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.to_owned();
        }
    }
    text.split(" #").next().unwrap_or_default().trim().to_owned()
}

/// Reverses the obfuscation. A value that is not obfuscated is returned as it is, as in coscli.
fn reveal(value: &str) -> String {
    decrypt(value).unwrap_or_else(|| value.to_owned())
}

fn decrypt(value: &str) -> Option<String> {
    let mut bytes = STANDARD.decode(value).ok()?;
    if bytes.is_empty() || bytes.len() % 16 != 0 {
        return None;
    }
    let cipher = Aes128::new(&KEY.into());
    for block in bytes.chunks_exact_mut(16) {
        let block: &mut [u8; 16] = block.try_into().ok()?;
        cipher.decrypt_block(block.into());
    }
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end);
    // A plain value that happens to be valid Base64 decrypts to bytes that are no text.
    String::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| b.is_ascii_graphic()))
}
