//! What the emulator has counted, what the database holds, and what an export shows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, OpenFlags};

use super::{BUCKET, LONGEST, Site};

/// The fields of a row of the export.
pub(crate) type Row = Vec<String>;

impl Site {
    /// The number of `detect-label` requests so far.
    pub(crate) fn calls(&self) -> u64 {
        self.emulator.statistics().calls
    }

    /// The number of `detect-label` requests for each key that had any.
    pub(crate) fn called(&self) -> BTreeMap<String, u64> {
        self.ask("GET", "keys", "")
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                (line["key"].as_str().unwrap().to_owned(), line["calls"].as_u64().unwrap())
            })
            .collect()
    }

    /// The rows that an export should have according to the emulator, without `bucket` and `tagged_at`.
    pub(crate) fn expected(&self, scenes: &str) -> Vec<Row> {
        let mut rows = rows(&self.ask("GET", &format!("expected?scenes={scenes}"), ""));
        for row in &mut rows {
            let time = jiff::Timestamp::from_second(row[9].parse().unwrap()).unwrap();
            row[9] = time.to_string();
        }
        rows
    }

    /// The rows of an export. `bucket` and `tagged_at` are checked here and left out.
    #[track_caller]
    pub(crate) fn export(&self, options: &[&str]) -> Vec<Row> {
        let text = self.costag(&[&["export"], options].concat()).with(0).stdout;
        let header = "bucket,key,scene,rank,name,first_category,second_category,confidence,etag,size,\
                      last_modified,tagged_at\n";
        assert!(text.starts_with(header));
        let whole = rows(&text).into_iter().map(|mut row| {
            assert_eq!(row.len(), 12);
            assert_eq!(row[0], BUCKET.trim_start_matches("cos://"));
            row.pop().unwrap().parse::<jiff::Timestamp>().unwrap();
            row.remove(0);
            row
        });
        whole.collect()
    }

    /// Asserts that the export has exactly the rows that the emulator expects, in the same order.
    #[track_caller]
    pub(crate) fn assert_exports(&self, scenes: &str) {
        let (expected, exported) = (self.expected(scenes), self.export(&[]));
        let first =
            expected.iter().zip(&exported).find(|(expected, exported)| expected != exported);
        assert_eq!(first, None, "the first row that differs");
        assert_eq!(expected.len(), exported.len());
        assert!(!expected.is_empty());
    }

    /// The number of distinct contents among the pictures of the bucket that have labels.
    pub(crate) fn contents(&self) -> u64 {
        let contents: BTreeSet<_> = self
            .expected("camera")
            .into_iter()
            .map(|row| (row[7].clone(), row[8].clone()))
            .collect();
        contents.len() as u64
    }

    /// The one JSON value that a command prints.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.costag(arguments).with(0).stdout).unwrap()
    }

    /// Asserts that `costag verify` finds nothing.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let ended = self.costag(&["verify"]).with(0);
        assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
        assert!(ended.stdout.contains("costag.db is sound"), "{}", ended.stdout);
    }

    /// Runs SQL statements on the database, as in a SQL shell.
    #[track_caller]
    pub(crate) fn tamper(&self, sql: &str) {
        let database = Connection::open(self.path("costag.db")).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    }

    pub(crate) fn database(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path("costag.db"), flags).unwrap();
        connection.busy_timeout(LONGEST).unwrap();
        connection
    }

    /// The single value that a query returns.
    #[track_caller]
    pub(crate) fn one<T: FromSql>(&self, sql: &str) -> T {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The number of calls in the ledger with a known outcome, and the number with an unknown one.
    pub(crate) fn ledger(&self) -> (u64, u64) {
        (
            self.one::<i64>("SELECT count(*) FROM call WHERE outcome <> 4").cast_unsigned(),
            self.one::<i64>("SELECT count(*) FROM call WHERE outcome = 4").cast_unsigned(),
        )
    }

    /// The number of contents in each state: pending, in flight, done, failed.
    pub(crate) fn states(&self) -> [i64; 4] {
        [0, 1, 2, 3]
            .map(|state| self.one(&format!("SELECT count(*) FROM content WHERE state = {state}")))
    }

    /// All rows of every table except the named ones, and except the mark that each run leaves in the file.
    pub(crate) fn tables(&self, without: &[&str]) -> BTreeMap<String, Vec<Vec<Value>>> {
        let database = self.database();
        let names =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
        let mut names = database.prepare(names).unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        names
            .filter(|name| !without.contains(&name.as_str()))
            .map(|name| {
                let but = if name == "meta" { " WHERE name <> 'opened'" } else { "" };
                let mut rows = database.prepare(&format!("SELECT * FROM {name}{but}")).unwrap();
                let columns = rows.column_count();
                let all = rows
                    .query_map([], |row| (0..columns).map(|at| row.get(at)).collect())
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                (name, all)
            })
            .collect()
    }
}

/// The records of a CSV text without its header.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}
