//! A run is interrupted, killed, or loses its disk; another command continues it.

mod commands_in_between;
mod full_disk;
mod kills;
mod lost_database;
mod old_database;
mod process_limits;
mod resume;
mod signals;
