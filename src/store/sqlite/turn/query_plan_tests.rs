//! How SQLite goes about the writer's statements: none of them walks what grows with the bucket, and each is prepared
//! once.

use std::path::Path;

use rusqlite::StatementStatus;

use super::tests::{begin, candidate, page};
use super::*;
use crate::store::sqlite::Store;
use crate::store::sqlite::sql::Statement;
use crate::store::turn::{ClaimRequest, Difference, Reply, Request};

/// The statements of each file of this folder that has any.
const STATEMENTS: [(&str, &[&Statement]); 18] = [
    ("apply.rs", apply::STATEMENTS),
    ("claim.rs", claim::STATEMENTS),
    ("content.rs", content::STATEMENTS),
    ("counting.rs", counting::STATEMENTS),
    ("identities.rs", identities::STATEMENTS),
    ("import.rs", import::STATEMENTS),
    ("key.rs", key::STATEMENTS),
    ("list.rs", list::STATEMENTS),
    ("listing.rs", listing::STATEMENTS),
    ("page.rs", page::STATEMENTS),
    ("plan.rs", plan::STATEMENTS),
    ("posting.rs", posting::STATEMENTS),
    ("prune.rs", prune::STATEMENTS),
    ("requeue.rs", requeue::STATEMENTS),
    ("run.rs", run::STATEMENTS),
    ("session.rs", session::STATEMENTS),
    ("settings.rs", settings::STATEMENTS),
    ("settle.rs", settle::STATEMENTS),
];

fn query_plan(store: &Store, sql: &str) -> Vec<String> {
    store
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
        .raw_query()
        .mapped(|row| row.get(3))
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_content_of_the_sample_is_read_by_its_primary_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let plan = query_plan(&store, &claim::QUEUED_CONTENT);
    assert_eq!(plan[0], "SEARCH content USING INTEGER PRIMARY KEY (rowid=?)");
}

#[test]
fn no_statement_of_the_writer_scans_a_table_that_grows_with_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    for sql in STATEMENTS.iter().flat_map(|(_, statements)| *statements) {
        for step in query_plan(&store, sql) {
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let grows = [
                "object",
                "content",
                "ident",
                "error",
                "label",
                "call",
                "call_error",
                "change",
                "list_item",
                "posting",
            ];
            let grows = table.is_some_and(|table| grows.contains(&table));
            // A partial index holds what waits, is in flight or failed, and no more.
            let partial = ["content_queue", "content_in_flight", "content_failed"]
                .iter()
                .any(|i| step.contains(i));
            assert!(!grows || partial, "{step}: {sql:?}");
        }
    }
}

#[test]
fn every_statement_of_the_writer_is_declared_where_the_query_plans_are_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite/turn");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(folder.join("caches").read_dir().unwrap().map(|entry| entry.unwrap().path()));
    let mut declared = 0;
    for file in files.iter().filter(|file| file.is_file()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.ends_with("tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let (before, rest) = code.split_once("statements! {").unwrap_or((code, ""));
        let (within, after) = rest.split_once("\n}\n").unwrap_or(("", rest));
        let checked = STATEMENTS.iter().find(|(file, _)| *file == name);
        assert_eq!(checked.is_some(), !within.is_empty(), "{name}: STATEMENTS of the file");
        declared += checked.map_or(0, |(_, statements)| statements.len());
        for outside in [before, after] {
            // A fragment that several statements share is in a function and is no whole statement.
            for call in
                ["prepare(\"", "prepare_cached(\"", "execute(\"", "query_row(\"", "&format!"]
            {
                assert!(!outside.contains(call), "{name}: {call} outside of statements!");
            }
        }
    }
    assert!(declared >= 80, "{declared}");
}

#[test]
fn a_claim_is_prepared_once_whatever_its_parameters_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    for round in 0..3 {
        let keys = ["a", "b"].map(|key| format!("{key}{round}"));
        let new = keys.map(|key| Difference::New(candidate(&key, &key, 1)));
        let mut turn = session.new_turn();
        let request = ClaimRequest { limit: 1 + round, passes: 0..=0, keeps_back: false };
        turn.requests = vec![Request::Page(page("", new.into(), false)), Request::Claim(request)];
        let replies = session.turn(&turn).unwrap().replies;
        assert!(matches!(&replies[1], Reply::Claims(claims) if claims.claimed.len() == 1 + round));
    }
    let claim = session.prepare(&claim::QUEUE).unwrap();
    assert_eq!(claim.get_status(StatementStatus::Run), 3, "it is the statement that was executed");
    assert_eq!(claim.get_status(StatementStatus::RePrepare), 0);
}
