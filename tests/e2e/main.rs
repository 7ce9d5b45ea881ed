//! The real binary against the emulator, over real sockets, files and signals. Each folder tells the story of a user.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod docs;
mod first_steps;
mod lists;
mod money;
mod nights;
mod page;
mod results;
mod sequences;
mod stopping;
mod support;
mod trouble;
mod trust;
