//! The text at the end of a trial: what the whole job would need, and the command that labels the rest.

use std::fmt::Write as _;
use std::time::Duration;

use super::price::Price;
use super::suggest::Again;
use crate::config::{Rate, Settings};
use crate::job::{Report, Trial};
use crate::numbers::{duration, grouped, money, rate};
use crate::store::read::Needed;
use crate::visible::visible;

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
            Some(cost) => format!("about {} {}", money(cost), visible(&settings.budget.currency)),
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
        (false, Some(_), Some(_)) => ", without --limit and --sample",
        (false, Some(_), None) => ", without --limit",
        (false, None, _) => ", without --sample",
    };
    let _ = write!(text, "\nto label the rest{without}:\n{command}");
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
    use crate::job::{End, Snapshot};
    use crate::scene::Scenes;
    use crate::store::model::Counts;

    fn again(line: &str) -> Again {
        Again::of_words(line)
    }

    #[test]
    fn the_rest_of_a_trial_is_told_with_its_cost_and_its_time() {
        let trial = Trial { limit: Some(20), ..Trial::default() };
        let counts = Counts { done: 20, calls: 20, ..Counts::default() };
        let snapshot = Snapshot { counts, listed: true, ..Snapshot::default() };
        let mut report = Report::of(1, End::Trial(trial), snapshot);
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
             to label the rest, without --limit:\n  costag run cos://a-1"
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
             (price_per_1000_calls is not set)\nto label the rest:\n  costag run cos://a-1 --limit 0"
        );
    }

    #[test]
    fn the_documentation_shows_what_is_printed() {
        let trial = Trial { limit: Some(20), ..Trial::default() };
        let counts = Counts { done: 20, calls: 20, ..Counts::default() };
        let snapshot = Snapshot { counts, listed: true, ..Snapshot::default() };
        let report = Report::of(1, End::Trial(trial), snapshot);
        let by_scenes = vec![(Scenes::from_bits(2), 11_980)];
        let needed = Needed { by_scenes, given_up: 0, ..Needed::default() };
        let mut settings = Settings::default();
        settings.budget.price_per_1000_calls = Some(1.5);
        settings.budget.limit = Some(20);
        let first =
            "run cos://photos-1250000000 --region ap-guangzhou --scenes camera --qps 10 --limit 20";
        let slow = "run cos://photos-1250000000 --region ap-guangzhou --qps 1 --limit 20";
        for (page, line, pace) in [
            (include_str!("../../README.md"), first, 10.0),
            (include_str!("../../README.zh-CN.md"), first, 10.0),
            (include_str!("../../docs/running.md"), slow, 1.0),
        ] {
            settings.pace.qps = Rate::PerSecond(pace);
            let shown = text(trial, &report, &needed, &settings, &again(line));
            assert!(page.contains(&format!("```text\n{shown}\n```")), "{shown}");
        }
    }
}
