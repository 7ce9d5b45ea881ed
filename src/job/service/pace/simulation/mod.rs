//! Tests of the pace against simulated services.

mod faults;
mod limits;
mod world;
