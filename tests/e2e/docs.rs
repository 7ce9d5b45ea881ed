//! README, files and program say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::{Connection, OpenFlags};

const README: &str = include_str!("../../README.md");

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

/// The README's text under a heading of the second level.
fn section(name: &str) -> &'static str {
    let heading = format!("\n## {name}\n");
    let start = README.find(&heading).unwrap_or_else(|| panic!("no section {name}"));
    let text = &README[start + heading.len()..];
    text.find("\n## ").map_or(text, |end| &text[..end])
}

/// The cells of a section's table, without its head; backticks are dropped.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.trim_matches('|').replace('`', "");
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
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
fn exit_codes_are_those_of_the_help() {
    let help = help();
    let (_, table) = help.split_once("Exit codes:\n").expect("the help has the table");
    let told: Vec<Vec<String>> = table
        .lines()
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(code, meaning)| vec![code.to_owned(), meaning.trim().to_owned()])
        .collect();
    assert!(told.len() > 10, "{table}");
    assert_eq!(rows(section("Exit codes")), told);
}

#[test]
fn commands_are_those_of_the_help() {
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
    let told: BTreeSet<String> =
        rows(section("Commands")).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(told, offered);
}

#[test]
fn the_policy_is_that_of_the_file() {
    let file = fs::read_to_string(root().join("config/cam-policy.json")).expect("a policy");
    assert_eq!(blocks(section("Credentials"), "json"), [file.as_str()]);
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
fn queries_run_and_columns_are_those_of_exports_and_views() {
    let demo = demo();
    let database = demo.path().join("costag.db");
    let connection =
        Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    let text = section("For SQL users");
    let queries = blocks(text, "sql").concat();
    let queries: Vec<&str> = queries.split(';').filter(|query| query.contains("SELECT")).collect();
    assert!(queries.len() >= 4, "{queries:?}");
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
    assert_eq!(blocks(section("Export"), "text"), [header("long"), header("wide")]);
}

#[test]
fn credentials_are_looked_for_in_the_order_that_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = ["run", "cos://photos-1250000000", "-r", "ap-guangzhou"];
    let output = costag(folder.path(), &run);
    assert_eq!(output.status.code(), Some(6));
    let message = String::from_utf8_lossy(&output.stderr);
    let told = section("Credentials");
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

#[test]
fn every_file_that_is_named_is_there() {
    let named: Vec<&str> = README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .collect();
    for file in &named {
        assert!(root().join(file).exists(), "{file}");
    }
    for entry in fs::read_dir(root().join("config")).expect("config/") {
        let file = format!("config/{}", entry.expect("an entry").file_name().to_string_lossy());
        assert!(named.contains(&file.as_str()), "the README does not name {file}");
    }
}

#[test]
fn every_test_that_is_named_is_there() {
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
    let mut named = 0;
    for row in rows(section("What you can rely on")) {
        assert!(!row[1].is_empty(), "no test holds: {}", row[0]);
        for name in row[1].split(", ") {
            assert!(sources.contains(&format!("fn {name}(")), "{name}");
            named += 1;
        }
    }
    assert!(named > 0);
}

#[test]
fn the_two_commands_are_those_of_ci() {
    let commands = blocks(section("Two commands"), "sh").concat();
    let [_, test] = commands.lines().collect::<Vec<_>>()[..] else {
        panic!("two commands: {commands}");
    };
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    assert!(ci.lines().any(|line| line == test), ".ci/run does not run {test}");
}
