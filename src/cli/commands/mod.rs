//! The commands, one file each: `Args` holds the options, and `execute` does the work and returns the exit code.

pub mod backup;
pub mod changes;
pub mod compact;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod emulator;
pub mod export;
pub mod find;
pub mod import;
pub mod ledger;
pub mod plan;
pub mod prune;
pub mod report;
pub mod resume;
pub mod retag;
pub mod retry;
pub mod run;
pub mod serve;
pub mod stats;
pub mod status;
pub mod verify;
