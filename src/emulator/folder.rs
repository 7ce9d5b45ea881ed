//! A folder as a bucket: every regular file is an object. A file is read again only after its size or time has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::object::{Object, md5_hex};
use super::pixels::{self, Traits};

type Objects = BTreeMap<Vec<u8>, Option<Object>>;

/// The size and the time of a file when it was hashed.
type Stamp = (u64, Option<SystemTime>);

pub(super) struct Folder {
    /// The folder.
    root: PathBuf,
    /// The stamp and the `ETag` of each file that was read, by key.
    known: Mutex<HashMap<Vec<u8>, (Stamp, String)>>,
    /// The labels of each content by `ETag`; `None` for a file that is not a picture.
    traits: Mutex<HashMap<String, Option<Arc<Traits>>>>,
}

impl Folder {
    /// # Errors
    ///
    /// Returns an error if `root` is not a folder or cannot be read.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::read_dir(&root)?;
        Ok(Self { root, known: Mutex::default(), traits: Mutex::default() })
    }

    /// Returns every file that exists now. A folder or file that cannot be read is left out with a warning.
    pub(super) fn rescan(&self) -> Arc<Objects> {
        let mut objects = Objects::new();
        let mut folders = vec![(self.root.clone(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "a folder cannot be read and is left out");
                    continue;
                }
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    tracing::warn!(path = %entry.path().display(), "a file whose name is not UTF-8 is left out");
                    continue;
                };
                let key = format!("{prefix}{name}");
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push((entry.path(), key + "/")),
                    Ok(metadata) if metadata.is_file() => {
                        if let Some(object) =
                            self.object(key.into_bytes(), &entry.path(), &metadata)
                        {
                            objects.insert(object.key.clone(), Some(object));
                        }
                    }
                    _ => {}
                }
            }
        }
        self.forget_all_but(&objects);
        Arc::new(objects)
    }

    /// Forgets files that no longer exist.
    fn forget_all_but(&self, objects: &Objects) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| objects.contains_key(key));
    }

    /// Returns the file with this key as it is now; `None` if there is none.
    pub(super) fn get(&self, key: &[u8]) -> Option<Object> {
        let (path, metadata) = self.file(key)?;
        self.object(key.to_vec(), &path, &metadata)
    }

    /// Returns the regular file of a key. Returns `None` for a key that no scan would find: one with `..` in it, or one
    /// whose path has a symbolic link, which may lead out of the folder.
    fn file(&self, key: &[u8]) -> Option<(PathBuf, Metadata)> {
        let key = std::str::from_utf8(key).ok()?;
        let plain = |part: &str| {
            !(part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0']))
        };
        if !key.split('/').all(plain) {
            return None;
        }
        let mut path = self.root.clone();
        let mut metadata = None;
        for part in key.split('/') {
            path.push(part);
            let found = fs::symlink_metadata(&path).ok().filter(|found| !found.is_symlink())?;
            metadata = Some(found);
        }
        metadata.filter(Metadata::is_file).map(|metadata| (path, metadata))
    }

    fn object(&self, key: Vec<u8>, path: &Path, metadata: &Metadata) -> Option<Object> {
        let stamp = (metadata.len(), metadata.modified().ok());
        let etag = if let Some(etag) = self.known_etag(&key, &stamp) {
            etag
        } else {
            let bytes = fs::read(path).ok()?;
            let etag = md5_hex(&bytes);
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(key.clone(), (stamp, etag.clone()));
            etag
        };
        let since_epoch = stamp.1.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let last_modified =
            since_epoch.map_or(0, |passed| i64::try_from(passed.as_secs()).unwrap_or(i64::MAX));
        let storage_class = Cow::Borrowed("STANDARD");
        Some(Object { key, etag, size: stamp.0, last_modified, storage_class, is_image: true })
    }

    /// Returns the first byte of the file with this key; `None` if it is empty or does not exist.
    pub(super) fn first_byte(&self, key: &[u8]) -> Option<u8> {
        let mut first = [0];
        fs::File::open(self.file(key)?.0).ok()?.read_exact(&mut first).ok()?;
        Some(first[0])
    }

    /// Returns the bytes of the file with this key; `None` if it cannot be read or does not exist.
    pub(super) fn bytes(&self, key: &[u8]) -> Option<Vec<u8>> {
        fs::read(self.file(key)?.0).ok()
    }

    fn known_etag(&self, key: &[u8], stamp: &Stamp) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(seen, _)| seen == stamp).map(|(_, etag)| etag.clone())
    }

    /// Returns the labels of a picture; `None` if the file is not a picture or does not exist.
    pub(super) fn traits(&self, object: &Object) -> Option<Arc<Traits>> {
        let lock = || self.traits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&object.etag) {
            return known.clone();
        }
        let bytes = fs::read(self.file(&object.key)?.0).ok()?;
        let traits = pixels::read(&bytes).map(Arc::new);
        // The labels belong to the bytes that were read: the file may have changed since it was listed.
        lock().insert(md5_hex(&bytes), traits.clone());
        traits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_changed_and_removed_files_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        fs::write(root.path().join("b/x y.jpg"), "one").unwrap();
        fs::write(root.path().join("a.txt"), "").unwrap();
        let folder = Folder::open(root.path().to_owned()).unwrap();
        let keys = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&folder.rescan()), [b"a.txt".to_vec(), b"b/x y.jpg".to_vec()]);
        assert_eq!(folder.get(b"b/x y.jpg").unwrap().etag, "f97c5d29941bfb1b2fdab0874906ab82");
        fs::write(root.path().join("b/x y.jpg"), "three").unwrap();
        assert_eq!(folder.get(b"b/x y.jpg").unwrap().etag, "35d6d33467aae9a2e3dccb4b6b027878");
        fs::remove_file(root.path().join("a.txt")).unwrap();
        assert_eq!(keys(&folder.rescan()), [b"b/x y.jpg".to_vec()]);
        assert_eq!(folder.get(b"a.txt"), None);
        assert_eq!(folder.get(b"b/../b/x y.jpg"), None);
        assert_eq!(folder.get(b"b"), None);
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.jpg"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("folder")).unwrap();
        symlink(outside.path().join("secret.jpg"), root.path().join("file.jpg")).unwrap();
        let folder = Folder::open(root.path().to_owned()).unwrap();
        assert!(folder.rescan().is_empty());
        assert_eq!(folder.get(b"folder/secret.jpg"), None);
        assert_eq!(folder.get(b"file.jpg"), None);
        // The path of the folder itself may be a link.
        let link = root.path().join("folder");
        assert!(Folder::open(link).unwrap().get(b"secret.jpg").is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_name_that_is_not_utf8_is_left_out() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xff.jpg")), "x").unwrap();
        fs::write(root.path().join("good.jpg"), "x").unwrap();
        let folder = Folder::open(root.path().to_owned()).unwrap();
        assert_eq!(folder.rescan().len(), 1);
    }
}
