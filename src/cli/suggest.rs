//! Commands that a message suggests. A person can paste each of them: it is complete, quoted for a shell, names the same
//! database and configuration file as the present command, and stands on a line of its own.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::fault::UnknownWord;
use crate::config::definitions::{self, Kind};
use crate::config::{self, Settings, Typed, option};
use crate::cos::Endpoint;
use crate::export;
use crate::job::{self, RunSettings, Source};
use crate::shell::quoted;
use crate::store;

/// The options that make a run a trial.
const TRIAL: [&str; 2] = ["--limit", "--sample"];
/// Options of commands, besides settings, that no run keeps: some with a value, and others without.
const FILE: &str = "--config";
const PROFILE: &str = "--profile";
const FLAGS: [&str; 3] = ["--no-config", "-y", "--yes"];
/// Options whose values may contain a secret by mistake, so they are not repeated.
const UNSHOWN: [&str; 1] = ["--credential-process"];

/// The profile that the present command works with, also if a word instead of an option names it.
static CHOSEN: Mutex<Option<String>> = Mutex::new(None);

/// Lets every suggested command from now on work with this profile.
pub(super) fn choose_profile(name: &str) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
}

/// The present command with an address in place of a word that may be the name of a profile.
static MEANT: Mutex<Option<Suggestion>> = Mutex::new(None);

/// Suggests this command if it turns out that no profile has the name that the command line gives.
pub(super) fn mean_address(command: Suggestion) {
    *MEANT.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
}

/// Adds the option for the chosen profile, unless it is there.
fn in_profile(mut words: Vec<String>) -> Vec<String> {
    let is_there = words.iter().any(|word| word.split('=').next() == Some(PROFILE));
    let chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(name), false) = (&*chosen, is_there) {
        words.extend([PROFILE.to_owned(), name.clone()]);
    }
    words
}

/// A complete command. It is shown on a line of its own, so a message ends with a line end before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suggestion(Vec<String>);

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.shown())
    }
}

impl Suggestion {
    /// A command that reads or changes the database of the present one.
    pub(super) fn here<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::from_words(
            words.into_iter().map(str::to_owned).chain(in_profile(of_every_command(typed()))),
        )
    }

    /// A command that needs no database.
    pub(super) fn plain<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::from_words(words.into_iter().map(str::to_owned))
    }

    /// The command that continues the unfinished run. The options of the present command that no run keeps are repeated,
    /// and so is its endpoint, which would otherwise have to be confirmed.
    pub(super) fn resume() -> Self {
        Self::from_words(
            std::iter::once("resume".to_owned()).chain(in_profile(for_resuming(typed()))),
        )
    }

    /// The present command, once more.
    pub(super) fn again() -> Self {
        Self::from_words(typed_for_one())
    }

    fn from_words(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Adds words to the command.
    #[must_use]
    pub(super) fn with<'w>(mut self, words: impl IntoIterator<Item = &'w str>) -> Self {
        self.0.extend(words.into_iter().map(str::to_owned));
        self
    }

    /// The command, quoted for a shell, without the space before it.
    pub(super) fn shown(&self) -> String {
        let mut shown = vec!["costag".to_owned()];
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            if UNSHOWN.contains(&name) {
                if name == word {
                    words.next();
                }
                shown.extend([name.to_owned(), "…".to_owned()]);
            } else {
                shown.push(quoted(word));
            }
        }
        shown.join(" ")
    }
}

/// What is left to do, and the command that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Continue the unfinished run.
    Resume,
    /// Look at what failed.
    Failures,
    /// Put the failed images back.
    Retry,
    /// Check the database.
    Verify,
    /// Look at the settings.
    Settings,
    /// The same command, once more.
    Again,
}

impl Then {
    /// The command.
    pub(super) fn command(self) -> Suggestion {
        match self {
            Self::Resume => Suggestion::resume(),
            Self::Failures => Suggestion::here(["status", "--failures"]),
            Self::Retry => Suggestion::here(["retry"]),
            Self::Verify => Suggestion::here(["verify"]),
            // The file may be the reason why the settings cannot be read.
            Self::Settings => Suggestion::plain(["config", "show", "--no-config"]),
            Self::Again => Suggestion::again(),
        }
    }
}

/// What to do about an error, if a command helps: a text that ends with a colon, and the command. `resumes` says whether the
/// present command leaves an unfinished run behind.
pub(super) fn remedy(error: &anyhow::Error, resumes: bool) -> Option<(&'static str, Suggestion)> {
    use store::Error as Store;
    if error.is::<UnknownWord>() {
        let meant = MEANT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        return meant.map(|command| ("if it is meant as an address:", command));
    }
    let again = if resumes { Then::Resume } else { Then::Again };
    let (text, then) = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<config::Error>() {
            let config::Error::UnknownKey { near: None, .. } = error else { return None };
            return Some(("all settings are listed by:", Then::Settings));
        }
        match store_error(cause)? {
            Store::Unsound { .. } => Some(("to see everything that is wrong:", Then::Verify)),
            Store::Disk { .. } => Some(("once there is room:", again)),
            Store::TakenAway { .. } => Some(("once the file is back:", again)),
            Store::Restored { .. } => Some(("once that program is found:", again)),
            Store::Busy { .. } => Some(("once it is closed:", again)),
            _ => None,
        }
    })?;
    Some((text, then.command()))
}

/// The error of the store that this cause is. Errors of a job and of an export show one of the store as their own.
fn store_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e store::Error> {
    let of_job = || match cause.downcast_ref::<job::Error>()? {
        job::Error::Store(error) => Some(error),
        _ => None,
    };
    let of_export = || match cause.downcast_ref::<export::Error>()? {
        export::Error::Store(error) => Some(error),
        _ => None,
    };
    cause.downcast_ref::<store::Error>().or_else(of_job).or_else(of_export)
}

/// The words of the present command line, without the name of the program.
fn typed() -> Vec<String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The options with which a command on a page uses this database, and the configuration and the profile of the present
/// command. The database is left out if the present command uses the default without naming it.
pub(super) fn common(database: &Path) -> Vec<(String, Option<String>)> {
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

/// The words of the present command line. While `run --all` works on a profile, they are those of a run over this profile,
/// because another one must not follow from what this one needs.
fn typed_for_one() -> Vec<String> {
    let chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    let in_place = |word: String| match &*chosen {
        Some(name) if word == "--all" => name.clone(),
        _ => word,
    };
    typed().into_iter().map(in_place).collect()
}

/// How an option is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    No,
    Flag,
    WithValue,
}

/// The words that belong to the options that `repeats` names.
fn pick(words: Vec<String>, repeats: impl Fn(&str) -> Repeat) -> Vec<String> {
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
fn of_every_command(words: Vec<String>) -> Vec<String> {
    pick(words, |name| match name {
        "--db" | FILE | PROFILE => Repeat::WithValue,
        "--no-config" => Repeat::Flag,
        _ => Repeat::No,
    })
}

/// The options that no run keeps.
fn not_kept(words: Vec<String>) -> Vec<String> {
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
fn for_resuming(words: Vec<String>) -> Vec<String> {
    pick(words, |name| match name {
        "-y" | "--yes" | "--log" | "--log-format" | "--progress" => Repeat::No,
        name if TRIAL.contains(&name) => Repeat::No,
        "--endpoint" => Repeat::WithValue,
        name => is_not_kept(name),
    })
}

/// The words of a command line that runs over the same source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again {
    words: Vec<String>,
    what: What,
}

/// What the present command makes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A run, which can be continued.
    Run,
    /// A plan, which leaves nothing to continue.
    Plan,
    /// A demo on this database, which its command line does not name.
    Demo(PathBuf),
}

impl Again {
    /// The command that was typed.
    pub(super) fn typed() -> Self {
        Self::from_words(typed_for_one())
    }

    /// The plan that was typed.
    pub(super) fn planned() -> Self {
        Self { what: What::Plan, ..Self::typed() }
    }

    /// The demo that was typed, which uses this database.
    pub(super) fn demo(database: &Path) -> Self {
        Self { what: What::Demo(database.to_owned()), ..Self::typed() }
    }

    fn from_words(words: Vec<String>) -> Self {
        Self { words, what: What::Run }
    }

    /// Whether the command leaves a run that can be continued.
    pub(super) fn can_be_continued(&self) -> bool {
        self.what == What::Run
    }

    /// What a step that follows the run is done with.
    pub(super) fn then(&self, then: Then) -> Suggestion {
        match (&self.what, then) {
            (What::Run, _) => then.command(),
            (_, Then::Resume | Then::Again) => self.whole(),
            (What::Plan, _) => then.command(),
            (What::Demo(database), _) => then.command().with(["--db", &database.to_string_lossy()]),
        }
    }

    /// The command that begins a run like one that `costag resume` has continued: its source, the options that were typed
    /// for it, and those options of the present command that no run keeps.
    pub(super) fn of(run: &RunSettings, settings: &Settings) -> Self {
        let mut words = over(run);
        words.extend(settings.stored.words());
        words.extend(settings.typed.words());
        words.extend(not_kept(typed()));
        Self::from_words(words)
    }

    /// The command that began this run, as far as the run keeps it.
    pub(super) fn begun(run: &RunSettings) -> Self {
        let mut words = over(run);
        words.extend(run.stored.words());
        words.extend(run.typed.iter().flat_map(Typed::words));
        if let Some(trial) = run.trial {
            for (option, images) in TRIAL.iter().zip([trial.limit, trial.sample]) {
                words.extend(images.iter().flat_map(|n| [(*option).to_owned(), n.to_string()]));
            }
        }
        Self::from_words(words)
    }

    /// The command that begins a run like this one, on the database of the present command. An endpoint that only the
    /// database names is left out unless it is a host of the service or on this machine: a person who pastes the command
    /// would not see that signed requests go elsewhere.
    pub(super) fn like(run: &RunSettings) -> Suggestion {
        let mut run = run.clone();
        run.trial = None;
        let endpoint =
            |name: &str| if name == "--endpoint" { Repeat::WithValue } else { Repeat::No };
        let words = Self::begun(&run).words;
        let given = pick(words.clone(), endpoint);
        let is_known = given.get(1).is_none_or(|endpoint| {
            Endpoint::custom(endpoint).is_ok_and(|endpoint| {
                endpoint.is_loopback()
                    || crate::cos::Bucket::parse(&run.bucket)
                        .is_ok_and(|bucket| endpoint.is_service_of(&bucket))
            })
        });
        let mut kept = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--endpoint" && !is_known {
                words.next();
            } else {
                kept.push(word);
            }
        }
        kept.extend(of_every_command(typed()));
        Suggestion::from_words(kept)
    }

    /// The words of a line, for tests.
    #[cfg(test)]
    pub(super) fn of_words(line: &str) -> Self {
        Self::from_words(line.split(' ').map(str::to_owned).collect())
    }

    /// The command.
    pub(super) fn whole(&self) -> Suggestion {
        Suggestion(self.words.clone())
    }

    /// The run that the plan on this command line shows, whether `plan` or `run --dry-run` was typed. `parser` knows the
    /// options of both and those of every command.
    pub(super) fn planned_run(mut self, parser: &clap::Command) -> Self {
        if let Some(at) = command_at(&self.words, parser) {
            let options = self.words.split_off(at + 1);
            "run".clone_into(&mut self.words[at]);
            self.words.extend(without_dry_run(options, parser));
        }
        self
    }

    /// The command without the options that made it a trial. If a variable or a file makes it a trial, the options that
    /// switch this off are added, and the second value is `true`. `settings` are those of the trial.
    pub(super) fn without_trial(&self, settings: &Settings) -> (Suggestion, bool) {
        let given = pick(self.words.clone(), of_trial);
        let mut words = Vec::new();
        let mut rest = self.words.iter();
        while let Some(word) = rest.next() {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            match of_trial(name) {
                Repeat::WithValue if name == word => drop(rest.next()),
                Repeat::WithValue => {}
                _ => words.push(word.clone()),
            }
        }
        let holds = [settings.budget.limit, settings.budget.sample];
        let mut undone = false;
        for (option, holds) in TRIAL.iter().zip(holds) {
            if holds.is_some() && !given.iter().any(|word| word.starts_with(option)) {
                words.extend([(*option).to_owned(), "0".to_owned()]);
                undone = true;
            }
        }
        (Suggestion(words), undone)
    }
}

/// The place of the command among these words: options of every command may come before it.
fn command_at(words: &[String], parser: &clap::Command) -> Option<usize> {
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
fn without_dry_run(words: Vec<String>, parser: &clap::Command) -> Vec<String> {
    let has_value = |short: char| {
        parser
            .get_arguments()
            .any(|option| option.get_short() == Some(short) && option.get_action().takes_values())
    };
    let without = |word: String| {
        let shorts = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let Some(shorts) = shorts else { return (word != "--dry-run").then_some(word) };
        // What follows an option with a value is its value.
        let flags = shorts.find(has_value).unwrap_or(shorts.len());
        let (flags, rest) = shorts.split_at(flags);
        let left = flags.replace('n', "") + rest;
        (!left.is_empty() || shorts.is_empty()).then(|| format!("-{left}"))
    };
    words.into_iter().filter_map(without).collect()
}

fn of_trial(name: &str) -> Repeat {
    if TRIAL.contains(&name) { Repeat::WithValue } else { Repeat::No }
}

/// The beginning of a command over the same source.
fn over(run: &RunSettings) -> Vec<String> {
    let address = match run.source.prefix() {
        "" => format!("cos://{}", run.bucket),
        prefix => format!("cos://{}/{prefix}", run.bucket),
    };
    let mut words = vec!["run".to_owned(), address];
    let (option, list) = match &run.source {
        Source::Bucket { .. } => ("", None),
        Source::Keys(list) if list.inventory => ("--inventory", Some(list)),
        Source::Keys(list) => ("--keys", Some(list)),
        Source::Urls(list) => ("--urls", Some(list)),
    };
    if let Some(list) = list {
        let file = list.file.as_ref().map_or("-".into(), |file| file.to_string_lossy());
        words.extend([option.to_owned(), file.into_owned()]);
        words.extend(list.nul.then(|| "-0".to_owned()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Stored;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_command_is_quoted_for_a_shell_and_hides_the_credential_process() {
        let mut settings = Settings::default();
        let line = ["run", "cos://a-1/it's", "--limit=3", "--include", "*.jpg", "--sample", "4"];
        let line = Again::from_words(line.map(str::to_owned).to_vec());
        settings.budget.limit = Some(3);
        settings.budget.sample = Some(4);
        let (command, undone) = line.without_trial(&settings);
        assert_eq!(command.to_string(), r"  costag run 'cos://a-1/it'\''s' --include '*.jpg'");
        assert!(!undone);
        let line = Again::from_words(words(
            "run cos://a-1 --credential-process KEY=x --limit 3 --sample=9",
        ));
        let command = line.without_trial(&settings).0;
        assert_eq!(command.shown(), "costag run cos://a-1 --credential-process …");
        settings.budget.sample = None;
        let (command, undone) = Again::from_words(words("run cos://a-1")).without_trial(&settings);
        assert_eq!((command.shown().as_str(), undone), ("costag run cos://a-1 --limit 0", true));
    }

    #[test]
    fn the_run_of_a_plan_has_the_name_and_no_dry_run() {
        let parser = crate::cli::commands::plan::parser();
        for (typed, run) in [
            ("plan cos://a-1 --qps 5", "run cos://a-1 --qps 5"),
            ("run plan -n", "run plan"),
            ("--db plan -q plan plan", "--db plan -q run plan"),
            ("--db=run run a -nq --dry-run", "--db=run run a -q"),
            ("run a -nynr n -wn", "run a -yr n -wn"),
            ("run a -rcn-north --keys -", "run a -rcn-north --keys -"),
        ] {
            assert_eq!(
                Again::from_words(words(typed)).planned_run(&parser).words,
                words(run),
                "{typed}"
            );
        }
    }

    #[test]
    fn the_command_of_a_resumed_run_has_its_source_and_filters() {
        let run = RunSettings {
            bucket: "a-1".to_owned(),
            source: Source::Bucket { prefix: "2026/".to_owned() },
            stored: Stored::default(),
            typed: None,
            trial: None,
        };
        let mut settings = Settings::default();
        settings.stored.filter.max_size = Some(9);
        settings.stored.filter.archive = true;
        settings.stored.dedupe = false;
        settings.stored.filter.include = vec!["-a/*".to_owned()];
        let line = Again::of(&run, &settings).words.join(" ");
        let expected = "run cos://a-1/2026/ --include=-a/* --max-size 9 --archive --no-dedupe";
        assert!(line.starts_with(expected), "{line}");
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

    #[test]
    fn a_strange_endpoint_of_the_database_is_not_suggested() {
        let run = |endpoint: &str| {
            let json = serde_json::json!({
                "bucket": "a-1250000000",
                "source": { "kind": "bucket", "prefix": "" },
                "typed": { "endpoint": endpoint, "qps": "5" },
            });
            let mut run = RunSettings {
                bucket: "a-1250000000".to_owned(),
                source: Source::Bucket { prefix: String::new() },
                stored: Stored::default(),
                typed: None,
                trial: None,
            };
            run.typed = serde_json::from_value(json["typed"].clone()).unwrap();
            Again::like(&run).shown()
        };
        assert!(run("http://127.0.0.1:9000").contains("--endpoint http://127.0.0.1:9000 --qps 5"));
        assert!(run("https://evil.example").contains(" --qps 5"));
        assert!(!run("https://evil.example").contains("evil"));
    }
}
