//! The `costag` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_memory_private();
    costag::cli::main(std::env::args_os())
}

/// A core dump would hold the secret key, and other processes of the same user could read it from this one's memory.
/// If the system refuses, there is nothing better to do than to go on.
fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
