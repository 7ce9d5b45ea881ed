//! The README, the pages in `docs/`, the files in `config/` and the program say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::{Connection, OpenFlags};

mod translation;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary, in `folder`, with nothing in its environment.
fn costag(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_costag"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        // Nobody listens there: no look for a machine's role leaves this machine.
        .env("COSTAG_METADATA_ENDPOINT", "http://127.0.0.1:1")
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("the help is UTF-8")
}

fn help() -> String {
    stdout(&costag(root(), &["--help"]))
}

/// The text of a page, by its path in the repository.
fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The README and every page in `docs/`: path and text.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            paths.push(format!("docs/{name}"));
        }
    }
    paths.into_iter().map(|path| (path.clone(), page(&path))).collect()
}

/// The text of a page under a heading of the second level.
fn section(path: &str, name: &str) -> String {
    let text = page(path);
    let heading = format!("\n## {name}\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("{path} has no section {name}"));
    let text = &text[start + heading.len()..];
    text.find("\n## ").map_or(text, |end| &text[..end]).to_owned()
}

/// The cells of all tables in this text, without their heads; backticks are dropped.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines_of_table = 0;
    for line in text.lines() {
        if !line.starts_with('|') {
            lines_of_table = 0;
            continue;
        }
        lines_of_table += 1;
        // The first two lines are the head and the rule below it.
        if lines_of_table > 2 {
            let line = line.trim_matches('|').replace('`', "");
            rows.push(line.split('|').map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// The blocks of a section in this language.
fn blocks<'a>(section: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let block = |rest: &'a str| &rest[..=rest.find("\n```").expect("a block ends")];
    section.split(&fence).skip(1).map(block).collect()
}

/// A demo's folder, with database and CSV in it.
fn demo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = stdout(&costag(folder.path(), &["demo", "--out", "."]));
    assert!(shown.contains("first rows of the CSV"), "{shown}");
    folder
}

#[test]
fn documented_exit_codes_are_those_of_the_help() {
    let help = help();
    let (_, table) = help.split_once("Exit codes:\n").expect("the help has the table");
    let told: Vec<Vec<String>> = table
        .lines()
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(code, meaning)| vec![code.to_owned(), meaning.trim().to_owned()])
        .collect();
    assert!(told.len() > 10, "{table}");
    assert_eq!(rows(&section("docs/failures.md", "Exit codes")), told);
}

#[test]
fn documented_commands_are_those_of_the_help() {
    let help = help();
    let (_, rest) = help.split_once("Commands:\n").expect("the help has commands");
    let (commands, _) = rest.split_once("\n\n").expect("and options after them");
    let offered: BTreeSet<String> = commands
        .lines()
        // A name stands two columns in; what a line could not hold goes on further in.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| format!("costag {name}"))
        .collect();
    assert!(offered.contains("costag run"), "{commands}");
    let told: BTreeSet<String> = rows(&section("docs/commands.md", "Commands"))
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(told, offered);
}

/// The long options in a help text, `--help` left out.
fn options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long = |line: &str| {
        let option = line.split_whitespace().find(|word| word.starts_with("--"))?;
        Some(option.trim_end_matches([',', '.']).to_owned())
    };
    lines.filter_map(long).filter(|option| option != "--help").collect()
}

/// The long options in the first column of the tables in a text.
fn documented_options(text: &str) -> Vec<String> {
    let first = rows(text).into_iter().map(|row| row[0].clone());
    let long = |cell: String| {
        let option = cell.split_whitespace().find(|word| word.starts_with("--"))?;
        Some(option.to_owned())
    };
    first.filter_map(long).collect()
}

/// Name and default of each setting that docs/configuration.md documents.
fn documented_settings() -> Vec<(String, String)> {
    let rows = rows(&section("docs/configuration.md", "Settings"));
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn every_option_of_every_command_is_documented_once() {
    let mut settings: BTreeSet<String> =
        documented_options(&section("docs/commands.md", "All commands")).into_iter().collect();
    for (name, _) in documented_settings() {
        let option = name.replace('_', "-");
        settings.extend([format!("--no-{option}"), format!("--{option}")]);
    }
    for row in rows(&section("docs/commands.md", "Commands")) {
        let command = row[0].trim_start_matches("costag ").to_owned();
        let documented = match command.as_str() {
            "emulator" => documented_options(&page("docs/emulator.md")),
            _ => documented_options(&section("docs/commands.md", &row[0])),
        };
        let once: BTreeSet<String> = documented.iter().cloned().collect();
        assert_eq!(once.len(), documented.len(), "{command}: {documented:?}");
        let mut arguments = vec![command.as_str(), "--help"];
        if command == "config" {
            arguments.insert(1, "show");
        }
        let offered = options(&stdout(&costag(root(), &arguments)));
        let own: BTreeSet<String> = offered.difference(&settings).cloned().collect();
        let missing: Vec<_> = own.difference(&once).collect();
        assert!(missing.is_empty(), "not documented for {command}: {missing:?}");
        let unknown: Vec<_> = once.difference(&offered).collect();
        assert!(unknown.is_empty(), "{command} has no {unknown:?}");
    }
}

#[test]
fn every_setting_of_the_example_file_is_documented_once_with_its_default() {
    let example = page("config/costag.toml");
    let settings: Vec<(&str, &str)> = example
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(" = "))
        .filter(|(name, _)| {
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    assert!(settings.len() > 30, "{settings:?}");
    let documented = documented_settings();
    let mut names: Vec<&str> = documented.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let mut expected: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for (name, value) in settings {
        let (_, default) = documented.iter().find(|(known, _)| known == name).expect("a row");
        let plain = value.trim_matches(['"', '[', ']']);
        // What is empty in the file, or too long for a cell, is described in words.
        if !plain.is_empty() && !plain.contains(", ") {
            assert_eq!(default, plain, "{name}");
        }
    }
}

#[test]
fn every_fault_of_the_emulator_is_documented() {
    let arguments = ["emulator", "--objects", "1", "--fault", "unknown=1"];
    let output = costag(root(), &arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    let (_, names) = message.split_once("there are ").expect("the message lists all names");
    let names = names.lines().next().expect("on one line");
    let offered: BTreeSet<String> = names.split(", ").map(str::to_owned).collect();
    let mut documented = BTreeSet::new();
    for row in rows(&section("docs/emulator.md", "Faults")) {
        for request in ["detect-label", "listings", "look-ups"] {
            let prefix = match request {
                "listings" => "list_",
                "look-ups" => "head_",
                _ => "",
            };
            let fault = format!("{prefix}{}", row[0]);
            if row[1].split(", ").any(|word| word == request)
                || row[1] == "all" && offered.contains(&fault)
            {
                documented.insert(fault);
            }
        }
    }
    assert_eq!(documented, offered);
}

#[test]
fn the_documented_policy_is_that_of_the_file() {
    let file = fs::read_to_string(root().join("config/cam-policy.json")).expect("a policy");
    assert_eq!(blocks(&section("docs/credentials.md", "Policy"), "json"), [file.as_str()]);
    let policy: serde_json::Value = serde_json::from_str(&file).expect("it is JSON");
    let statements = policy["statement"].as_array().expect("statements");
    let actions: Vec<_> = statements
        .iter()
        .flat_map(|statement| statement["action"].as_array().expect("actions"))
        .map(|action| action.as_str().expect("a text"))
        .collect();
    assert_eq!(
        actions,
        ["cos:GetBucket", "cos:HeadObject", "cos:GetObject", "ci:CreateDetectLabelJob"]
    );
}

#[test]
fn documented_queries_run_and_documented_columns_are_those_of_exports_and_views() {
    let demo = demo();
    let database = demo.path().join("costag.db");
    let connection =
        Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    let text = section("docs/results.md", "For SQL users");
    let examples = section("docs/sql.md", "Examples");
    let queries = blocks(&examples, "sql");
    assert!(queries.len() >= 10, "{queries:?}");
    for query in queries {
        let mut statement = connection.prepare(query).unwrap_or_else(|error| panic!("{error}"));
        let mut rows = statement.query([]).unwrap_or_else(|error| panic!("{query}: {error}"));
        let first = rows.next().unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(first.is_some(), "{query}\nfinds nothing in the demo's database");
    }
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for view in ["labels", "failure"] {
        let statement = connection.prepare(&format!("SELECT * FROM {view}")).expect("a view");
        let columns = statement.column_names().join(", ");
        assert!(joined.contains(&format!("`{view}({columns})`")), "{view}({columns})");
    }
    let header = |layout| {
        let rows = stdout(&costag(demo.path(), &["export", "--layout", layout]));
        format!("{}\n", rows.lines().next().expect("a header"))
    };
    assert_eq!(
        blocks(&section("docs/results.md", "Export"), "text"),
        [header("long"), header("wide")]
    );
}

#[test]
fn credentials_are_looked_for_in_the_documented_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = ["run", "cos://photos-1250000000", "-r", "ap-guangzhou"];
    let output = costag(folder.path(), &run);
    assert_eq!(output.status.code(), Some(6));
    let message = String::from_utf8_lossy(&output.stderr);
    let told = section("docs/credentials.md", "Credentials");
    let mut after = 0;
    let places = ["COSTAG_SECRET_ID", "TENCENTCLOUD_SECRET_ID", "COS_SECRETID", "COS_SECRET_ID"];
    for id in places {
        let pair = format!("{id} and {}", id.replace("ID", "KEY"));
        assert!(message.contains(&pair), "{message}");
        let at = told.find(&format!("`{}`", pair.replace(" and ", "` and `"))).expect(id);
        assert!(at > after, "{id} is told too early");
        after = at;
    }
    for file in [".cos.yaml", ".cos.conf"] {
        assert!(message.contains(file), "{message}");
        let at = told.find(&format!("~/{file}")).expect(file);
        assert!(at > after, "{file} is told too early");
        after = at;
    }
}

/// The anchor that a heading gets: lower case, hyphens for spaces, and no punctuation.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-")
}

/// The targets of the links of a page that lead to files of the repository or to other sections.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    for (path, text) in pages() {
        let folder = root().join(&path).parent().expect("a page lies in a folder").to_owned();
        for target in links(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { root().join(&path) } else { folder.join(file) };
            assert!(file.exists(), "{path} links to {target}");
            if !heading.is_empty() {
                let linked = fs::read_to_string(&file).expect("a page with headings");
                let found = linked
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line.trim_start_matches('#').trim()) == heading);
                assert!(found, "{path} links to {target}");
            }
        }
    }
}

#[test]
fn every_page_and_every_file_of_config_is_linked() {
    let pages = pages();
    let mut linked = BTreeSet::new();
    for (path, text) in &pages {
        let folder = root().join(path).parent().expect("a page lies in a folder").to_owned();
        let files = links(text).filter_map(|target| target.split('#').next());
        let files = files.filter(|file| !file.is_empty());
        linked.extend(files.filter_map(|file| folder.join(file).canonicalize().ok()));
    }
    for entry in fs::read_dir(root().join("config")).expect("config/") {
        let file = entry.expect("an entry").path().canonicalize().expect("a file");
        assert!(linked.contains(&file), "no page links to {}", file.display());
    }
    let readme = page("README.md");
    for (path, _) in pages.iter().filter(|(path, _)| path != "README.md") {
        assert!(links(&readme).any(|target| target == path), "the README does not link to {path}");
    }
}

/// The texts of all Rust files in `src` and `tests`.
fn sources() -> String {
    let mut sources = String::new();
    let mut folders: Vec<PathBuf> = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&fs::read_to_string(path).expect("UTF-8"));
            }
        }
    }
    sources
}

#[test]
fn every_test_that_holds_a_promise_or_an_invariant_exists() {
    let sources = sources();
    let promises = rows(&page("docs/promises.md"));
    let invariants = rows(&section("docs/architecture.md", "Invariants"));
    assert!(promises.len() > 100 && invariants.len() > 10);
    for row in promises.iter().chain(&invariants) {
        assert!(!row[1].is_empty(), "no test holds: {}", row[0]);
        for name in row[1].split(", ") {
            assert!(sources.contains(&format!("fn {name}(")), "{name}");
        }
    }
}

#[test]
fn every_path_and_test_that_the_architecture_names_exists() {
    let sources = sources();
    let text = page("docs/architecture.md");
    let mut named = 0;
    // What stands between backticks, outside of blocks of code.
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    for name in prose.iter().flat_map(|part| part.split('`').skip(1).step_by(2)) {
        let is_path =
            ["src", "tests", "docs", "config", "packaging", "benches", "migrations", ".ci"]
                .iter()
                .any(|top| name == *top || name.starts_with(&format!("{top}/")));
        let is_test = name.chars().filter(|c| *c == '_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_path {
            assert!(root().join(name).exists(), "{name}");
        } else if is_test {
            assert!(sources.contains(&format!("fn {name}(")), "{name}");
        }
        named += usize::from(is_path || is_test);
    }
    assert!(named > 40, "{named}");
}

#[test]
fn the_two_commands_of_the_readme_are_those_of_ci() {
    let commands = blocks(&section("README.md", "Two commands"), "sh").concat();
    let [_, test] = commands.lines().collect::<Vec<_>>()[..] else {
        panic!("two commands: {commands}");
    };
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    assert!(ci.lines().any(|line| line == test), ".ci/run does not run {test}");
}
