//! Globs over keys, as ripgrep, rclone and gitignore read them.
//!
//! A glob without `/` matches the name after a key's last slash, at any depth: `*.jpg`. A glob with `/` matches the
//! whole key: `2026/*/*.jpg`. `*` stays within one level, `**` crosses any number of levels or none, and `{a,b}` matches
//! either.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// A glob is not valid.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the glob {glob:?}; a backslash before [, {{, * or ? makes it an ordinary character"
)]
pub struct GlobError {
    glob: String,
    #[source]
    source: globset::Error,
}

/// What a glob without `/` is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// The name after the last slash.
    #[default]
    Name,
    /// The whole key. Runs that were begun by the first versions of costag keep this meaning.
    Whole,
}

impl Meaning {
    /// The meaning if stored settings have none.
    pub fn of_first_versions() -> Self {
        Self::Whole
    }

    /// Whether this meaning is left out of stored settings.
    pub fn is_of_first_versions(&self) -> bool {
        *self == Self::Whole
    }
}

/// Compiled globs. A key matches if any of them matches.
#[derive(Debug, Clone)]
pub struct Globs {
    names: GlobSet,
    keys: GlobSet,
}

impl Globs {
    /// Compiles globs with this meaning.
    ///
    /// # Errors
    /// A glob is not valid.
    pub fn new(globs: &[String], meaning: Meaning) -> Result<Self, GlobError> {
        let (mut names, mut keys) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for glob in globs {
            let compiled = GlobBuilder::new(glob)
                .literal_separator(true)
                .build()
                .map_err(|source| GlobError { glob: glob.clone(), source })?;
            let is_name = meaning == Meaning::Name && !glob.contains('/');
            if is_name { &mut names } else { &mut keys }.add(compiled);
        }
        let build = |set: GlobSetBuilder| {
            set.build().map_err(|source| GlobError { glob: globs.join(" "), source })
        };
        Ok(Self { names: build(names)?, keys: build(keys)? })
    }

    /// Whether any glob matches this key.
    pub fn matches(&self, key: &str) -> bool {
        let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
        (!self.names.is_empty() && self.names.is_match(name))
            || (!self.keys.is_empty() && self.keys.is_match(key))
    }

    /// Whether there is no glob at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*.jpg", &["a.jpg", "x/a.jpg", "x/y/a.jpg"], &["a.png", "a.jpg/b"])]
    #[case("IMG_*", &["IMG_1", "x/IMG_1"], &["IMG_1/a", "x/a"])]
    #[case("*", &["a", "x/y"], &[])]
    #[case("x/*.jpg", &["x/a.jpg"], &["a.jpg", "x/y/a.jpg", "w/x/a.jpg"])]
    #[case("x/**", &["x/a", "x/y/z"], &["a", "y/x/a"])]
    #[case("x/**/a.jpg", &["x/a.jpg", "x/y/a.jpg", "x/y/z/a.jpg"], &["a.jpg", "x/b.jpg"])]
    #[case("**/thumbs/*", &["thumbs/a", "x/thumbs/a", "x/y/thumbs/a"], &["thumbs/x/a"])]
    #[case("*.{jpg,png}", &["a.jpg", "x/a.png"], &["a.gif"])]
    #[case("x/{a,b}/*", &["x/a/1", "x/b/1"], &["x/c/1"])]
    fn globs_match_as_in_gitignore(
        #[case] glob: &str,
        #[case] matching: &[&str],
        #[case] others: &[&str],
    ) {
        let globs = Globs::new(&[glob.to_owned()], Meaning::Name).unwrap();
        for key in matching {
            assert!(globs.matches(key), "{glob} matches {key}");
        }
        for key in others {
            assert!(!globs.matches(key), "{glob} does not match {key}");
        }
    }

    #[test]
    fn globs_of_the_first_versions_match_whole_keys() {
        let globs = Globs::new(&["*.jpg".to_owned()], Meaning::Whole).unwrap();
        assert!(globs.matches("a.jpg") && !globs.matches("x/a.jpg"));
    }
}
