//! Somebody else has prepared a file, a folder, a database or an answer.

mod foreign_databases;
mod found_files;
mod one_writer;
mod secrets;
