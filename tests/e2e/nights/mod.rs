//! Somebody runs costag every night: only what is new is called.

mod changed_settings;
mod journal;
mod listings;
mod monitors;
mod overwritten;
mod profiles;
mod reports;
mod second_night;
mod units;
mod whole_bucket;
