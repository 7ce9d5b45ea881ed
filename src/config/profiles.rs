//! Profiles: named groups of settings in a configuration file, each with the address of a bucket.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::definitions;
use super::error::Error;
use super::keys;

/// The table of the file that holds the profiles.
pub(super) const TABLE: &str = "profile";

/// The key of a profile that is not a setting.
const ADDRESS: &str = "address";

/// A profile of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The address of its bucket, as the file has it. `None` if it has none.
    pub address: Option<String>,
    /// The file.
    pub path: PathBuf,
    /// The values of its settings, not checked yet.
    pub(super) values: Dict,
}

/// Whether a profile can have this name: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
///
/// An address of a bucket is never such a name.
pub fn is_profile_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with(char::is_alphanumeric) && name.chars().all(is_plain)
}

/// Takes the profiles out of the values of a file, in the order of the file.
///
/// # Errors
/// A name or a key is wrong, or what should be a table is something else.
pub(super) fn take(values: &mut Dict, path: &Path, text: &str) -> Result<Vec<Profile>, Error> {
    let wrong = |key: String, reason| Error::Profile { path: path.into(), key, reason };
    let mut tables = match values.remove(TABLE) {
        None => return Ok(Vec::new()),
        Some(Value::Dict(_, tables)) => tables,
        Some(_) => {
            return Err(wrong(
                TABLE.to_owned(),
                "a profile is a table that begins with [profile.NAME]",
            ));
        }
    };
    let mut names = order(text);
    // Every name is in the text. If one were missing, it would come last.
    names.extend(tables.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    let mut profiles = Vec::new();
    for name in names {
        let key = format!("{TABLE}.{name}");
        match tables.remove(&name) {
            None => {}
            Some(Value::Dict(_, values)) if is_profile_name(&name) => {
                profiles.push(profile(name, values, path)?);
            }
            Some(Value::Dict(..)) => {
                let reason = "the name of a profile has only letters, digits, -, _ and ., and begins with a letter or \
                              digit";
                return Err(wrong(key, reason));
            }
            Some(_) => {
                return Err(wrong(key, "write settings of a profile below a line [profile.NAME]"));
            }
        }
    }
    Ok(profiles)
}

fn profile(name: String, mut values: Dict, path: &Path) -> Result<Profile, Error> {
    let address = match values.remove(ADDRESS) {
        None => None,
        Some(Value::String(_, address)) => Some(address),
        Some(_) => {
            let key = format!("{TABLE}.{name}.{ADDRESS}");
            let reason = "expected a text such as \"cos://BUCKET-APPID\"";
            return Err(Error::Profile { path: path.into(), key, reason });
        }
    };
    match values.keys().find(|key| definitions::find(key).is_none()) {
        None => Ok(Profile { name, address, path: path.into(), values }),
        Some(key) => Err(keys::refuse(format!("{TABLE}.{name}.{key}"), key, path)),
    }
}

/// The names of the profiles in the order of the text. figment sorts the keys of a table.
fn order(text: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Document {
        profile: Names,
    }
    struct Names(Vec<String>);
    impl<'de> Deserialize<'de> for Names {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Keys;
            impl<'de> Visitor<'de> for Keys {
                type Value = Names;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a table")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, IgnoredAny)) = map.next_entry()? {
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }
            deserializer.deserialize_map(Keys)
        }
    }
    toml::from_str::<Document>(text).map_or_else(|_| Vec::new(), |document| document.profile.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_keep_the_order_of_the_file() {
        assert_eq!(
            order("qps = 3\n[profile.z]\n[profile.b.c]\n[profile.a]\nqps = 1"),
            ["z", "b", "a"]
        );
        assert_eq!(order("qps = 3"), [""; 0]);
    }

    #[test]
    fn an_address_is_no_name() {
        for name in ["photos", "a-1", "2026.nights", "照片"] {
            assert!(is_profile_name(name), "{name}");
        }
        for name in ["", "cos://a-1", "a/b", "-a", ".a", "a b", "a:b", "a\u{1b}"] {
            assert!(!is_profile_name(name), "{name}");
        }
    }
}
