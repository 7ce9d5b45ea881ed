//! Commands that a message suggests. A person can paste each of them: it is complete, quoted for a shell, names the same
//! database and configuration file as the present command, and stands on a line of its own.

mod again;
mod command;
mod page;
mod remedy;
mod words;

pub(super) use self::again::Again;
pub(super) use self::command::{Suggestion, Then};
pub(super) use self::page::common;
pub(super) use self::remedy::{mean_address, remedy};
pub(super) use self::words::choose_profile;
