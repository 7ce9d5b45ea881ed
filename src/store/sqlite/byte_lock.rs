//! The writer's lock: one byte of the database file, locked for an open descriptor instead of for a process.
//!
//! It is an open-file-description lock (`F_OFD_SETLK`) on a byte that SQLite neither reads, writes nor locks. It belongs
//! to the file itself: a second process finds it under any name of the file, even if the lock file beside it is gone. It
//! does not conflict with SQLite's own locks, unlike `flock`, which network file systems and macOS turn into a lock on
//! the whole file. Systems without such locks rely on the lock file alone (see [`super::lock`]).

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
use nix::errno::Errno;
#[cfg(target_os = "linux")]
use nix::fcntl::{FcntlArg, fcntl};
#[cfg(target_os = "linux")]
use nix::libc;

/// SQLite never stores anything in the page at 1 GiB, since it locks the first 512 bytes there. This is the byte
/// after those.
#[cfg(target_os = "linux")]
const BYTE: i64 = 0x4000_0000 + 512;

#[cfg(target_os = "linux")]
fn lock(kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: BYTE,
        l_len: 1,
        l_pid: 0,
    }
}

/// Takes the lock. Returns `false` if another descriptor has it. Where such locks do not exist, the lock file
/// decides alone.
#[cfg(target_os = "linux")]
pub(super) fn take(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK))) {
        Ok(_) | Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ENOLCK) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn release(file: &File) {
    // Closing the descriptor releases it too.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK)));
}

#[cfg(target_os = "linux")]
pub(super) fn is_taken(file: &File) -> bool {
    let mut found = lock(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).is_ok()
        && i32::from(found.l_type) != libc::F_UNLCK
}

// On a system without such locks, the lock file beside the database is the only one.

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn take(_: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn release(_: &File) {}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_taken(_: &File) -> bool {
    false
}
