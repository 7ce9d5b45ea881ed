//! The real binary against the emulator, over real sockets, files and signals: a module a user story.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod backup;
mod bad_inputs;
mod between;
mod budgets;
mod changes;
mod clock;
mod commands;
mod config;
mod demo;
mod disk;
mod docs;
mod doctor;
mod faults;
mod gate;
mod killed;
mod ledger;
mod listing;
mod lists;
mod matrix;
mod network;
mod night;
mod one_writer;
mod overwritten;
mod pace;
mod plan;
mod put_back;
mod refused;
mod secrets;
mod sequences;
mod signals;
mod support;
mod taken_away;
mod terminal;
mod verify;
mod whole_bucket;
