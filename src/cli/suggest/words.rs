//! The words of the present command line, and those of its options that a suggested command repeats.

use std::env;
use std::sync::{Mutex, PoisonError};

use crate::config::definitions::{self, Kind};
use crate::config::option;

/// The options that make a run a trial.
pub(super) const TRIAL: [&str; 2] = ["--limit", "--sample"];
/// Options that are no settings and that no run keeps. FILE and PROFILE have a value, and the flags have none.
const FILE: &str = "--config";
const PROFILE: &str = "--profile";
pub(super) const FLAGS: [&str; 3] = ["--no-config", "-y", "--yes"];
/// The profile that the present command works with, whether an option or a word in place of the address names it.
static CHOSEN: Mutex<Option<String>> = Mutex::new(None);

/// Lets every suggested command from now on work with this profile.
pub(in crate::cli) fn choose_profile(name: &str) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
}

/// Adds the option for the chosen profile, unless it is there.
pub(super) fn in_profile(mut words: Vec<String>) -> Vec<String> {
    let is_there = words.iter().any(|word| word.split('=').next() == Some(PROFILE));
    let chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(name), false) = (&*chosen, is_there) {
        words.extend([PROFILE.to_owned(), name.clone()]);
    }
    words
}

/// The words of the present command line, without the name of the program.
pub(super) fn typed() -> Vec<String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The words of the present command line. While `run --all` works on a profile, its name takes the place of `--all`, so
/// that a suggested command does not run over the other profiles again.
pub(super) fn typed_for_one() -> Vec<String> {
    let chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    let in_place = |word: String| match &*chosen {
        Some(name) if word == "--all" => name.clone(),
        _ => word,
    };
    typed().into_iter().map(in_place).collect()
}

/// How an option is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    No,
    Flag,
    WithValue,
}

/// Those of the words that belong to options which are repeated, with their values. `repeats` decides by the name.
pub(super) fn pick(words: Vec<String>, repeats: impl Fn(&str) -> Repeat) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        match repeats(name) {
            Repeat::No => {}
            Repeat::WithValue if value.is_none() => {
                found.push(word);
                found.extend(words.next());
            }
            Repeat::Flag | Repeat::WithValue => found.push(word),
        }
    }
    found
}

/// The options that say which database and which configuration file a command uses.
pub(super) fn of_every_command(words: Vec<String>) -> Vec<String> {
    pick(words, |name| match name {
        "--db" | FILE | PROFILE => Repeat::WithValue,
        "--no-config" => Repeat::Flag,
        _ => Repeat::No,
    })
}

/// The options that no run keeps.
pub(super) fn not_kept(words: Vec<String>) -> Vec<String> {
    pick(words, is_not_kept)
}

fn is_not_kept(name: &str) -> Repeat {
    let setting = definitions::all()
        .filter(|setting| setting.is_forgotten())
        .find(|setting| option(setting.name) == name);
    match setting {
        Some(setting) if matches!(setting.kind, Kind::Flag { .. }) => Repeat::Flag,
        Some(_) => Repeat::WithValue,
        None if [FILE, PROFILE].contains(&name) => Repeat::WithValue,
        None if FLAGS.contains(&name) => Repeat::Flag,
        None => Repeat::No,
    }
}

/// The options that a command needs to continue the run of the present one.
pub(super) fn for_resuming(words: Vec<String>) -> Vec<String> {
    pick(words, |name| match name {
        "-y" | "--yes" | "--log" | "--log-format" | "--progress" => Repeat::No,
        name if TRIAL.contains(&name) => Repeat::No,
        "--endpoint" => Repeat::WithValue,
        name => is_not_kept(name),
    })
}

/// The option that names the list of the present command, unless the list comes from standard input: a list is only read
/// further if it is named again.
pub(super) fn of_list(words: Vec<String>) -> Vec<String> {
    let lists = ["--keys", "--urls", "--inventory"];
    let named =
        pick(words, |name| if lists.contains(&name) { Repeat::WithValue } else { Repeat::No });
    let is_stdin = named.iter().any(|word| word == "-" || word.ends_with("=-"));
    if is_stdin { Vec::new() } else { named }
}

/// The place of the command among these words: options of every command may come before it.
pub(super) fn command_at(words: &[String], parser: &clap::Command) -> Option<usize> {
    let has_value = |word: &String| {
        let name = word.strip_prefix("--");
        parser
            .get_arguments()
            .any(|option| option.get_long() == name && option.get_action().takes_values())
    };
    let mut at = 0;
    while words.get(at)?.starts_with('-') {
        at += if words[at].starts_with("--") && has_value(&words[at]) { 2 } else { 1 };
    }
    Some(at)
}

/// The words of the options of `run` without `--dry-run` and `-n`, which may also stand among other short options.
pub(super) fn without_dry_run(words: Vec<String>, parser: &clap::Command) -> Vec<String> {
    let has_value = |short: char| {
        parser
            .get_arguments()
            .any(|option| option.get_short() == Some(short) && option.get_action().takes_values())
    };
    let without = |word: String| {
        let shorts = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let Some(shorts) = shorts else { return (word != "--dry-run").then_some(word) };
        // The letters after an option with a value are its value, so their n is no option.
        let flags = shorts.find(has_value).unwrap_or(shorts.len());
        let (flags, rest) = shorts.split_at(flags);
        let left = flags.replace('n', "") + rest;
        (!left.is_empty() || shorts.is_empty()).then(|| format!("-{left}"))
    };
    words.into_iter().filter_map(without).collect()
}

pub(super) fn of_trial(name: &str) -> Repeat {
    if TRIAL.contains(&name) { Repeat::WithValue } else { Repeat::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_options_that_a_command_needs_are_repeated() {
        let line = || {
            words(
                "run cos://a-1 --db=x.db --qps 5 --limit 3 -y -w 2 --endpoint http://h --config c.toml",
            )
        };
        assert_eq!(of_every_command(line()), words("--db=x.db --config c.toml"));
        assert_eq!(not_kept(line()), words("--db=x.db --limit 3 -y --config c.toml"));
        assert_eq!(for_resuming(line()), words("--db=x.db --endpoint http://h --config c.toml"));
    }
}
