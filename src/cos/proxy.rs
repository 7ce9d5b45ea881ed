//! Which proxy the environment names, as far as it has to be checked: a scheme that is not known would be passed over in
//! silence, and requests would go another way than they were told to.

use super::endpoint::Endpoint;

/// Schemes of proxies that can be used.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Checks the variables that choose the proxy of this endpoint. The error is the variable's name and the scheme.
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
        // Without a scheme it is a host, reached by HTTP.
        let Some((scheme, _)) = value.trim().split_once("://") else { continue };
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err((name.to_owned(), scheme.chars().take(20).collect()));
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
        for value in ["", "proxy:3128", "HTTP://p:1", "socks5://p", "socks5h://u:p@p:1"] {
            assert_eq!(check_with("https://a.example", "ALL_PROXY", value), Ok(()), "{value}");
        }
        let refused = Err(("all_proxy".to_owned(), "ftp".to_owned()));
        assert_eq!(check_with("https://a.example", "all_proxy", "ftp://u:secret@p"), refused);
        assert!(check_with("https://a.example", "HTTPS_PROXY", "socks6://p").is_err());
        assert_eq!(check_with("http://a.example", "HTTPS_PROXY", "socks6://p"), Ok(()));
        assert_eq!(check_with("http://127.0.0.1:1", "ALL_PROXY", "ftp://p"), Ok(()));
    }
}
