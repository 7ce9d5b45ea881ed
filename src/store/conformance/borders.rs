//! Where the backends may be named: a test reads the sources of the program.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
}

/// The lines of a source without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn nothing_outside_the_backends_names_sqlite_or_its_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    sources(&root, &mut all);
    let mut found = Vec::new();
    for path in all {
        let name = path.strip_prefix(&root).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let is_inside = name.starts_with("store/sqlite");
        let chooses = name.starts_with("store/backend") || name == Path::new("store/mod.rs");
        let checks = name == Path::new("store/conformance/borders.rs");
        for line in code(&text) {
            let names_library = line.contains("rusqlite");
            let names_backend = line.contains("sqlite::") || line.contains("mod sqlite");
            if !checks && !is_inside && (names_library || (names_backend && !chooses)) {
                found.push(format!("{}: {}", name.display(), line.trim()));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}
