//! The page: the views of a database over HTTP, on this machine only.
//!
//! Nothing on the page acts: it only shows. Every request opens the database for reading, so the file may be written,
//! replaced or removed meanwhile. Who asks is checked in `guard` before anything else.

mod answer;
mod download;
mod guard;
mod kept;
mod live;
mod pages;
mod patient;
mod picture;
mod server;
mod shell;
mod site;
mod state;

pub use guard::Guard;
pub use server::serve;
pub use site::{Pictures, Signer, Site};
