//! The settings as command-line options, in groups that commands choose from, and the way from options to checked
//! settings.

pub mod global;
pub mod groups;
