//! The checks of `costag verify`.
//!
//! Nothing is written. Each check sees one state of the database. While a run is under way different checks may see
//! different states, which does not disturb any of them.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::ReadTransaction;
use super::rules::{self, Rule};
use crate::store::Error;
use crate::store::ident::Identity;
use crate::store::model::{Counts, RunState, SkipReason};
use crate::store::read::{Check, Checked, Problems, Progress};
use crate::store::sqlite::rows::{Count, Size, StoredEtag};
use crate::store::sqlite::sql::{
    ANSWERED, IDENT_UPTO, IMPORT, IMPORTED, IN_FLIGHT, RUNNING, statements,
};
use crate::store::sqlite::{Reader, schema};

/// The number of contents in a batch.
const BATCH: i64 = 10_000;

/// How many rows are looked at between two reports of the progress.
const SILENT: u64 = if cfg!(test) { 2 } else { 100_000 };

/// Is told how many rows a check has looked at, and how many there are, about.
pub(super) type Reached<'r> = &'r mut dyn FnMut(u64, u64);

/// The longest chain of identities with one hash that is followed.
const COLLISIONS: i64 = 16;

statements! {
    LAST_CONTENT = "SELECT coalesce(max(id), 0) FROM content";

    LAST_CALL = "SELECT coalesce(max(id), 0) FROM call";

    /// Selects the run and the outcome of each call, and how many calls the row stands for.
    CALLS_BY_RUN = "
        SELECT run_id, outcome, 1 FROM call WHERE outcome <> {IMPORTED}
        UNION ALL SELECT run_id, outcome, calls FROM call_sum WHERE outcome <> {IMPORTED}";

    INDEXED = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{IDENT_UPTO}'";

    /// A complete run with a reason was a trial, which need not list everything. An import lists nothing.
    RUNS = "
        SELECT id, state, coalesce(listed_at, iif(stop_reason IS NOT NULL OR plan = {IMPORT}, 0, NULL)), ended_at,
               settings, counts
        FROM run ORDER BY id";

    IN_FLIGHT_WITHOUT_RUN = "
        SELECT content.id FROM content LEFT JOIN run ON run.id = content.run_id
        WHERE content.state = {IN_FLIGHT} AND run.state IS NOT '{RUNNING}'";
}

/// The rules that belong to a check.
fn rules(check: Check) -> Vec<Rule> {
    match check {
        Check::States => rules::states(),
        Check::Ranges => rules::ranges(),
        Check::Labels => rules::labels(),
        Check::Ledger => rules::ledger(),
        Check::Failures => rules::failures(),
        Check::Objects => rules::objects(),
        Check::Schema
        | Check::Integrity
        | Check::Texts
        | Check::References
        | Check::Identities
        | Check::InFlight
        | Check::Postings
        | Check::Counts
        | Check::Runs => Vec::new(),
    }
}

impl Reader {
    /// Runs every check over every row. `tell` gets each check before it runs, and now and then how far it is.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the file is too damaged to be checked.
    pub fn verify(&self, mut tell: impl FnMut(Progress)) -> Result<Vec<Checked>, Error> {
        let mut all: Vec<Checked> = Vec::new();
        for check in Check::ALL {
            tell(Progress::Begun(check));
            let mut reached = |done, all| tell(Progress::Reached { check, done, all });
            let (mut problems, mut notes) = (Problems::default(), Vec::new());
            if let Err(source) = self.check(check, &mut problems, &mut notes, &mut reached) {
                let spoilt = all.iter().any(|checked| {
                    matches!(checked.check, Check::Schema | Check::Texts)
                        && checked.problems.count > 0
                });
                let error = self.error(source);
                // A statement may fail because of a problem that an earlier check has found.
                if !spoilt || !matches!(error, Error::Statement { .. } | Error::Unsound { .. }) {
                    return Err(error);
                }
                problems.add(|| "cannot be checked because of the problems above".to_owned());
            }
            all.push(Checked { check, problems, notes });
        }
        Ok(all)
    }

    fn check(
        &self,
        check: Check,
        problems: &mut Problems,
        notes: &mut Vec<String>,
        reached: Reached<'_>,
    ) -> rusqlite::Result<()> {
        for (sql, words) in rules(check) {
            self.problems(&sql, words, problems)?;
        }
        match check {
            Check::Schema => {
                let differences = schema::compare(&self.connection, self.version)?;
                differences.refused.into_iter().for_each(|what| problems.add(|| what));
                notes.extend(differences.alien);
                Ok(())
            }
            Check::Integrity => self.integrity(problems),
            Check::Texts => self.texts(problems, reached),
            Check::References => self.references(problems),
            Check::InFlight => self.nothing_in_flight(problems),
            Check::Identities => self.identities(problems, reached),
            Check::Runs => self.runs_are_sound(problems),
            Check::Ledger => self.ledger_agrees(problems, reached),
            Check::Postings => self.postings_are_complete(problems, reached),
            Check::Counts => self.counts_agree(problems, notes, reached),
            Check::Objects => self.reasons_are_known(problems),
            Check::States | Check::Ranges | Check::Labels | Check::Failures => Ok(()),
        }
    }

    /// Every text in a table of the program is UTF-8, and a column for texts holds no other bytes.
    fn texts(&self, problems: &mut Problems, reached: Reached<'_>) -> rusqlite::Result<()> {
        let tables = schema::text_columns(self.version)?;
        // A table without row ids is small.
        let rows = |table: &str| {
            let sql = format!("SELECT max(rowid) FROM main.\"{table}\"");
            let last = self.connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0));
            last.ok().flatten().and_then(|last| u64::try_from(last).ok()).unwrap_or_default()
        };
        let all = tables.iter().map(|(table, _)| rows(table)).fold(0, u64::saturating_add);
        let mut done = 0;
        for (table, columns) in tables {
            let names: Vec<String> =
                columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let sql = format!("SELECT {} FROM main.\"{table}\"", names.join(", "));
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                done += 1;
                tell(done, all, reached);
                for (index, (name, text_only)) in columns.iter().enumerate() {
                    let wrong = match row.get_ref(index)? {
                        ValueRef::Text(text) => std::str::from_utf8(text).is_err(),
                        ValueRef::Blob(_) => *text_only,
                        _ => false,
                    };
                    if wrong {
                        problems.add(|| format!("a {name} of {table} is not text in UTF-8"));
                    }
                }
            }
        }
        Ok(())
    }

    fn problems(&self, sql: &str, words: &str, problems: &mut Problems) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let numbers: Vec<i64> = (0..columns).map(|n| row.get(n)).collect::<Result<_, _>>()?;
            problems.add(|| {
                numbers
                    .iter()
                    .fold(words.to_owned(), |text, n| text.replacen("{}", &n.to_string(), 1))
            });
        }
        Ok(())
    }

    fn integrity(&self, problems: &mut Problems) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(100)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let told: String = row.get(0)?;
            if told != "ok" {
                problems.add(|| told);
            }
        }
        Ok(())
    }

    fn references(&self, problems: &mut Problems) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, id): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let parent: String = row.get(2)?;
            problems.add(|| match id {
                Some(id) => format!("{table} {id} refers to a {parent} that is not there"),
                None => format!("a row of {table} refers to a {parent} that is not there"),
            });
        }
        Ok(())
    }

    /// Contents are in flight only while a run is under way. Those of a run that was killed stay so until the next run
    /// or resume recovers them.
    fn nothing_in_flight(&self, problems: &mut Problems) -> rusqlite::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.problems(&IN_FLIGHT_WITHOUT_RUN, "content {} is in flight, and no run is", problems)
    }

    fn reasons_are_known(&self, problems: &mut Problems) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(
            "SELECT skip_reason, count(*) FROM object WHERE skip_reason IS NOT NULL GROUP BY 1",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (reason, count): (String, i64) = (row.get(0)?, row.get(1)?);
            if SkipReason::from_name(&reason).is_none() {
                problems.add(|| {
                    format!("{count} objects are skipped for the unknown reason {reason:?}")
                });
            }
        }
        Ok(())
    }

    fn identities(&self, problems: &mut Problems, reached: Reached<'_>) -> rusqlite::Result<()> {
        let Count(last) = self.connection.query_row(&LAST_CONTENT, [], |row| row.get(0))?;
        let mut after: i64 = 0;
        loop {
            let before = after;
            let _snapshot = ReadTransaction::begin(&self.connection)?;
            let indexed = self.connection.query_row(&INDEXED, [], |row| row.get(0)).optional()?;
            let indexed: i64 = indexed.unwrap_or(i64::MAX);
            let mut statement = self.connection.prepare_cached(
                "SELECT id, identity, etag, size FROM content WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let mut rows = statement.query((after, BATCH))?;
            while let Some(row) = rows.next()? {
                after = row.get(0)?;
                let mut found = false;
                for hash in hashes(row) {
                    found = found || self.leads_to(hash, after)?;
                }
                // A listing under way inserts the identities of the newest contents later.
                if !found && after <= indexed {
                    problems.add(|| format!("content {after} is not found by its identity"));
                }
            }
            if after == before {
                return Ok(());
            }
            reached(u64::try_from(after).unwrap_or_default(), last);
        }
    }

    /// Returns true if a look-up of this hash finds the content, at once or after other contents with the same hash.
    fn leads_to(&self, hash: i64, content_id: i64) -> rusqlite::Result<bool> {
        let mut ident =
            self.connection.prepare_cached("SELECT content_id FROM ident WHERE hash = ?1")?;
        for pushed in 0..=COLLISIONS {
            let found: Option<i64> =
                ident.query_row([hash.wrapping_add(pushed)], |row| row.get(0)).optional()?;
            match found {
                Some(found) if found == content_id => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    fn runs_are_sound(&self, problems: &mut Problems) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(&RUNS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (state, settings, counts): (String, String, String) =
                (row.get(1)?, row.get(4)?, row.get(5)?);
            let (listed, ended): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            match RunState::from_name(&state) {
                None => problems.add(|| format!("run {id} is in the unknown state {state:?}")),
                Some(RunState::Complete) if listed.is_none() || ended.is_none() => {
                    problems
                        .add(|| format!("run {id} is complete and was not listed or did not end"));
                }
                Some(RunState::Running) if ended.is_some() => {
                    problems.add(|| format!("run {id} is under way and has ended"));
                }
                Some(_) => {}
            }
            if serde_json::from_str::<serde_json::Value>(&settings).is_err() {
                problems.add(|| format!("the settings of run {id} cannot be read"));
            }
            if serde_json::from_str::<Counts>(&counts).is_err() {
                problems.add(|| format!("the counts of run {id} cannot be read"));
            }
        }
        Ok(())
    }

    /// The counts of a run and its ledger rows are written in the same transactions.
    fn ledger_agrees(&self, problems: &mut Problems, reached: Reached<'_>) -> rusqlite::Result<()> {
        let Count(last) = self.connection.query_row(&LAST_CALL, [], |row| row.get(0))?;
        let mut done = 0;
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let mut calls: BTreeMap<i64, [u64; 2]> = BTreeMap::new();
        let mut statement = self.connection.prepare(&CALLS_BY_RUN)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            done += 1;
            tell(done, last, reached);
            let Count(count) = row.get(2)?;
            let [all, answered] = calls.entry(row.get(0)?).or_default();
            *all += count;
            *answered += if row.get::<_, i64>(1)? == ANSWERED { count } else { 0 };
        }
        let mut statement = self.connection.prepare("SELECT id, counts FROM run")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, counts): (i64, String) = (row.get(0)?, row.get(1)?);
            let Ok(counts) = serde_json::from_str::<Counts>(&counts) else { continue };
            let [all, answered] = calls.get(&id).copied().unwrap_or_default();
            if (counts.calls, counts.answered) != (all, answered) {
                problems.add(|| {
                    format!(
                        "run {id} counted {} calls, {} answered; the ledger has {all}, {answered}",
                        counts.calls, counts.answered
                    )
                });
            }
        }
        Ok(())
    }
}

/// Reports the progress now and then.
fn tell(done: u64, all: u64, reached: Reached<'_>) {
    if done.is_multiple_of(SILENT) {
        reached(done, all);
    }
}

/// The hashes of the identities that a row of `content` can stand for; none if the row has no identity.
///
/// A row without a size is of a URL, or of a key whose size the service did not report.
fn hashes(row: &Row<'_>) -> Vec<i64> {
    let columns = || -> rusqlite::Result<(Option<String>, StoredEtag, Option<u64>)> {
        let size: Option<Size> = row.get(3)?;
        Ok((row.get(1)?, row.get(2)?, size.map(|Size(size)| size)))
    };
    let Ok((text, StoredEtag(etag), size)) = columns() else { return Vec::new() };
    let Some(text) = text else {
        let bytes = etag.as_ref().zip(size).map(|(etag, size)| Identity::Bytes { etag, size });
        return bytes.map(|identity| identity.hash()).into_iter().collect();
    };
    let url = size.is_none().then_some(Identity::Url(&text));
    // The name of a bucket has no slash.
    let etag = etag.as_ref();
    let key = text.split_once('/').map(|(bucket, key)| Identity::Key { bucket, key, etag, size });
    url.into_iter().chain(key).map(|identity| identity.hash()).collect()
}
