//! A look-alike of COS and Cloud Infinite on loopback: for the demo, for rehearsals of a nightly job, and for tests.
//!
//! It serves one bucket, a folder of pictures or any number of computed objects; it lists, answers HEAD and
//! `detect-label`, checks signatures strictly, and misbehaves on request. It takes nothing from the rest of the crate,
//! so that a mistake of the client cannot be confirmed by the same mistake here. Unsigned paths under `/.costag/` tell
//! what was asked and change settings while it runs:
//!
//! | path | |
//! |---|---|
//! | `GET /.costag/stats` | [`Statistics`] as JSON |
//! | `GET /.costag/keys` | detect requests of each key, as JSON lines `{"key":"a.jpg","calls":1}` |
//! | `GET /.costag/expected?scenes=web,camera` | what a faultless run should yield, as CSV in key order |
//! | `GET /.costag/faults` | [`Settings`] as JSON |
//! | `POST /.costag/faults` | changes settings: what is given replaces, `"clear": true` resets first, `null` removes |
//! | `POST /.costag/objects` | `{"put":[{"key":…,"content":…,"size":…,"last_modified":…,"storage_class":…}],"delete":[…]}` |
//! | `POST /.costag/reset` | statistics and attempt numbers to zero |

mod answer;
mod catalogue;
mod clock;
mod control;
mod detect;
mod error;
mod faults;
mod folder;
mod hash;
mod head;
mod header_names;
mod list;
mod listing;
mod misbehave;
mod object;
mod options;
mod percent;
pub mod pictures;
mod pixels;
mod scenes;
mod server;
mod start;
mod state;
mod stats;
mod synthetic;
mod verify;
mod vocabulary;
mod xml;

pub use error::Error;
pub use faults::{FailCode, Settings, SettingsError, fault_names};
pub use options::{Holdings, Options, SECRET_ID, SECRET_KEY};
pub use start::Emulator;
pub use stats::Statistics;
pub use synthetic::{Layout, Synthetic};

#[cfg(test)]
mod tests;
