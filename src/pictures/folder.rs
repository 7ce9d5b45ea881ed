//! A folder of pictures, of which nothing outside is ever read.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::system;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 32 << 20;

/// A folder whose files are pictures. Their keys are their paths in it, with `/` between the names.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder with this path.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    /// The bytes of the file with this key. Returns `None` if there is no such file, if it is no regular file or larger
    /// than 32 MiB, if it cannot be read, or if the key has a part such as `..` or a symbolic link, which may lead out of
    /// the folder.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let names: Vec<&str> = key.split('/').collect();
        if names.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return None;
        }
        let file = system::open_below(&self.root, &names)?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::at_the_top("a.png", true)]
    #[case::below("b/c/d.png", true)]
    #[case::missing("e.png", false)]
    #[case::a_folder("b/c", false)]
    #[case::nothing("", false)]
    #[case::upwards("../outside.png", false)]
    #[case::upwards_from_below("b/../../outside.png", false)]
    #[case::upwards_and_back("b/../a.png", false)]
    #[case::absolute("/etc/hostname", false)]
    #[case::two_slashes("b//c/d.png", false)]
    #[case::a_slash_at_the_end("a.png/", false)]
    #[case::here("./a.png", false)]
    #[case::below_a_file("a.png/b", false)]
    #[case::a_linked_file("file.png", false)]
    #[case::a_linked_folder("folder/outside.png", false)]
    #[case::a_link_that_stays_inside("inside.png", false)]
    #[case::a_zero_byte("a.png\0", false)]
    #[case::a_pipe("pipe.png", false)]
    fn only_regular_files_below_the_folder_are_read(#[case] key: &str, #[case] is_read: bool) {
        let around = tempfile::tempdir().unwrap();
        let root = around.path().join("root");
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::write(around.path().join("outside.png"), "outside").unwrap();
        fs::write(root.join("a.png"), "inside").unwrap();
        fs::write(root.join("b/c/d.png"), "inside").unwrap();
        symlink("../outside.png", root.join("file.png")).unwrap();
        symlink("..", root.join("folder")).unwrap();
        symlink("a.png", root.join("inside.png")).unwrap();
        let pipe = Command::new("mkfifo").arg(root.join("pipe.png")).status().unwrap();
        assert!(pipe.success());
        let read = Folder::open(root).unwrap().read(key);
        assert_eq!(read.as_deref(), is_read.then_some(&b"inside"[..]));
    }

    #[test]
    fn too_large_files_are_not_read_and_only_a_folder_is_opened() {
        let around = tempfile::tempdir().unwrap();
        let large = around.path().join("large.png");
        fs::File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(Folder::open(around.path().to_owned()).unwrap().read("large.png"), None);
        assert!(Folder::open(large).is_err());
        assert!(Folder::open(around.path().join("nowhere")).is_err());
    }
}
