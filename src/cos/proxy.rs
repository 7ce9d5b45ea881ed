//! Checks the proxy that the environment names. The HTTP client silently ignores a proxy that it does not understand, and
//! requests would be sent directly.

use url::Url;

use super::endpoint::Endpoint;

/// The schemes of proxies that the HTTP client supports.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Checks the environment variables that choose the proxy for this endpoint.
///
/// # Errors
/// Returns the name of the variable and what is wrong with its value. The value itself is left out, because it may hold a
/// password.
pub(super) fn check(
    endpoint: &Endpoint,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), (String, String)> {
    if endpoint.is_loopback() {
        return Ok(());
    }
    let own = if endpoint.origin().starts_with("https:") {
        ["HTTPS_PROXY", "https_proxy"]
    } else {
        ["HTTP_PROXY", "http_proxy"]
    };
    for name in own.into_iter().chain(["ALL_PROXY", "all_proxy"]) {
        let value = variable(name).unwrap_or_default();
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        // A value without a scheme is the host of an HTTP proxy.
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            let scheme: String = scheme.chars().take(20).collect();
            let what = format!(
                "the scheme {scheme:?} is not supported; use http, https, socks5 or socks5h"
            );
            return Err((name.to_owned(), what));
        }
        // It is parsed as an HTTP URL, which has the strictest rules for host and port.
        if Url::parse(&format!("http://{rest}")).is_err() {
            let what = "it is not an address; write it as SCHEME://HOST:PORT, with special characters \
                        of a user or password as %XX";
            return Err((name.to_owned(), what.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_is_refused_if_the_proxy_would_be_used() {
        let check_with = |endpoint: &str, name: &'static str, value: &'static str| {
            let variable = |asked: &str| (asked == name).then(|| value.to_owned());
            check(&Endpoint::custom(endpoint).unwrap(), variable)
        };
        for value in
            ["", "proxy:3128", "HTTP://p:1", "socks5://p", "socks5h://u:p@p:1", "p_1", "[::1]:1"]
        {
            assert_eq!(check_with("https://a.example", "ALL_PROXY", value), Ok(()), "{value}");
        }
        let (name, what) =
            check_with("https://a.example", "all_proxy", "ftp://u:secret@p").unwrap_err();
        assert!(name == "all_proxy" && what.contains("\"ftp\""), "{name} {what}");
        for value in ["http://u:p@", "http://p:99999", "socks5://u:p#q@p:1", "p q:1", "http://"] {
            assert!(check_with("https://a.example", "ALL_PROXY", value).is_err(), "{value}");
        }
        assert!(check_with("https://a.example", "HTTPS_PROXY", "socks6://p").is_err());
        assert_eq!(check_with("http://a.example", "HTTPS_PROXY", "socks6://p"), Ok(()));
        assert_eq!(check_with("http://127.0.0.1:1", "ALL_PROXY", "ftp://p"), Ok(()));
    }
}
