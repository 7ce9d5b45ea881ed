//! Which proxy the environment names, as far as it has to be checked: one that is not understood would be passed over in
//! silence, and requests would go another way than they were told to.

use url::Url;

use super::endpoint::Endpoint;

/// Schemes of proxies that can be used.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Checks the variables that choose the proxy of this endpoint. The error is the variable's name and what is wrong with
/// its value, which is not repeated: it may hold a password.
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
        // Without a scheme it is a host, reached by HTTP.
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            let scheme: String = scheme.chars().take(20).collect();
            let what = format!("its scheme is {scheme:?}, and http, https, socks5 and socks5h can");
            return Err((name.to_owned(), what));
        }
        // As an address of HTTP, whose rules for host and port are the strictest.
        if Url::parse(&format!("http://{rest}")).is_err() {
            let what = "it is no address; write it as SCHEME://HOST:PORT, and what is special in a \
                        user or password as %XX";
            return Err((name.to_owned(), what.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_not_known_is_refused_where_it_would_be_used() {
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
