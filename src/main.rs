//! The `costag` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    costag::cli::main(std::env::args_os())
}
