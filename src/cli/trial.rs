//! The text at the end of a trial: what the whole job would need, and the command that labels the rest.

use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use super::price::{Price, amount};
use crate::config::definitions::{self, Kind};
use crate::config::{Rate, Settings, Typed, option};
use crate::job::{Report, RunSettings, Source, Trial};
use crate::numbers::{duration, grouped, rate};
use crate::shell::quoted;
use crate::store::read::Needed;
use crate::visible::visible;

/// The options that make a run a trial.
const OPTIONS: [&str; 2] = ["--limit", "--sample"];

/// Options whose values may contain a secret by mistake, so they are not repeated.
const UNSHOWN: [&str; 1] = ["--credential-process"];

/// The words of a command line that runs over the same source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again(Vec<String>);

impl Again {
    /// The command that was typed.
    pub(super) fn typed() -> Self {
        Self::from_words(env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
    }

    fn from_words(words: impl IntoIterator<Item = String>) -> Self {
        Self(std::iter::once("costag".to_owned()).chain(words).collect())
    }

    /// The command that begins a run like one that `costag resume` has continued: its source, the options that were typed for
    /// it, and those options of the present command that no run keeps.
    pub(super) fn of(run: &RunSettings, settings: &Settings) -> Self {
        let mut words = over(run);
        words.extend(settings.stored.words());
        words.extend(settings.typed.words());
        words.extend(not_kept(Self::typed().0));
        Self::from_words(words)
    }

    /// The command that began this run, as far as the run keeps it.
    pub(super) fn begun(run: &RunSettings) -> Self {
        let mut words = over(run);
        words.extend(run.stored.words());
        words.extend(run.typed.iter().flat_map(Typed::words));
        if let Some(trial) = run.trial {
            for (option, images) in OPTIONS.iter().zip([trial.limit, trial.sample]) {
                words.extend(images.iter().flat_map(|n| [(*option).to_owned(), n.to_string()]));
            }
        }
        Self::from_words(words)
    }

    /// The command, quoted for a shell.
    pub(super) fn shown(&self) -> String {
        self.0.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// The command without the options that made it a trial, quoted for a shell. If a variable or a file makes it a trial, the
    /// options that switch this off are added, and the second value is `true`. `settings` are those of the trial.
    fn without_trial(&self, settings: &Settings) -> (String, bool) {
        let mut words = Vec::new();
        let mut given: Vec<&str> = Vec::new();
        let mut rest = self.0.iter();
        while let Some(word) = rest.next() {
            let (name, value) = word
                .split_once('=')
                .map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let has_value = |rest: &mut std::slice::Iter<'_, String>| {
                if value.is_none() {
                    rest.next();
                }
            };
            if let Some(option) = OPTIONS.iter().find(|option| **option == name) {
                given.push(option);
                has_value(&mut rest);
            } else if UNSHOWN.contains(&name) {
                has_value(&mut rest);
                words.extend([name.to_owned(), "…".to_owned()]);
            } else {
                words.push(quoted(word));
            }
        }
        let holds = [settings.budget.limit, settings.budget.sample];
        let mut undone = false;
        for (option, holds) in OPTIONS.iter().zip(holds) {
            if holds.is_some() && !given.contains(option) {
                words.extend([(*option).to_owned(), "0".to_owned()]);
                undone = true;
            }
        }
        (words.join(" "), undone)
    }
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

/// Options of commands, besides settings, that no run keeps: one with a value, and others without.
const FILE: &str = "--config";
const FLAGS: [&str; 3] = ["--no-config", "-y", "--yes"];

/// The words that belong to options which no run keeps.
fn not_kept(words: Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let setting = definitions::all()
            .filter(|setting| setting.is_forgotten())
            .find(|setting| option(setting.name) == name);
        let is_flag = setting.is_some_and(|setting| matches!(setting.kind, Kind::Flag { .. }));
        if (setting.is_some() && !is_flag) || name == FILE {
            let needs_value = value.is_none();
            found.push(word);
            if needs_value {
                found.extend(words.next());
            }
        } else if is_flag || FLAGS.contains(&name) {
            found.push(word);
        }
    }
    found
}

/// The text once all images of a trial are settled. `needed` are the calls that are known to remain.
pub(super) fn text(
    trial: Trial,
    report: &Report,
    needed: &Needed,
    settings: &Settings,
    again: &Again,
) -> String {
    let counts = &report.snapshot.counts;
    let failed = counts.failed - if trial.from > 0 { report.before.failed } else { 0 };
    let settled = trial.settled(counts);
    let asked = trial.images();
    let tagged = grouped(settled.saturating_sub(failed));
    let mut text = match failed {
        // A smaller number was given to a run that had come further already.
        _ if settled > asked => {
            let failed =
                if failed > 0 { format!(" and {} failed", grouped(failed)) } else { String::new() };
            format!("{tagged} tagged{failed} already, and {} were asked for; ", grouped(asked))
        }
        0 => format!("{tagged} tagged as asked; "),
        _ => format!(
            "{tagged} tagged and {} failed, {} as asked; ",
            grouped(failed),
            grouped(settled)
        ),
    };
    let (calls, scenes) = (needed.calls(), needed.scenes());
    let least = if report.snapshot.listed { "" } else { "at least " };
    let verb = if calls == 1 { "is" } else { "are" };
    let _ = write!(text, "{least}{} more {verb} wanted", grouped(calls));
    if calls > 0 {
        let cost = match Price::of(&settings.budget).cost(calls, scenes) {
            Some(cost) => format!("about {} {}", amount(cost), visible(&settings.budget.currency)),
            None => "cost unknown (price_per_1000_calls is not set)".to_owned(),
        };
        let _ = write!(text, ": {cost}");
        let made = counts.calls.saturating_sub(report.before.calls);
        if let Some(pace) = pace(settings, made, report.snapshot.calling) {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let seconds = calls as f64 / pace;
            let _ = write!(text, ", {} at {}/s", duration(seconds), rate(pace));
        }
    }
    let (command, undone) = again.without_trial(settings);
    let without = match (undone, trial.limit, trial.sample) {
        (true, _, _) => "",
        (false, Some(_), Some(_)) => " without --limit and --sample",
        (false, Some(_), None) => " without --limit",
        (false, None, _) => " without --sample",
    };
    let _ = write!(text, "\n`{command}`{without} labels the rest");
    text
}

/// The expected calls a second: the configured rate, or else the rate of these calls in this time. `None` if there are too
/// few calls.
pub(super) fn pace(settings: &Settings, calls: u64, calling: Duration) -> Option<f64> {
    if let Rate::PerSecond(rate) = settings.pace.qps {
        return Some(rate);
    }
    let seconds = calling.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let pace = calls as f64 / seconds;
    // A few calls say nothing about the rate: most of them were the first burst.
    (calls >= 20 && seconds > 0.0).then_some(pace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Stored;
    use crate::job::{End, Snapshot};
    use crate::scene::Scenes;
    use crate::store::model::Counts;

    fn again(line: &str) -> Again {
        Again::from_words(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_rest_of_a_trial_is_told_with_its_cost_and_its_time() {
        let trial = Trial { limit: Some(20), ..Trial::default() };
        let counts = Counts { done: 20, calls: 20, ..Counts::default() };
        let mut report = Report {
            run_id: 1,
            end: End::Trial(trial),
            snapshot: Snapshot { counts, listed: true, ..Snapshot::default() },
            before: Counts::default(),
            resumed: false,
            needed: None,
            list: None,
            limits: Vec::new(),
            unmatched: Vec::new(),
            beside: Vec::new(),
        };
        let needed = Needed {
            by_scenes: vec![(Scenes::from_bits(2), 11_980)],
            given_up: 0,
            ..Needed::default()
        };
        let mut settings = Settings::default();
        settings.budget.price_per_1000_calls = Some(1.5);
        settings.budget.limit = Some(20);
        settings.pace.qps = Rate::PerSecond(1.0);
        let line = again("run cos://a-1 --limit 20");
        assert_eq!(
            text(trial, &report, &needed, &settings, &line),
            "20 tagged as asked; 11,980 more are wanted: about 17.97 CNY, 3 h 20 min at 1/s\n\
             `costag run cos://a-1` without --limit labels the rest"
        );
        report.snapshot.listed = false;
        report.snapshot.counts.failed = 3;
        report.snapshot.counts.done = 17;
        settings.budget.price_per_1000_calls = None;
        settings.pace.qps = Rate::Auto;
        let told = text(trial, &report, &needed, &settings, &again("run cos://a-1"));
        assert_eq!(
            told,
            "17 tagged and 3 failed, 20 as asked; at least 11,980 more are wanted: cost unknown \
             (price_per_1000_calls is not set)\n`costag run cos://a-1 --limit 0` labels the rest"
        );
    }

    #[test]
    fn a_command_is_quoted_for_a_shell_and_hides_the_credential_process() {
        let mut settings = Settings::default();
        let words = ["run", "cos://a-1/it's", "--limit=3", "--include", "*.jpg", "--sample", "4"];
        let line = Again::from_words(words.map(str::to_owned));
        settings.budget.limit = Some(3);
        settings.budget.sample = Some(4);
        assert_eq!(
            line.without_trial(&settings),
            (r"costag run 'cos://a-1/it'\''s' --include '*.jpg'".to_owned(), false)
        );
        let line = again("run cos://a-1 --credential-process KEY=x --limit 3 --sample=9");
        assert_eq!(line.without_trial(&settings).0, "costag run cos://a-1 --credential-process …");
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
        let line = Again::of(&run, &settings).0.join(" ");
        let expected = "costag run cos://a-1/2026/ --max-size 9 --archive --no-dedupe";
        assert!(line.starts_with(expected), "{line}");
        let words =
            ["costag", "resume", "--db=x.db", "--qps", "5", "--limit", "3", "-y", "-w", "2"];
        assert_eq!(
            not_kept(words.map(str::to_owned).to_vec()),
            ["--db=x.db", "--limit", "3", "-y"]
        );
    }
}
