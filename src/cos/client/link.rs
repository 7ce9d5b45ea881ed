//! Signed links: addresses of objects that open in a browser without credentials ("Generating Pre-Signed URLs").

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::signed_http::TOKEN_HEADER;
use crate::cos::credentials::Credentials;
use crate::cos::encode::{encode, encode_into, instruction_into};
use crate::cos::endpoint::Endpoint;
use crate::cos::signer::{self, SignKey};
use crate::time::UnixSeconds;

/// What a link leads to.
#[derive(Debug, Clone, Copy)]
pub struct LinkRequest<'a> {
    /// The host of the link: that of the bucket, or a domain that leads to the bucket. Its name is signed.
    pub host: &'a Endpoint,
    /// The key of the object.
    pub key: &'a str,
    /// What the service shall do with the object, such as `imageMogr2/thumbnail/480x480>`; `None` for its bytes.
    pub process: Option<&'a str>,
    /// How long the link is valid.
    pub life: Duration,
}

/// The instruction that makes a copy of a picture with sides of at most this many pixels. A smaller picture keeps its size
/// ("Image Scaling").
pub fn thumbnail(side: u32) -> String {
    format!("imageMogr2/thumbnail/{side}x{side}>")
}

/// An address with a signature, which lets in whoever has it until it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    address: String,
    is_temporary: bool,
}

/// Prints no address: whoever reads it could open it.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_temporary", &self.is_temporary).finish_non_exhaustive()
    }
}

impl Link {
    /// Returns the address. It must not get into a log, a database, a report or an error.
    pub fn expose(&self) -> &str {
        &self.address
    }

    /// Returns `true` if the link carries a security token. It ends with the token, even before its own time.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    /// Signs a link at `now`. Returns the signature too, so that texts can be searched for it.
    pub(super) fn sign(
        request: &LinkRequest<'_>,
        credentials: &Credentials,
        now: UnixSeconds,
    ) -> (Self, String) {
        let token = credentials.expose_token();
        let mut params = Vec::new();
        if let Some(process) = request.process {
            // The whole instruction is the name of a parameter without a value. The service documents it so.
            params.push((process, ""));
        }
        if let Some(token) = token {
            params.push((TOKEN_HEADER, token));
        }
        let life = SignedDuration::try_from(request.life).unwrap_or(SignedDuration::MAX);
        let (UnixSeconds(start), UnixSeconds(end)) =
            (signer::key_start(now), now.saturating_add(life));
        let key_time = format!("{start};{end}");
        let signed = signer::sign(
            &credentials.secret_id,
            &SignKey::new(&credentials.secret_key, key_time),
            &signer::Request {
                method: "GET",
                path: &["/", request.key].concat(),
                params: &params,
                headers: &[("host", request.host.host())],
            },
        );
        let mut address = format!("{}/{}", request.host.origin(), path(request.key));
        // The fields are those of the header, each as a parameter. Their values are encoded, also the lists of names,
        // which have escapes already.
        for (index, field) in signed.authorization.split('&').enumerate() {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            address.push(if index == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            encode_into(&mut address, value);
        }
        if let Some(token) = token {
            address.push('&');
            address.push_str(TOKEN_HEADER);
            address.push('=');
            encode_into(&mut address, token);
        }
        if let Some(process) = request.process {
            address.push('&');
            instruction_into(&mut address, process);
        }
        (Self { address, is_temporary: token.is_some() }, signed.signature)
    }
}

/// Encodes a key for the path of an address that a browser opens. The slashes stay, so that a file that is saved has a
/// short name, unless a browser would change such a path.
fn path(key: &str) -> String {
    let encoded = encode(key);
    let stays = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if stays { encoded.replace("%2F", "/") } else { encoded }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_050);

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            secret_id: "AKIDEXAMPLE".to_owned(),
            secret_key: "sixteen-chars-ok".into(),
            token: token.map(Into::into),
            expires_at: None,
        }
    }

    fn link(key: &str, process: Option<&str>, token: Option<&str>) -> Link {
        let host = Endpoint::custom("https://img.example.com").unwrap();
        let life = Duration::from_mins(15);
        let request = LinkRequest { host: &host, key, process, life };
        let (link, signature) = Link::sign(&request, &credentials(token), NOW);
        assert!(link.expose().contains(&format!("&q-signature={signature}")));
        link
    }

    /// What is signed as a request with these parameters, at the times of the link.
    fn signature(key: &str, params: &[(&str, &str)]) -> String {
        let key_time = "1699999980;1700000950".to_owned();
        let sign_key = SignKey::new(&"sixteen-chars-ok".into(), key_time);
        let path = format!("/{key}");
        let headers = &[("host", "img.example.com")];
        let request = signer::Request { method: "get", path: &path, params, headers };
        signer::sign("AKIDEXAMPLE", &sign_key, &request).signature
    }

    #[test]
    fn the_instruction_is_a_signed_parameter_without_a_value() {
        let link = link("2026/a b.jpg", Some("imageMogr2/thumbnail/480x480>"), None);
        let signature = signature("2026/a b.jpg", &[("imageMogr2/thumbnail/480x480>", "")]);
        assert_eq!(
            link.expose(),
            format!(
                "https://img.example.com/2026/a%20b.jpg?q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE\
                 &q-sign-time=1699999980%3B1700000950&q-key-time=1699999980%3B1700000950\
                 &q-header-list=host&q-url-param-list=imagemogr2%252fthumbnail%252f480x480%253e\
                 &q-signature={signature}&imageMogr2/thumbnail/480x480%3E"
            )
        );
        assert!(!link.is_temporary());
    }

    #[test]
    fn a_token_is_a_signed_parameter_and_the_link_says_so() {
        let link = link("a.jpg", None, Some("to/ken+"));
        assert!(link.is_temporary());
        let signature = signature("a.jpg", &[("x-cos-security-token", "to/ken+")]);
        let end = format!("&q-signature={signature}&x-cos-security-token=to%2Fken%2B");
        assert!(link.expose().ends_with(&end), "{}", link.expose());
        assert!(link.expose().contains("&q-url-param-list=x-cos-security-token&"));
    }

    #[rstest]
    #[case::plain("a/b.jpg", "a/b.jpg")]
    #[case::upwards("a/../b.jpg", "a%2F..%2Fb.jpg")]
    #[case::here("./b.jpg", ".%2Fb.jpg")]
    #[case::two_slashes("a//b.jpg", "a%2F%2Fb.jpg")]
    #[case::a_slash_first("/b.jpg", "%2Fb.jpg")]
    #[case::escapes("%41/猫?#.jpg", "%2541/%E7%8C%AB%3F%23.jpg")]
    fn a_browser_keeps_the_path_of_a_link(#[case] key: &str, #[case] expected: &str) {
        let link = link(key, None, None);
        let parsed = reqwest::Url::parse(link.expose()).unwrap();
        assert_eq!(parsed.path(), format!("/{expected}"));
        assert_eq!(parsed.as_str(), link.expose());
    }

    #[test]
    fn the_debug_form_of_a_link_has_no_address() {
        let shown = format!("{:?}", link("a.jpg", None, Some("secret-token")));
        assert!(!shown.contains("a.jpg") && !shown.contains("secret"), "{shown}");
    }
}
