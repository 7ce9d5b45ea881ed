//! The settings as command-line options, and the way from options to checked settings.

pub mod global;
pub mod groups;
pub mod job;
