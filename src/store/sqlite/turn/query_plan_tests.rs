//! How SQLite goes about the writer's statements: none of them walks what grows with the bucket.

use super::{claim, content, plan};
use crate::store::sqlite::Store;

#[test]
fn a_content_of_the_sample_is_read_by_its_primary_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let plan: String = store
        .connection
        .query_row(&format!("EXPLAIN QUERY PLAN {}", claim::queued_content()), [1; 5], |row| {
            row.get(3)
        })
        .unwrap();
    assert_eq!(plan, "SEARCH content USING INTEGER PRIMARY KEY (rowid=?)");
}

/// Every statement of the writer, from its source.
fn statements() -> Vec<String> {
    let sources = [
        include_str!("apply.rs"),
        include_str!("claim.rs"),
        include_str!("content.rs"),
        include_str!("key.rs"),
        include_str!("list.rs"),
        include_str!("listing.rs"),
        include_str!("mod.rs"),
        include_str!("page.rs"),
        include_str!("plan.rs"),
        include_str!("posting.rs"),
        include_str!("requeue.rs"),
        include_str!("run.rs"),
        include_str!("settings.rs"),
        include_str!("settle.rs"),
    ];
    let code = sources.map(|source| source.split("#[cfg(test)]").next().unwrap_or_default());
    let literals = code.iter().flat_map(|code| code.split('"').skip(1).step_by(2));
    let literals = literals.map(str::trim_start);
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
    let statements = literals.filter(|text| verbs.iter().any(|verb| text.starts_with(verb)));
    // What is put together.
    let columns = "id, scenes_done, scenes_redo, state, run_id, error_kind";
    let of_content = crate::store::sqlite::connect::has_content("?1");
    let whole = statements.filter(|sql| !sql.contains("{content}"));
    let whole = whole.map(|sql| sql.replace("{COLUMNS}", columns).replace("{}", &of_content));
    whole
        .chain([claim::queue(), claim::queued_content()])
        .chain([content::adopt(), content::left_behind(), plan::queued(), plan::given_up()])
        .collect()
}

#[test]
fn no_statement_of_the_writer_scans_a_table_that_grows_with_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let statements = statements();
    assert!(statements.len() >= 40, "{}", statements.len());
    for sql in statements {
        let plan: Vec<String> = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
            .raw_query()
            .mapped(|row| row.get(3))
            .collect::<Result<_, _>>()
            .unwrap();
        for step in &plan {
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
            assert!(!grows || partial, "{step}: {sql}");
        }
    }
}
