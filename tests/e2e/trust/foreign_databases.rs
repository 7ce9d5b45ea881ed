//! A database that somebody else made or changed is not trusted.

use rstest::rstest;
use rusqlite::Connection;

use crate::support::{BUCKET, Site};

const WRITES: [&[&str]; 6] = [
    &["run", BUCKET],
    &["plan", BUCKET],
    &["resume"],
    &["retry"],
    &["retag", "--all", "-y"],
    &["run", BUCKET, "--limit", "1"],
];

fn site() -> Site {
    let site = Site::plain(12);
    site.change(r#"{"faults":{"invalid_state":0.3}}"#);
    site.run(&[]).with(3);
    site
}

#[rstest]
#[case::a_trigger(
    "CREATE TRIGGER evil AFTER INSERT ON run BEGIN DELETE FROM content; END",
    "trigger evil"
)]
#[case::a_trigger_on_a_view(
    "CREATE TRIGGER labels_i INSTEAD OF INSERT ON labels BEGIN SELECT 1; END",
    "trigger labels_i"
)]
#[case::another_view("DROP VIEW labels; CREATE VIEW labels AS SELECT key FROM object", "labels")]
#[case::a_view_for_a_table(
    "ALTER TABLE meta RENAME TO old; CREATE VIEW meta AS SELECT name, value FROM old",
    "meta"
)]
#[case::a_column_more("ALTER TABLE tag ADD COLUMN more", "tag")]
#[case::a_missing_table("DROP TABLE change", "change")]
#[case::a_missing_index("DROP INDEX content_queue", "content_queue")]
#[case::another_index(
    "DROP INDEX content_failed; CREATE INDEX content_failed ON content (state)",
    "content_failed"
)]
fn a_database_with_a_changed_schema_is_not_written_to(#[case] sql: &str, #[case] names: &str) {
    let site = site();
    site.tamper(sql);
    let before = std::fs::read(site.path("costag.db")).unwrap();
    let calls = site.calls();
    for command in WRITES {
        site.costag(command).with(7).says(&["costag.db", names, "nothing was written"]);
    }
    let verified = site.costag(&["verify"]).with(7);
    let line = verified.stdout.lines().find(|line| line.contains(names));
    assert!(line.is_some_and(|line| line.starts_with("schema: ")), "{}", verified.stdout);
    assert!(std::fs::read(site.path("costag.db")).unwrap() == before, "it is as it was");
    assert_eq!(site.calls(), calls);
}

#[test]
fn verify_names_additional_tables_views_and_indexes() {
    let site = site();
    site.tamper(
        "CREATE TABLE notes (key TEXT PRIMARY KEY, note TEXT);
         CREATE VIEW best AS SELECT * FROM labels WHERE confidence > 90;
         CREATE INDEX by_size ON content (size);
         ANALYZE",
    );
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry"]).with(0);
    site.run(&[]).with(0);
    let verified = site.costag(&["verify"]).with(0).stdout;
    for named in ["table notes", "view best", "index by_size"] {
        let line = verified.lines().find(|line| line.contains(named));
        assert!(line.is_some_and(|line| line.starts_with("schema: not a problem: ")), "{verified}");
    }
    assert_eq!(verified.lines().count(), 4, "{verified}");
    assert!(verified.lines().last().unwrap().contains("is sound"), "{verified}");
    let json = site.json(&["verify", "--json"]);
    assert_eq!(json["sound"], true);
    assert_eq!(json["checks"][0]["notes"].as_array().unwrap().len(), 3);
}

#[test]
fn a_view_cannot_run_functions_with_side_effects() {
    let site = site();
    // Functions with side effects are not available to an untrusted schema.
    site.tamper("CREATE VIEW trap AS SELECT load_extension('/tmp/x.so')");
    site.costag(&["verify"]).with(0);
    site.run(&[]).with(0);
}

/// For each text column, a statement that makes one of its values invalid UTF-8.
fn breaking(database: &Connection) -> Vec<String> {
    let mut columns = database
        .prepare(
            "SELECT schema.name, info.name FROM sqlite_schema AS schema,
                    pragma_table_info(schema.name) AS info
             WHERE schema.type = 'table' AND info.type = 'TEXT'",
        )
        .unwrap();
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    columns
        .map(Result::unwrap)
        .map(|(table, column): (String, String)| {
            format!(
                "UPDATE OR IGNORE {table} SET {column} = CAST(x'61ff62' AS TEXT) WHERE {column} IN
                 (SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1)"
            )
        })
        .collect()
}

#[test]
fn text_that_is_not_utf_8_ends_a_command_with_exit_code_7() {
    let site = site();
    let path = site.path("costag.db");
    let whole = std::fs::read(&path).unwrap();
    let mut met = 0;
    let database = Connection::open(&path).unwrap();
    let statements = breaking(&database);
    drop(database);
    for sql in statements {
        std::fs::write(&path, &whole).unwrap();
        let database = Connection::open(&path).unwrap();
        // CHECK constraints protect the columns that allow only a few values.
        let changed = database
            .execute_batch("PRAGMA ignore_check_constraints = ON")
            .and_then(|()| database.execute(&sql, []))
            .unwrap();
        drop(database);
        if changed == 0 {
            continue;
        }
        met += 1;
        let verified = site.costag(&["verify"]).with(7);
        assert!(verified.stdout.contains("texts: "), "{sql}: {}", verified.stdout);
        for command in [
            &["status"][..],
            &["status", "--failures"],
            &["export"],
            &["stats"],
            &["changes"],
            &["retag", "--all", "--dry-run"],
            &["resume"],
            &["run", BUCKET, "--scenes", "web"],
        ] {
            let ended = site.costag(command);
            let shown = format!("{sql}\n{command:?}\n{}\n{}", ended.stdout, ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{shown}");
            assert!(!ended.stdout.contains('\u{fffd}'), "{shown}");
            // The command either reads the broken text and reports it, or does not need it.
            assert!(matches!(ended.code, Some(0 | 3 | 7)), "{:?} {shown}", ended.code);
        }
    }
    assert!(met > 12, "{met}");
}

#[test]
fn a_key_that_is_not_utf_8_ends_every_command_that_reads_it() {
    let site = site();
    site.tamper(
        "UPDATE object SET key = CAST(x'30ff' AS TEXT) WHERE id = (SELECT min(id) FROM object)",
    );
    for command in
        [&["export"][..], &["find", "--not", "x"], &["run", BUCKET], &["plan", BUCKET], &["verify"]]
    {
        site.costag(command).with(7);
    }
}

#[test]
fn a_kept_option_with_an_impossible_value_is_named_with_its_run() {
    let site = Site::plain(3);
    site.run(&["--max-calls", "1"]).with(8);
    site.tamper("UPDATE run SET settings = json_set(settings, '$.typed.qps', json('[1,2]'))");
    let ended = site.resume();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    ended.says(&["run 1", "the option \"qps\"", "begin a new run"]);
}
