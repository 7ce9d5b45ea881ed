//! Commands that begin the present run again, or another one over the same source.

use std::path::{Path, PathBuf};

use super::command::{Suggestion, Then};
use super::words::{
    Repeat, TRIAL, command_at, not_kept, of_every_command, of_trial, pick, typed, typed_for_one,
    without_dry_run,
};
use crate::config::{Settings, Typed};
use crate::cos::Endpoint;
use crate::job::{RunSettings, Source};

/// A command line that works on the same source as the present command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Again {
    words: Vec<String>,
    what: What,
}

/// What the command is. This decides which commands can follow it.
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
    pub(in crate::cli) fn typed() -> Self {
        Self::from_words(typed_for_one())
    }

    /// The plan that was typed.
    pub(in crate::cli) fn planned() -> Self {
        Self { what: What::Plan, ..Self::typed() }
    }

    /// The demo that was typed, which uses this database.
    pub(in crate::cli) fn demo(database: &Path) -> Self {
        Self { what: What::Demo(database.to_owned()), ..Self::typed() }
    }

    fn from_words(words: Vec<String>) -> Self {
        Self { words, what: What::Run }
    }

    /// Whether the command leaves a run that can be continued.
    pub(in crate::cli) fn can_be_continued(&self) -> bool {
        self.what == What::Run
    }

    /// The command that does a step after the run. A plan or a demo is not continued but begun again.
    pub(in crate::cli) fn then(&self, then: Then) -> Suggestion {
        match (&self.what, then) {
            (What::Run, _) => then.command(),
            (_, Then::Resume | Then::ResumeAnother | Then::Again) => self.whole(),
            (What::Plan, _) => then.command(),
            (What::Demo(database), _) => then.command().with(["--db", &database.to_string_lossy()]),
        }
    }

    /// The command that begins a run like one that `costag resume` has continued: its source, the options that were typed
    /// for it, and those options of the present command that no run keeps.
    pub(in crate::cli) fn of(run: &RunSettings, settings: &Settings) -> Self {
        let mut words = over(run);
        words.extend(settings.stored.words());
        words.extend(settings.typed.words());
        words.extend(not_kept(typed()));
        Self::from_words(words)
    }

    /// The command that began this run, with those of its options that the run keeps.
    pub(in crate::cli) fn begun(run: &RunSettings) -> Self {
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
    pub(in crate::cli) fn like(run: &RunSettings) -> Suggestion {
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
    pub(in crate::cli) fn of_words(line: &str) -> Self {
        Self::from_words(line.split(' ').map(str::to_owned).collect())
    }

    /// The whole command line.
    pub(in crate::cli) fn whole(&self) -> Suggestion {
        Suggestion::from_words(self.words.clone())
    }

    /// The run that the plan on this command line shows, whether `plan` or `run --dry-run` was typed. `parser` knows the
    /// options of both and those of every command.
    pub(in crate::cli) fn planned_run(mut self, parser: &clap::Command) -> Self {
        if let Some(at) = command_at(&self.words, parser) {
            let options = self.words.split_off(at + 1);
            "run".clone_into(&mut self.words[at]);
            self.words.extend(without_dry_run(options, parser));
        }
        self
    }

    /// The command without the options that made it a trial. If a variable or a file makes it a trial, the options that
    /// switch this off are added, and the second value is `true`. `settings` are those of the trial.
    pub(in crate::cli) fn without_trial(&self, settings: &Settings) -> (Suggestion, bool) {
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
        (Suggestion::from_words(words), undone)
    }
}

/// The words `run`, the address, and the options of the list with which a command works on the source of this run.
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
        words.extend(list.trusted.then(|| "--trust-inventory".to_owned()));
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
