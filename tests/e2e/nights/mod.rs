//! Somebody runs costag every night: only what is new is called.

mod all;
mod changed_settings;
mod journal;
mod listings;
mod monitors;
mod notifications;
mod overwritten;
mod profiles;
mod prune;
mod reports;
mod second_night;
mod units;
mod whole_bucket;
