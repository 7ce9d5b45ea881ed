//! Somebody has a list of keys or URLs.

mod lines;
mod look_ups;
