//! How names are shown.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::{value, written};

pub(super) const SECTION: Section = Section {
    heading: "How names are shown.",
    settings: &[Setting {
        name: "aliases",
        short: None,
        kind: Kind::Value("FILE"),
        group: Group::Names,
        default: "",
        help: "File of other names for labels and categories: CSV with the header kind,name,alias",
        more: "The kind is label, first or second. Stored names stay as they came.",
        guarded: Some("which files are read"),
        resume: Resume::Forget,
        set: |value, to| put(&mut to.aliases, value::path(value)),
        get: |from| written::path(from.aliases.as_deref()),
    }],
};
