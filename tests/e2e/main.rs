//! The real binary against the emulator, over real sockets, files and signals: a module a user story.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_inputs;
mod clock;
mod commands;
mod config;
mod demo;
mod disk;
mod docs;
mod faults;
mod killed;
mod listing;
mod lists;
mod night;
mod overwritten;
mod pace;
mod put_back;
mod refused;
mod secrets;
mod signals;
mod support;
mod verify;
mod whole_bucket;
