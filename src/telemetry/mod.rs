//! What the program tells about itself while it works.

pub mod logging;
