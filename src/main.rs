//! The `costag` binary.
fn main() {}
