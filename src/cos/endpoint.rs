//! The host that serves a bucket, and the keys that a URL can name.
//!
//! An [`Endpoint`] is made from a bucket and a region, or from a whole endpoint that a person gives. It holds the origin
//! that requests are sent to and the `Host` header that they sign.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::visible::without_password;

/// The longest request domain that COS allows, in characters ("Bucket Overview", naming rules).
const DOMAIN_MAX: usize = 60;

/// Why a bucket, a region or an endpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bucket's name is not `name-appid`.
    #[error(
        "{name:?} is not a bucket: {reason} (a bucket is <name>-<APPID>, as photos-1250000000)"
    )]
    Bucket {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The region is not a region's short name.
    #[error("{region:?} is not a region: {reason} (a region is written as ap-guangzhou)")]
    Region {
        /// What was given.
        region: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The domain of bucket and region is longer than COS allows.
    #[error("the domain {domain} has {} characters, and COS allows {DOMAIN_MAX}", domain.len())]
    DomainTooLong {
        /// The domain.
        domain: String,
    },
    /// The endpoint is not `scheme://host[:port]`.
    #[error("{endpoint:?} is not an endpoint: {reason} (write http://host:port or https://host)")]
    Endpoint {
        /// What was given, without user and password.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The checked full name of a bucket, `<name>-<APPID>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(String);

impl Bucket {
    /// Checks that `name` has only lower-case letters, digits and `-`, and only digits after the last `-` ("Bucket
    /// Overview", naming rules).
    ///
    /// # Errors
    /// Returns [`Error::Bucket`] with the rule that is broken.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::Bucket { name: name.to_owned(), reason });
        if name.is_empty() {
            return refuse("it is empty");
        }
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return refuse("only lower-case letters, digits and '-' are allowed");
        }
        if name.starts_with('-') || name.ends_with('-') {
            return refuse("it may not begin or end with '-'");
        }
        match name.rsplit_once('-') {
            Some((_, appid)) if appid.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self(name.to_owned()))
            }
            _ => refuse("the APPID, digits after the last '-', is missing"),
        }
    }

    /// Returns the name, APPID included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the APPID, the number of the account.
    pub fn appid(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(_, appid)| appid)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Bucket {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

/// The scheme, host and port that requests are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `scheme://host[:port]`, without a slash at the end.
    origin: String,
    /// The host, with its port unless that is the default of the scheme.
    host: String,
    /// True if the host is this machine.
    loopback: bool,
}

impl Endpoint {
    /// Returns the endpoint `https://<bucket>.cos.<region>.myqcloud.com`, which serves listings and `detect-label`
    /// ("Regions and Access Endpoints").
    ///
    /// # Errors
    /// Returns an error if the region is malformed or the domain has more than 60 characters.
    pub fn for_region(bucket: &Bucket, region: &str) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::Region { region: region.to_owned(), reason });
        if region.is_empty() {
            return refuse("it is empty");
        }
        if region.contains("cos.") {
            return refuse("leave out the 'cos.'");
        }
        if !is_region(region) {
            return refuse("only lower-case letters, digits and '-' are allowed");
        }
        let host = format!("{bucket}.cos.{region}.myqcloud.com");
        if host.len() > DOMAIN_MAX {
            return Err(Error::DomainTooLong { domain: host });
        }
        Ok(Self { origin: format!("https://{host}"), host, loopback: false })
    }

    /// Reads an endpoint in the form `scheme://host[:port]`. It is used as it is: the bucket is not put in front.
    ///
    /// # Errors
    /// Returns an error if the scheme is neither http nor https, if there is no host, or if there is a user, a path, a
    /// query or a fragment.
    pub fn custom(endpoint: &str) -> Result<Self, Error> {
        let refuse = |reason| {
            Err(Error::Endpoint { endpoint: without_password(endpoint).into_owned(), reason })
        };
        if endpoint.trim() != endpoint || endpoint.contains(|c: char| c.is_ascii_control()) {
            return refuse("it contains blanks");
        }
        let Ok(url) = Url::parse(endpoint) else {
            return refuse("it is not a URL");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("the scheme is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() || endpoint.contains('@') {
            return refuse("it must not contain a user or password");
        }
        if url.path() != "/" {
            return refuse("it must not contain a path");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("it must not contain a query or a fragment");
        }
        let Some(name) = url.host_str() else {
            return refuse("there is no host");
        };
        // `port()` leaves out the default port of the scheme, as HTTP clients do in the header `Host`. The signed host
        // must be the one that is sent.
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let loopback = match url.host() {
            // Names such as `x.localhost` do not count: the resolver decides where they lead.
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        Ok(Self { origin: format!("{}://{host}", url.scheme()), host, loopback })
    }

    /// Returns `scheme://host[:port]`, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the `Host` header as it is sent and signed: with the port, unless it is the default of the scheme.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns `true` if this is a host of COS that serves this bucket, over TLS. Nobody but Tencent can answer there.
    ///
    /// Such hosts have `cos.` or `cos-internal.` and a region or the global acceleration, below `myqcloud.com` or
    /// `tencentcos.cn` ("Regions and Access Endpoints").
    pub fn is_service_of(&self, bucket: &Bucket) -> bool {
        let region = self
            .host
            .strip_prefix(bucket.as_str())
            .and_then(|rest| {
                rest.strip_prefix(".cos.").or_else(|| rest.strip_prefix(".cos-internal."))
            })
            .and_then(|rest| {
                rest.strip_suffix(".myqcloud.com").or_else(|| rest.strip_suffix(".tencentcos.cn"))
            });
        self.origin.starts_with("https://") && region.is_some_and(is_region)
    }

    /// Returns `true` if requests cross a network without encryption. Whoever listens there could send a signed request
    /// again.
    pub fn is_plain_http(&self) -> bool {
        !self.loopback && self.origin.starts_with("http://")
    }

    /// Returns `true` if the host is this machine. Such requests never use a proxy.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

fn is_region(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.bytes().all(fits)
}

/// Returns `true` if a request for `key` reaches that object.
///
/// The service resolves `.`, `..` and `//` in a path. If the result is the root, the request is one for the bucket. The
/// official SDKs refuse the same keys. `a/../b` is addressable, `a/..` is not.
pub fn addressable(key: &str) -> bool {
    let mut depth = 0_usize;
    for segment in key.split('/') {
        match segment {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_break_a_rule_are_refused_by_that_rule() {
        assert_eq!(Bucket::parse("my-photos-1250000000").unwrap().appid(), "1250000000");
        for (name, word) in [
            ("", "empty"),
            ("Photos-1250000000", "lower-case"),
            ("photos_x-1250000000", "lower-case"),
            ("-photos-1250000000", "begin"),
            ("photos-", "begin"),
            ("photos", "APPID"),
            ("photos-125a", "APPID"),
            ("1250000000", "APPID"),
        ] {
            let error = Bucket::parse(name).unwrap_err().to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
    }

    #[test]
    fn a_region_has_the_host_of_the_documentation() {
        let bucket = Bucket::parse("photos-1250000000").unwrap();
        let endpoint = Endpoint::for_region(&bucket, "ap-guangzhou").unwrap();
        assert_eq!(endpoint.origin(), "https://photos-1250000000.cos.ap-guangzhou.myqcloud.com");
        assert_eq!(endpoint.host(), "photos-1250000000.cos.ap-guangzhou.myqcloud.com");
        for region in ["", "cos.ap-guangzhou", "ap guangzhou", "AP-x", "a.b", "x/", "x\n"] {
            assert!(Endpoint::for_region(&bucket, region).is_err(), "{region}");
        }
    }

    #[test]
    fn hosts_that_resemble_the_service_are_not_the_service() {
        let bucket = Bucket::parse("photos-1250000000").unwrap();
        let is_service = |text: &str| Endpoint::custom(text).unwrap().is_service_of(&bucket);
        assert!(Endpoint::for_region(&bucket, "ap-guangzhou").unwrap().is_service_of(&bucket));
        for host in [
            "https://photos-1250000000.cos.ap-guangzhou.tencentcos.cn",
            "https://photos-1250000000.cos-internal.ap-guangzhou.tencentcos.cn",
            "https://photos-1250000000.cos.accelerate.myqcloud.com",
            "https://PHOTOS-1250000000.cos.ap-beijing.myqcloud.com:443/",
        ] {
            assert!(is_service(host), "{host}");
        }
        for host in [
            "http://photos-1250000000.cos.ap-guangzhou.myqcloud.com",
            "https://photos-1250000000.cos.ap-guangzhou.myqcloud.com:8443",
            "https://photos-1250000000.cos.ap-guangzhou.myqcloud.com.",
            "https://photos-1250000000.cos.ap-guangzhou.myqcloud.com.evil.example",
            "https://photos-1250000000.cos.evil.example",
            "https://photos-1250000000.cos.a.b.myqcloud.com",
            "https://photos-1250000000.cos..myqcloud.com",
            "https://photos-1250000000.cos-website.ap-guangzhou.myqcloud.com",
            "https://other-1250000000.cos.ap-guangzhou.myqcloud.com",
            "https://photos-1250000000.cos.ap-guangzhou.evilmyqcloud.com",
            "http://127.0.0.1:9000",
        ] {
            assert!(!is_service(host), "{host}");
        }
    }

    #[test]
    fn a_domain_of_more_than_sixty_characters_is_refused() {
        // "-1250000000" and ".cos.ap-beijing.myqcloud.com" take 39 of the 60 characters.
        let name = |length: usize| format!("{}-1250000000", "a".repeat(length));
        let host = |length| {
            let bucket = Bucket::parse(&name(length)).unwrap();
            Endpoint::for_region(&bucket, "ap-beijing")
        };
        assert_eq!(host(21).unwrap().host().len(), 60);
        assert!(matches!(host(22), Err(Error::DomainTooLong { .. })));
    }

    #[test]
    fn a_custom_endpoint_is_used_unchanged_or_refused() {
        let endpoint = Endpoint::custom("http://127.0.0.1:9000/").unwrap();
        assert_eq!(endpoint.origin(), "http://127.0.0.1:9000");
        assert_eq!(endpoint.host(), "127.0.0.1:9000");
        assert!(endpoint.is_loopback());
        assert!(Endpoint::custom("http://[::1]:9000").unwrap().is_loopback());
        for loopback in
            ["http://127.9.8.7", "http://localhost:80", "http://LOCALHOST", "http://127.1"]
        {
            let endpoint = Endpoint::custom(loopback).unwrap();
            assert!(endpoint.is_loopback() && !endpoint.is_plain_http(), "{loopback}");
        }
        for plain in
            ["http://10.0.0.1", "http://x.localhost", "http://localhost.x.org", "http://0.0.0.0"]
        {
            let endpoint = Endpoint::custom(plain).unwrap();
            assert!(!endpoint.is_loopback() && endpoint.is_plain_http(), "{plain}");
        }
        assert!(!Endpoint::custom("https://10.0.0.1").unwrap().is_plain_http());
        let named = Endpoint::custom("https://img.example.com:443").unwrap();
        assert_eq!((named.host(), named.is_loopback()), ("img.example.com", false));
        for (text, word) in [
            ("img.example.com", "URL"),
            ("ftp://x", "scheme"),
            ("http://", "URL"),
            ("http://u:secret@x", "user"),
            ("http://@x", "user"),
            ("http://x/path", "path"),
            ("http://x/?q", "query"),
            ("http://x/#f", "query"),
            (" http://x", "blanks"),
            ("http://x\n", "blanks"),
        ] {
            let error = Endpoint::custom(text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn keys_that_merge_into_the_root_are_not_addressable() {
        for key in ["", "/", ".", "..", "//", "./", "a/..", "/a/../", "../..", "a/b/../.."] {
            assert!(!addressable(key), "{key}");
        }
        for key in ["a", "a/../b", "../a", "...", "/a", "a//b", ".a", "a/.", "a/b/..", " "] {
            assert!(addressable(key), "{key}");
        }
    }
}
