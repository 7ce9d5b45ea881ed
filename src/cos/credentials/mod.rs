//! Who signs: a secret id and key, perhaps a token, where they come from and when they are renewed.
//!
//! [`Sources`] says where to look, [`Provider::discover`] takes the first place that has something, and the
//! [`Provider`] then knows that place only: an id of one place is never used with a token of another.

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

/// Reads `text` as each form that credentials are kept in.
///
/// For fuzzing: what is found is dropped, since nothing may show it.
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
