//! What depends on the operating system: identities, permissions and names of files, limits of the process, the terminal.
//!
//! One file has the functions for Unix, and another one the same functions for Windows. The comments here and in the file
//! for Unix say what a function does; the file for Windows says where Windows differs.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use self::unix::{
    FileId, Rights, belong_with, can_read, can_write_in, cut_name, file_size_is_limited,
    is_abandoned, is_limit_of_files, mode, names, never_follow, never_wait, no_file, open_below,
    open_files, other_owner, protect_part, read_at, rename_new, sync_folder, terminal_size,
    with_mode, write_all_at,
};
#[cfg(windows)]
pub use self::windows::{
    FileId, Rights, belong_with, can_read, can_write_in, cut_name, file_size_is_limited,
    is_abandoned, is_limit_of_files, mode, names, never_follow, never_wait, no_file, open_below,
    open_files, other_owner, protect_part, read_at, rename_new, sync_folder, terminal_size,
    with_mode, write_all_at,
};

use std::fs::File;
use std::io::{self, ErrorKind};

/// Fills `bytes` with what lies at an offset of a file, without moving its cursor on Unix.
///
/// # Errors
/// [`ErrorKind::UnexpectedEof`] if the file ends before, or an error of the system.
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, offset) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
