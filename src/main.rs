//! The `costag` binary.

use std::process::ExitCode;
use std::thread;

/// The stack that every command has enough of.
const STACK: u64 = 8 * 1024 * 1024;

fn main() -> ExitCode {
    keep_memory_private();
    let run = || costag::cli::main(std::env::args_os());
    if has_room() {
        return run();
    }
    // A stack of our own does not depend on the limit (`ulimit -s`) under which the program was started.
    match thread::Builder::new().stack_size(usize::try_from(STACK).unwrap_or_default()).spawn(run) {
        Ok(thread) => thread.join().unwrap_or(ExitCode::FAILURE),
        Err(error) => {
            use std::io::Write as _;
            let told =
                "error: the stack is too small: raise the limits `ulimit -s` and `ulimit -u`";
            let _ = writeln!(std::io::stderr(), "{told}: {error}");
            ExitCode::from(costag::cli::exit::Exit::Local.code())
        }
    }
}

/// Whether the main thread's stack may grow as far as commands need it to.
fn has_room() -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Stack).current.is_none_or(|limit| limit >= STACK)
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
