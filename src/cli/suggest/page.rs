//! The options that the commands on a page of `costag serve` or in a report need.

use std::path::Path;

use super::words::{FLAGS, in_profile, of_every_command, typed};
use crate::config::Settings;

/// The options with which a command on a page uses this database, and the configuration and the profile of the present
/// command. The database is left out if the present command uses the default without naming it.
pub(in crate::cli) fn common(database: &Path) -> Vec<(String, Option<String>)> {
    common_of(in_profile(of_every_command(typed())), database)
}

fn common_of(words: Vec<String>, database: &Path) -> Vec<(String, Option<String>)> {
    let mut options = Vec::new();
    let mut is_named = database != Settings::default().db;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None if FLAGS.contains(&word.as_str()) => (word, None),
            None => (word, words.next()),
        };
        if name == "--db" {
            is_named = true;
        } else {
            options.push((name, value));
        }
    }
    if is_named {
        let name = database.to_string_lossy().into_owned();
        options.insert(0, ("--db".to_owned(), Some(name)));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn commands_on_a_page_use_the_same_database_and_configuration() {
        let common = |line: &str, database: &str| {
            let options = common_of(of_every_command(words(line)), Path::new(database));
            let told = options.into_iter().flat_map(|(name, value)| [Some(name), value]);
            told.flatten().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(common("serve --port 1", "costag.db"), "");
        assert_eq!(common("serve", "of-the-file.db"), "--db of-the-file.db");
        // A configuration file may name another database than the one that was typed.
        assert_eq!(common("serve --db costag.db", "costag.db"), "--db costag.db");
        assert_eq!(
            common("serve --config=c.toml --profile p --db=x.db", "x.db"),
            "--db x.db --config c.toml --profile p"
        );
        assert_eq!(common("serve --no-config", "costag.db"), "--no-config");
    }
}
