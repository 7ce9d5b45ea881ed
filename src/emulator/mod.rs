//! An emulator of COS and Cloud Infinite on loopback, for the demo, for rehearsals of a nightly job, and for tests.
//!
//! It serves one bucket: a folder of pictures, or any number of computed objects. It answers listings, HEAD and GET requests
//! for objects, `imageMogr2/thumbnail` and `detect-label`, checks signatures strictly, and fails on request. It imports nothing from the rest of the crate:
//! otherwise a mistake of the client could be hidden by the same mistake here. Paths under `/.costag/` need no signature.
//! They return what the emulator has counted, and change settings while it runs:
//!
//! | path | |
//! |---|---|
//! | `GET /.costag/stats` | [`Statistics`] as JSON |
//! | `GET /.costag/keys` | the number of detect requests for each key, as JSON lines `{"key":"a.jpg","calls":1}` |
//! | `GET /.costag/expected?scenes=web,camera` | the result of a run without faults, as CSV in key order |
//! | `GET /.costag/faults` | [`Settings`] as JSON |
//! | `POST /.costag/faults` | changes the settings that are given; `"clear": true` resets all settings first, and `null` removes a setting |
//! | `POST /.costag/objects` | `{"put":[{"key":…,"content":…,"size":…,"last_modified":…,"storage_class":…}],"delete":[…]}` |
//! | `POST /.costag/reset` | sets statistics and attempt numbers to zero |

mod answer;
mod catalogue;
mod clock;
mod closable;
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
mod whole;
mod xml;

pub use error::Error;
pub use faults::{FailCode, Settings, SettingsError, fault_names};
pub use options::{Holdings, Options, SECRET_ID, SECRET_KEY};
pub use start::Emulator;
pub use stats::Statistics;
pub use synthetic::{Layout, Synthetic};

#[cfg(test)]
mod tests;
