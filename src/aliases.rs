//! Other names for labels and categories, such as English ones for Chinese ones. Stored names stay as they came; names are
//! replaced where they are shown.
//!
//! A file of aliases is CSV with the header `kind,name,alias`. `kind` is `label`, `first` or `second`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::text;

/// The header of a file.
const HEADER: [&str; 3] = ["kind", "name", "alias"];

/// The longest alias, in bytes, as long as the longest name that is stored.
const LONGEST: usize = 1024;

/// Why a file of aliases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or it is not UTF-8.
    #[error("cannot read the aliases in {file}: check the name of the file and its permissions")]
    Read {
        /// The file.
        file: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A line is wrong.
    #[error("line {line} of the aliases in {file}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// The aliases of labels and categories. Without any, every name is shown as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aliases {
    labels: HashMap<String, String>,
    first_categories: HashMap<String, String>,
    second_categories: HashMap<String, String>,
}

impl Aliases {
    /// Reads a file of aliases.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Line`] for a line that has another form, an empty name or alias, or a name that has an
    /// alias already.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let text = text::read(path).map_err(|source| Error::Read { file: file.clone(), source })?;
        Self::parse(&text).map_err(|(line, what)| Error::Line { file, line, what })
    }

    /// Parses the text of a file. An error has the number of the line, and what is wrong with it.
    fn parse(text: &str) -> Result<Self, (u64, String)> {
        let mut aliases = Self::default();
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        let mut has_header = false;
        loop {
            let more = records.read_record(&mut record);
            let line = record.position().map_or(1, |position| line_at(text, position));
            if !more.map_err(|error| (line, error.to_string()))? {
                break;
            }
            let wrong = |what: &str| Err((line, what.to_owned()));
            if !has_header {
                if !record.iter().map(str::trim).eq(HEADER) {
                    return wrong("the first line must be the header kind,name,alias");
                }
                has_header = true;
                continue;
            }
            let (Some(kind), Some(name), Some(alias), 3) =
                (record.get(0), record.get(1), record.get(2), record.len())
            else {
                return wrong("a line has the three fields kind, name and alias");
            };
            let names = match kind.trim() {
                "label" => &mut aliases.labels,
                "first" => &mut aliases.first_categories,
                "second" => &mut aliases.second_categories,
                _ => return wrong("the kind must be label, first or second"),
            };
            if name.is_empty() || alias.is_empty() {
                return wrong("the name or its alias is empty: complete the line, or remove it");
            }
            if alias.len() > LONGEST {
                return wrong("the alias is longer than 1 KiB: shorten it");
            }
            if names.insert(name.to_owned(), alias.to_owned()).is_some() {
                return wrong("the name has an alias already: remove one of the two lines");
            }
        }
        if has_header {
            Ok(aliases)
        } else {
            Err((
                1,
                "the file is empty: its first line must be the header kind,name,alias".to_owned(),
            ))
        }
    }

    /// True if every name is shown as it is stored.
    pub fn is_empty(&self) -> bool {
        [&self.labels, &self.first_categories, &self.second_categories]
            .into_iter()
            .all(HashMap::is_empty)
    }

    /// The name that is shown for a label.
    pub fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.labels.get(name).map_or(name, String::as_str)
    }

    /// The name that is shown for a first category.
    pub fn first_category<'a>(&'a self, name: &'a str) -> &'a str {
        self.first_categories.get(name).map_or(name, String::as_str)
    }

    /// The name that is shown for a second category.
    pub fn second_category<'a>(&'a self, name: &'a str) -> &'a str {
        self.second_categories.get(name).map_or(name, String::as_str)
    }

    /// The stored names of the categories, first or second, that are shown like this one, a stored name or an alias. They
    /// are sorted.
    pub fn categories_shown_like(&self, category: &str) -> Vec<String> {
        let mut names = Vec::new();
        for aliases in [&self.first_categories, &self.second_categories] {
            let shown = aliases.get(category).map_or(category, String::as_str);
            names.extend(aliases.iter().filter(|(_, alias)| *alias == shown).map(|(name, _)| name));
        }
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.push(category.to_owned());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The stored names of the labels that are shown as this name, sorted.
    pub fn labels_shown_as(&self, shown: &str) -> Vec<String> {
        let has_alias = |(name, alias): (&String, &String)| (alias == shown).then(|| name.clone());
        let mut names: Vec<String> = self.labels.iter().filter_map(has_alias).collect();
        if self.label(shown) == shown && !names.iter().any(|name| name == shown) {
            names.push(shown.to_owned());
        }
        names.sort_unstable();
        names
    }
}

/// The number of the line at which a record begins. The reader puts empty lines before a record into its position.
fn line_at(text: &str, position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_by_kind_and_found_again() {
        let aliases = Aliases::parse(
            "kind,name,alias\nlabel,蓝色,Blue\nlabel,青色,Blue\nfirst,颜色,\"Colour, hue\"\nlabel,Red,红\n",
        )
        .unwrap();
        assert_eq!(aliases.label("蓝色"), "Blue");
        assert_eq!(aliases.label("颜色"), "颜色", "it is the name of a category");
        assert_eq!(aliases.first_category("颜色"), "Colour, hue");
        assert_eq!(aliases.second_category("颜色"), "颜色");
        assert_eq!(aliases.labels_shown_as("Blue"), ["Blue", "蓝色", "青色"]);
        assert_eq!(aliases.labels_shown_as("山"), ["山"]);
        assert!(aliases.labels_shown_as("Red").is_empty(), "it is shown as another name");
        assert_eq!(aliases.labels_shown_as("红"), ["Red", "红"]);
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (text, line, told) in [
            ("", 1, "empty"),
            ("name,alias\n", 1, "header"),
            ("kind,name,alias\nlabel,a\n", 2, "three fields"),
            ("kind,name,alias\nlabel,a,b\n\nlable,c,d\n", 4, "label, first or second"),
            ("kind,name,alias\nlabel,a,\n", 2, "empty"),
            ("kind,name,alias\nlabel,a,b\nlabel,a,c\n", 3, "already"),
        ] {
            let (number, what) = Aliases::parse(text).unwrap_err();
            assert_eq!(number, line, "{text:?}: {what}");
            assert!(what.contains(told), "{text:?}: {what}");
        }
    }
}
