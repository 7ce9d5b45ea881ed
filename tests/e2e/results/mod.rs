//! Somebody reads the results: exports, searches, backups, checks.

mod backups;
mod export_files;
mod increments;
mod progress;
mod read_only;
mod report;
mod search;
mod terminal;
mod verify;
