//! Somebody has a list of keys or URLs.

mod inventory;
mod lines;
mod look_ups;
