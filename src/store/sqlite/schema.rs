//! The schema that this program creates, compared with the schema of a file.
//!
//! A database may come from another person. A trigger in it would run with every write, and a table or view with
//! another definition would change what a statement does. So both are refused before anything is written. Tables,
//! views and indexes of other names have no effect by themselves: they are allowed, and `costag verify` names them.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::migrate;

/// The differences between the schema of a file and that of the program, described.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Triggers, and objects of the program that are missing or have another definition: the file is not written then.
    pub(super) refused: Vec<String>,
    /// Other tables, views and indexes.
    pub(super) alien: Vec<String>,
}

/// The kind and the definition of each object, by name. Objects that SQLite creates by itself have no definition.
type Objects = BTreeMap<String, (String, Option<String>)>;

fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    connection
        .prepare("SELECT name, type, sql FROM main.sqlite_schema")?
        .query_map([], |row| {
            let sql: Option<String> = row.get(2)?;
            Ok((row.get(0)?, (row.get(1)?, sql.as_deref().map(without_layout))))
        })?
        .collect()
}

/// Compares the schema of a file with that of the program at the same version.
pub(super) fn compare(connection: &Connection, version: i64) -> rusqlite::Result<Differences> {
    let ours = objects(&migrate::model(version)?)?;
    let theirs = objects(connection)?;
    let mut differences = Differences::default();
    for (name, (kind, definition)) in &ours {
        match theirs.get(name) {
            None => differences.refused.push(format!("the {kind} {name} is missing")),
            Some(found) if found == &(kind.clone(), definition.clone()) => {}
            Some(_) => {
                differences.refused.push(format!("the {kind} {name} has another definition"));
            }
        }
    }
    for (name, (kind, definition)) in &theirs {
        if ours.contains_key(name) {
            continue;
        }
        if kind == "trigger" {
            differences
                .refused
                .push(format!("there is a trigger {name}, but costag creates no triggers"));
        // SQLite creates some objects by itself: indexes of constraints, and statistics of ANALYZE.
        } else if definition.is_some() && !name.starts_with("sqlite_") {
            differences.alien.push(format!("costag did not create the {kind} {name}"));
        }
    }
    Ok(differences)
}

/// A table, and its columns that hold texts, each with whether it holds nothing but texts.
type TextColumns = (String, Vec<(String, bool)>);

/// Reads the columns that hold texts, for each table of this version.
pub(super) fn text_columns(version: i64) -> rusqlite::Result<Vec<TextColumns>> {
    let model = migrate::model(version)?;
    let mut columns = model.prepare(
        "SELECT schema.name, info.name, info.type = 'TEXT'
         FROM sqlite_schema AS schema, pragma_table_info(schema.name) AS info
         WHERE schema.type = 'table' AND info.type IN ('TEXT', 'BLOB')
         ORDER BY schema.name, info.cid",
    )?;
    let mut rows = columns.query([])?;
    let mut tables: Vec<TextColumns> = Vec::new();
    while let Some(row) = rows.next()? {
        let (table, column) = (row.get(0)?, (row.get(1)?, row.get(2)?));
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            _ => tables.push((table, vec![column])),
        }
    }
    Ok(tables)
}

/// A definition without comments and with single spaces, so that definitions compare by what they mean.
fn without_layout(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut chars = sql.chars().peekable();
    let mut space = false;
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => space = true,
            '-' if chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
                space = true;
            }
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                chars.next();
                chars.by_ref().find(|c| std::mem::replace(&mut last, *c) == '*' && *c == '/');
                space = true;
            }
            c => {
                if space && !out.is_empty() && !out.ends_with(['(', ',']) && !matches!(c, ')' | ',')
                {
                    out.push(' ');
                }
                space = false;
                out.push(c);
                let end = match c {
                    '\'' | '"' | '`' => c,
                    '[' => ']',
                    _ => continue,
                };
                for quoted in chars.by_ref() {
                    out.push(quoted);
                    if quoted == end {
                        break;
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_differ_by_everything_but_layout_and_comments() {
        let plain = without_layout("CREATE TABLE a (x TEXT, y INTEGER)");
        for same in [
            "CREATE  TABLE a\n(x TEXT,y INTEGER)",
            "CREATE TABLE a (\n    x TEXT, -- the first's comment\n    y INTEGER /* the ** second */\n)",
        ] {
            assert_eq!(without_layout(same), plain, "{same}");
        }
        for other in [
            "CREATE TABLE a (x TEXT, y TEXT)",
            "CREATE TABLE a (x TEXT, y INTEGER, z)",
            "CREATE TABLE a (x TEXT, \"y  INTEGER\")",
            "CREATE TABLE a (x TEXT DEFAULT '-- no', y INTEGER)",
        ] {
            assert_ne!(without_layout(other), plain, "{other}");
        }
        assert_ne!(without_layout("x = ' a'"), without_layout("x = '  a'"));
    }

    #[test]
    fn the_schema_of_each_version_equals_itself() {
        for version in 1..=migrate::known_version() {
            let model = migrate::model(version).unwrap();
            assert_eq!(compare(&model, version).unwrap(), Differences::default());
        }
    }
}
