//! The credentials that requests are signed with: where they come from, and when they are renewed.
//!
//! [`Sources`] names the places to look at, and [`Provider::discover`] takes the first place that has any. The
//! [`Provider`] uses only that place from then on, so an id is never combined with the token of another place.

mod coscli;
mod coscmd;
mod environment;
mod error;
mod process;
mod provider;
mod role;
mod secret;

pub use error::Error;
pub use provider::{Provider, Sources};
pub use secret::Credentials;

/// Reads `text` in each form that credentials are stored in, and returns the errors. For fuzzing.
pub(crate) fn read_every_form(text: &[u8]) -> [Option<Error>; 4] {
    let place = "a file";
    let lossy = String::from_utf8_lossy(text);
    [
        coscli::parse(place, &lossy).err(),
        coscmd::parse(place, &lossy).err(),
        environment::parse(place, &lossy).err(),
        process::parse(place, text).err(),
    ]
}

#[cfg(test)]
mod tests;
