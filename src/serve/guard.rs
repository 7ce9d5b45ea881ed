//! Who may ask: a browser of this machine that was given the token.
//!
//! Three things could misuse a server on a loopback address. A page of the Internet could send requests to it: its
//! `Origin` is refused. A name of the Internet could be pointed at 127.0.0.1 ("DNS rebinding"): its `Host` is refused.
//! Another user of the machine could open the port: the token is missing.

use std::fmt;

use hyper::header::{COOKIE, HOST, HeaderName, ORIGIN};
use hyper::{HeaderMap, Method, Uri};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

/// The name of the parameter that carries the token.
const TOKEN: &str = "token";

/// The hosts by which a browser of this machine reaches the server, on any port, since `ssh -L` may change it.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// A text that lets in whoever has it. Its debug form is not the text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Checks requests.
#[derive(Debug)]
pub struct Guard {
    token: Secret,
    /// The name of the cookie. Cookies know no ports, so it differs from server to server.
    cookie: String,
}

/// The decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Pass,
    /// The token becomes a cookie, and the browser goes on to an address without it.
    Enter {
        /// The address.
        location: String,
        /// The value of the header `Set-Cookie`.
        cookie: Secret,
    },
    /// It is refused, with this status and reason.
    Refuse(u16, &'static str),
}

const WRONG_HOST: &str = "This server answers only to localhost, 127.0.0.1 and [::1].";
const WRONG_ORIGIN: &str = "This server answers only to its own pages.";
const WRONG_METHOD: &str = "This server only shows. It knows the methods GET and HEAD.";
const NO_TOKEN: &str = "Open the address that costag printed when this server was started. The part after \"token=\" lets you in.";

impl Guard {
    /// A guard with a token: 32 hexadecimal digits that nobody can guess.
    pub fn new(random: [u8; 16]) -> Self {
        let token = hex::encode(random);
        let name = hex::encode(&Sha256::digest(token.as_bytes())[..6]);
        Self { cookie: format!("costag-{name}"), token: Secret(token) }
    }

    /// The path and query that let a browser in.
    pub fn entrance(&self) -> String {
        format!("/?{TOKEN}={}", self.token.expose())
    }

    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let Some(host) = one(headers, &HOST).filter(|host| is_local(host)) else {
            return Verdict::Refuse(403, WRONG_HOST);
        };
        if uri.authority().is_some_and(|authority| !is_local(authority.as_str())) {
            return Verdict::Refuse(403, WRONG_HOST);
        }
        if headers.contains_key(ORIGIN) {
            let own = one(headers, &ORIGIN)
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|origin| origin.eq_ignore_ascii_case(host));
            if !own {
                return Verdict::Refuse(403, WRONG_ORIGIN);
            }
        }
        if method != Method::GET && method != Method::HEAD {
            return Verdict::Refuse(405, WRONG_METHOD);
        }
        let query = uri.query().unwrap_or_default();
        if let Some(given) = parameter(query) {
            if !same(&given, self.token.expose()) {
                return Verdict::Refuse(403, NO_TOKEN);
            }
            let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != TOKEN);
            let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
            // A path that begins with two slashes would lead to another host.
            let path = format!("/{}", uri.path().trim_start_matches(['/', '\\']));
            return Verdict::Enter {
                location: if rest.is_empty() { path } else { format!("{path}?{rest}") },
                cookie: Secret(format!(
                    "{}={}; Path=/; HttpOnly; SameSite=Strict",
                    self.cookie,
                    self.token.expose()
                )),
            };
        }
        if self.has_cookie(headers) { Verdict::Pass } else { Verdict::Refuse(403, NO_TOKEN) }
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.any(|pair| {
            let (name, value) = pair.trim().split_once('=').unwrap_or_default();
            name == self.cookie && same(value, self.token.expose())
        })
    }
}

/// The value of a header that comes exactly once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a host, with or without a port, is this machine.
fn is_local(host: &str) -> bool {
    HOSTS.iter().any(|local| {
        let Some((name, port)) = host.split_at_checked(local.len()) else { return false };
        let is_port = |port: &str| {
            !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
        };
        name.eq_ignore_ascii_case(local)
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
    })
}

fn parameter(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == TOKEN).map(|(_, value)| value.into_owned())
}

/// Compares in a time that does not depend on where the texts differ.
fn same(given: &str, token: &str) -> bool {
    let differ = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn check(uri: &str, headers: &[(&str, &str)]) -> Verdict {
        check_as(&Method::GET, uri, headers)
    }

    fn check_as(method: &Method, uri: &str, headers: &[(&str, &str)]) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        Guard::new([7; 16]).check(method, &uri.parse().unwrap(), &map)
    }

    fn cookie() -> String {
        let guard = Guard::new([7; 16]);
        format!("other=1; {}={}", guard.cookie, guard.token.expose())
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        let cookie = cookie();
        for host in ["localhost", "LocalHost:1", "127.0.0.1:65535", "[::1]:8080", "[::1]"] {
            assert_eq!(check("/", &[("host", host), ("cookie", &cookie)]), Verdict::Pass, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "localhost:",
            "localhost:80x",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "0.0.0.0",
            "user@localhost",
            "localhost:123456",
            "",
            "::1",
        ] {
            let verdict = check("/", &[("host", host), ("cookie", &cookie)]);
            assert_eq!(verdict, Verdict::Refuse(403, WRONG_HOST), "{host}");
        }
        let cookie = cookie.as_str();
        let refused = Verdict::Refuse(403, WRONG_HOST);
        assert_eq!(check("/", &[("cookie", cookie)]), refused);
        assert_eq!(
            check("/", &[("host", "localhost"), ("host", "localhost"), ("cookie", cookie)]),
            refused
        );
        let absolute = [("host", "localhost"), ("cookie", cookie)];
        assert_eq!(check("http://evil.example/", &absolute), refused);
        assert_eq!(check("http://localhost:80/", &absolute), Verdict::Pass);
    }

    #[test]
    fn only_pages_of_the_server_are_origins() {
        let cookie = cookie();
        let with = |origin| {
            check("/", &[("host", "localhost:80"), ("origin", origin), ("cookie", &cookie)])
        };
        assert_eq!(with("http://localhost:80"), Verdict::Pass);
        for origin in [
            "null",
            "http://evil.example",
            "https://localhost:80",
            "http://localhost:81",
            "",
            "http://127.0.0.1:80",
        ] {
            assert_eq!(with(origin), Verdict::Refuse(403, WRONG_ORIGIN), "{origin}");
        }
    }

    #[test]
    fn the_token_becomes_a_cookie_and_leaves_the_address() {
        let guard = Guard::new([7; 16]);
        let local = ("host", "localhost");
        let entered = |uri: &str| match check(uri, &[local]) {
            Verdict::Enter { location, cookie } => {
                let cookie = cookie.expose();
                assert!(cookie.contains(guard.token.expose()));
                assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
                location
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(entered(&guard.entrance()), "/");
        assert_eq!(
            entered(&format!("/explore?all=%E7%8C%AB&token={}&any=b", guard.token.expose())),
            "/explore?all=%E7%8C%AB&any=b"
        );
        assert_eq!(
            entered(&format!("//evil.example/?token={}", guard.token.expose())),
            "/evil.example/"
        );
        for uri in ["/", "/style.css", "/?token=", "/?token=00000000000000000000000000000000"] {
            assert_eq!(check(uri, &[local]), Verdict::Refuse(403, NO_TOKEN), "{uri}");
        }
        let wrong = format!("{}=07070707070707070707070707070708", guard.cookie);
        assert_eq!(check("/", &[local, ("cookie", &wrong)]), Verdict::Refuse(403, NO_TOKEN));
        assert_ne!(Guard::new([8; 16]).cookie, guard.cookie);
    }

    #[test]
    fn the_debug_forms_have_no_token() {
        let guard = Guard::new([7; 16]);
        let entered = check(&guard.entrance(), &[("host", "localhost")]);
        assert!(matches!(entered, Verdict::Enter { .. }));
        assert!(!format!("{guard:?} {entered:?}").contains(guard.token.expose()));
    }

    #[test]
    fn nothing_but_reading_is_a_method() {
        let cookie = cookie();
        let headers = [("host", "localhost"), ("cookie", cookie.as_str())];
        assert_eq!(check_as(&Method::HEAD, "/", &headers), Verdict::Pass);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::CONNECT]
        {
            let verdict = check_as(&method, "/", &headers);
            assert_eq!(verdict, Verdict::Refuse(405, WRONG_METHOD), "{method}");
        }
    }
}
