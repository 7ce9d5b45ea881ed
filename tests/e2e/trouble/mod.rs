//! The service, the network or a clock misbehaves.

mod clocks;
mod failed_images;
mod hopeless_runs;
mod network;
mod outages;
mod pace;
mod pages;
mod waits;
