//! What the program reports about itself while it works.

pub mod logging;
pub mod screen;
