//! The `costag` binary.

use std::process::ExitCode;
use std::thread;

/// musl's allocator costs much more CPU time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The size of the stack in bytes that is enough for every command.
const STACK: u64 = 8 * 1024 * 1024;

fn main() -> ExitCode {
    keep_memory_private();
    let run = || costag::cli::main(std::env::args_os());
    if has_room() {
        return run();
    }
    // A thread's stack does not depend on the limit of the main thread's stack (`ulimit -s`).
    match thread::Builder::new().stack_size(usize::try_from(STACK).unwrap_or_default()).spawn(run) {
        Ok(thread) => thread.join().unwrap_or(ExitCode::FAILURE),
        Err(error) => {
            use std::io::Write as _;
            let told =
                "error: the stack is too small; raise the limits `ulimit -s` and `ulimit -u`";
            let _ = writeln!(std::io::stderr(), "{told}: {error}");
            ExitCode::from(costag::cli::exit::Exit::Local.code())
        }
    }
}

/// Whether the stack of the main thread can grow to the size that commands need.
#[cfg(unix)]
fn has_room() -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Stack).current.is_none_or(|limit| limit >= STACK)
}

/// Whether the stack of the main thread is large enough. Windows gives it one megabyte.
#[cfg(not(unix))]
fn has_room() -> bool {
    false
}

/// Forbids core dumps and reads of this process's memory by other processes of the user, since both would reveal the secret
/// key. If the system refuses, the program works without this protection.
fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
