//! Where the links of a view lead: within the one file of a report, or to other pages of a server.

use url::form_urlencoded;

/// What kind of document a view is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// All views are in one file, and images cannot be looked up.
    File,
    /// Each view has an address.
    Pages,
}

impl Links {
    /// The view of the labels.
    pub(super) fn labels(self) -> &'static str {
        self.one_of("#labels", "/labels")
    }

    /// What failed.
    pub(super) fn failures(self) -> &'static str {
        self.one_of("#failures", "/runs#failures")
    }

    /// What was spent.
    pub(super) fn spend(self) -> &'static str {
        self.one_of("#spend", "/runs#spend")
    }

    /// A label with this place among all labels. A file leads to its row, a server to its images.
    pub(super) fn label(self, rank: usize, name: &str) -> String {
        match self {
            Self::File => format!("#l-{rank}"),
            Self::Pages => address(&[("all", name)]),
        }
    }

    /// The images that a condition of [`super::explore`] leads to; `None` in a file.
    pub(super) fn images(self, condition: &str, value: &str) -> Option<String> {
        (self == Self::Pages).then(|| address(&[(condition, value)]))
    }

    fn one_of(self, file: &'static str, pages: &'static str) -> &'static str {
        match self {
            Self::File => file,
            Self::Pages => pages,
        }
    }
}

/// The address of Explore with some conditions.
pub(super) fn address(conditions: &[(&str, &str)]) -> String {
    if conditions.is_empty() {
        return "/explore".to_owned();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(conditions);
    format!("/explore?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_an_address_is_encoded() {
        assert_eq!(Links::File.label(3, "a&b"), "#l-3");
        assert_eq!(Links::Pages.label(3, "a&b #猫"), "/explore?all=a%26b+%23%E7%8C%AB");
        assert_eq!(Links::File.images("state", "failed"), None);
        assert_eq!(address(&[]), "/explore");
    }
}
