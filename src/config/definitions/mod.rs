//! Every setting, defined once: its name, type, default, help, check, and who may set it.
//!
//! The keys of the file, the environment variables, the options and their help, `costag config show` and
//! `config/costag.toml` all follow from these definitions. To add a setting, add its field to
//! [`Settings`](super::Settings) and its definition here.

mod budget;
mod connection;
mod credentials;
mod logging;
mod names;
mod pace;
mod setting;
mod source;
mod watching;

pub use setting::{Group, Kind, Setting};
pub(super) use setting::{Resume, Section};

/// The sections of `config/costag.toml`, in its order.
pub(super) const SECTIONS: [&Section; 9] = [
    &source::DATABASE,
    &source::SECTION,
    &pace::SECTION,
    &connection::SECTION,
    &budget::SECTION,
    &credentials::SECTION,
    &watching::SECTION,
    &names::SECTION,
    &logging::SECTION,
];

/// Every setting, in the order of `config/costag.toml`.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.into_iter().flat_map(|section| section.settings)
}

/// The settings of a group of options, in the order of `config/costag.toml`.
pub fn of_group(group: Group) -> impl Iterator<Item = &'static Setting> {
    all().filter(move |setting| setting.group == group)
}

/// The settings that a file which was merely found in the current folder may not set.
pub fn guarded() -> impl Iterator<Item = &'static Setting> {
    all().filter(|setting| setting.guarded.is_some())
}

/// The settings whose values are kept with a run, see [`Stored`](super::Stored).
pub(super) fn stored() -> impl Iterator<Item = &'static Setting> {
    all().filter(|setting| matches!(setting.resume, Resume::Stored))
}

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// The setting whose name is most similar to `key`, if any name is similar.
pub fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    all()
        .map(|setting| (strsim::levenshtein(&key, setting.name), setting.name))
        .min()
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .map(|(_, name)| name)
}
