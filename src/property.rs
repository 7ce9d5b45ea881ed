//! How property tests are configured.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, FileFailurePersistence};

/// The configuration of every property test. The seed of an input that failed is stored beside the file of the test, as
/// `NAME.regressions.txt`, and is tried first in later runs: commit it.
pub(crate) fn config() -> Config {
    let beside_the_test = FileFailurePersistence::WithSource("regressions.txt");
    Config { failure_persistence: Some(Box::new(beside_the_test)), ..Config::default() }
}

/// The same as [`config`], with this number of inputs.
pub(crate) fn with_cases(cases: u32) -> Config {
    Config { cases, ..config() }
}

#[test]
fn every_property_test_keeps_its_regressions_beside_it() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = 0;
    let mut regressions: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".regressions.txt") {
                regressions.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // The name is written in two parts, so that this file is not found itself.
                for block in text.split(concat!("proptest", "!")).skip(1) {
                    let start: String = block.chars().take(160).collect();
                    let configured =
                        start.contains("property::") || start.contains("persistence: None");
                    assert!(
                        configured,
                        "{} has a property test without `property::config()`",
                        path.display()
                    );
                    found += 1;
                }
            }
        }
    }
    assert!(found > 15, "{found}");
    for path in regressions {
        let code = path.with_extension("").with_extension("rs");
        let code = fs::read_to_string(code).unwrap_or_default();
        assert!(code.contains(concat!("proptest", "!")), "{} has no test", path.display());
    }
}
