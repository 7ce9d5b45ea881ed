//! Somebody reads the results: exports, searches, backups, checks.

mod aliases;
mod backups;
mod closed_output;
mod export_files;
mod import;
mod increments;
mod progress;
mod read_only;
mod report;
mod search;
mod split_files;
mod terminal;
mod verify;
