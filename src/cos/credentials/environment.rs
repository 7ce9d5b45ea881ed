//! Reads credentials from environment variables, or from a file with lines of `NAME=value`.

use std::path::Path;

use super::error::Error;
use super::secret::Credentials;

/// A family of variables: the names of the id, of the key, and those that a token can have.
pub(super) struct Family {
    pub(super) id: &'static str,
    pub(super) key: &'static str,
    tokens: &'static [&'static str],
}

/// The families in the order in which they are tried: of this program, of the cloud API's SDKs, of the COS SDKs, and of
/// the connectors.
pub(super) const FAMILIES: [Family; 4] = [
    Family { id: "COSTAG_SECRET_ID", key: "COSTAG_SECRET_KEY", tokens: &["COSTAG_TOKEN"] },
    Family {
        id: "TENCENTCLOUD_SECRET_ID",
        key: "TENCENTCLOUD_SECRET_KEY",
        tokens: &["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"],
    },
    Family {
        id: "COS_SECRETID",
        key: "COS_SECRETKEY",
        tokens: &["COS_TOKEN", "COS_SESSION_TOKEN"],
    },
    Family {
        id: "COS_SECRET_ID",
        key: "COS_SECRET_KEY",
        tokens: &["COS_TOKEN", "COS_SESSION_TOKEN"],
    },
];

/// Returns the first family that is set, with its credentials. An empty variable counts as unset.
pub(super) fn find(
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(&'static Family, Credentials)>, Error> {
    let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
    for family in &FAMILIES {
        let (id, key) = match (get(family.id), get(family.key)) {
            (None, None) => continue,
            (Some(id), Some(key)) => (id, key),
            (id, _) => {
                let (set, missing) =
                    if id.is_some() { (family.id, family.key) } else { (family.key, family.id) };
                return Err(Error::Half { set: set.to_owned(), missing: missing.to_owned() });
            }
        };
        let token = family.tokens.iter().find_map(|name| Some((*name, get(name)?)));
        let token_name = token.as_ref().map_or("the token", |(name, _)| name);
        let names = [family.id, family.key, token_name];
        let token = token.as_ref().map(|(_, value)| value.as_str());
        return Ok(Some((family, Credentials::checked(names, &id, &key, token, None)?)));
    }
    Ok(None)
}

/// Reads a file with lines of `NAME=value`. A line may begin with `export `, and a value may be quoted.
pub(super) fn read(path: &Path) -> Result<Credentials, Error> {
    let text =
        crate::text::read(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
    parse(&path.display().to_string(), &text)
}

/// Reads the text of such a file.
pub(super) fn parse(place: &str, text: &str) -> Result<Credentials, Error> {
    let form = |reason| Error::Form { place: place.to_owned(), reason };
    let mut pairs = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            line.split_once('=').ok_or_else(|| form("a line that is not NAME=value"))?;
        pairs.push((name.trim(), unquote(value)));
    }
    // If a name has several lines, the last one counts, as in a shell.
    let lookup = |name: &str| {
        let found = pairs.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    find(&lookup)?
        .map(|(_, credentials)| credentials)
        .ok_or_else(|| form("no secret id and key under any known name"))
}

fn unquote(value: &str) -> &str {
    let inner = |quote: char| value.trim().strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}
