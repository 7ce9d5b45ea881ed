//! The handles of a store.
//!
//! Each handle is an enum with one variant for each backend. Trait objects do not fit, since readers take callbacks
//! of any type and any error (`impl FnMut`, `E: From<Error>`) and an export borrows its reader; generics would spread
//! the type of the backend through the job and every command.
//!
//! A backend that is added gets a variant in each of these enums. Some questions are capabilities that a backend may
//! lack: [`Reader::size`] returns `None` then, and [`Reader::backup`] fails with [`Error::NoBackup`].
//!
//! [`Error::NoBackup`]: super::Error::NoBackup

mod reader;
mod session;
mod store;

pub use reader::{Export, Reader};
pub use session::Session;
pub use store::{Place, Store};

/// Calls the backend of a handle.
macro_rules! dispatch {
    ($handle:expr, $backend:ident => $call:expr) => {
        match $handle {
            Self::Sqlite($backend) => $call,
        }
    };
}
use dispatch;
