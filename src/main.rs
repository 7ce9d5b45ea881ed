//! The `costag` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    no_core_dumps();
    costag::cli::main(std::env::args_os())
}

/// A core dump would hold the secret key. If the system refuses, there is nothing better to do than to go on.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
