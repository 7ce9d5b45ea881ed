//! Shows the progress of listing and tagging during a run: as a block on a terminal, as lines elsewhere.

mod block;
mod facts;
mod form;
mod layout;
mod line;
mod watch;

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use super::signals::Continued;
use super::terminal;
use crate::config::{Budget, Logging, ProgressForm, Rate};
use crate::job::{Job, Stats};
use crate::store::model::Counts;
use crate::telemetry::screen;
use facts::Facts;
use form::form;
pub(super) use watch::watch;

/// How often the block is drawn.
const FRAME: Duration = Duration::from_millis(250);
/// How often it is checked whether a line must be written, and how often JSON is.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the numbers of a run and shows them on stderr.
pub(super) struct Progress {
    stats: Arc<Stats>,
    form: ProgressForm,
    /// How often a line is written; `None` means never.
    every: Option<Duration>,
    cap: Rate,
    budget: Budget,
    window: Option<String>,
    before: Counts,
    /// Whether a question is on the terminal; if so, nothing else is written.
    asking: Cell<bool>,
}

impl Progress {
    /// Shows the numbers of this job in the form that the settings ask for.
    pub(super) fn start(job: &Job) -> Self {
        let stats = job.stats();
        let settings = job.settings();
        let form = form(&settings.logging);
        let every = match form {
            ProgressForm::Json => Some(LOOK),
            _ => settings.watching.progress_interval,
        };
        Self {
            before: stats.snapshot().counts,
            stats,
            form,
            every,
            cap: settings.pace.qps,
            budget: settings.budget.clone(),
            window: job.window(),
            asking: Cell::new(false),
        }
    }

    /// Shows the numbers until it is dropped.
    pub(super) async fn watch(&self) -> Infallible {
        if self.form == ProgressForm::None {
            return std::future::pending().await;
        }
        let draws = self.form == ProgressForm::Bar;
        let mut ticks = tokio::time::interval(if draws { FRAME } else { LOOK });
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut continued = draws.then(Continued::watch);
        let mut last_line = Instant::now();
        let mut was_waiting = false;
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = next(&mut continued) => screen::forget(),
            }
            if self.asking.get() {
                continue;
            }
            let facts = self.facts();
            if draws {
                let lines = block::lines(&facts);
                screen::show(move |columns| lines.iter().map(|line| line.fit(columns)).collect());
                continue;
            }
            // A wait is reported at once when it begins, and later with the other numbers.
            let is_waiting = facts.now.waits.is_some();
            let is_new = is_waiting && !was_waiting;
            was_waiting = is_waiting;
            if is_new || self.every.is_some_and(|every| last_line.elapsed() >= every) {
                last_line = Instant::now();
                if self.form == ProgressForm::Json {
                    screen::line(&line::json(&facts));
                } else {
                    say!("{}", line::plain(&facts));
                }
            }
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            now: self.stats.snapshot(),
            before: self.before.clone(),
            cap: self.cap,
            budget: self.budget.clone(),
            window: self.window.clone(),
        }
    }

    /// Asks a question instead of showing numbers. Returns whether the answer was yes.
    pub(super) async fn ask(&self, question: String) -> bool {
        self.asking.set(true);
        let (sender, answer) = oneshot::channel();
        // The question is read in a separate thread that nothing waits for, since the run may end before it is answered.
        let asked = std::thread::Builder::new().name("question".to_owned()).spawn(move || {
            let _ = sender.send(terminal::confirm(&question).unwrap_or(false));
        });
        let yes = asked.is_ok() && answer.await.unwrap_or(false);
        self.asking.set(false);
        yes
    }

    /// Removes the block and an open question, before the summary is printed.
    pub(super) fn end(self) {
        if self.asking.get() {
            screen::answered(false);
        }
        screen::clear();
    }
}

/// A bar for work that is done in one piece and writes no lines meanwhile. It is not shown where a run would show no
/// block.
pub(super) fn bar(logging: &Logging, name: &'static str) -> ProgressBar {
    if form(logging) != ProgressForm::Bar {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0).with_prefix(name);
    match ProgressStyle::with_template("{prefix} {bar:30} {percent} % {eta}") {
        Ok(style) => bar.with_style(style.progress_chars("━╸─")),
        Err(_) => bar,
    }
}

async fn next(continued: &mut Option<Continued>) {
    match continued {
        Some(continued) => continued.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::config::Settings;
    use crate::job::{Left, Snapshot, Wait};

    fn facts(now: Snapshot, per_second: Option<f64>) -> Facts {
        let left = per_second.map(|_| Left { least: 5.0, most: None });
        Facts {
            now: Snapshot { per_second, left, ..now },
            before: Counts::default(),
            cap: Rate::Unlimited,
            budget: Settings::default().budget,
            window: None,
        }
    }

    #[test]
    fn a_line_shows_listing_tagging_rate_and_remaining_time() {
        let counts = Counts {
            listed: 30,
            wanted: 20,
            queued: 18,
            done: 7,
            failed: 1,
            throttled: 3,
            ..Counts::default()
        };
        let now = Snapshot { counts, in_flight: 4, ..Snapshot::default() };
        assert_eq!(
            line::plain(&facts(now, Some(2.0))),
            "listing: 30 objects, 20 wanted; tagged 7 of 18, 4 in flight, 2.0/s, 3 throttled, 1 failed, \
             at least 5 s left"
        );
        let first = line::plain(&facts(Snapshot::default(), None));
        assert_eq!(first, "listing: 0 objects, 0 wanted; tagged 0 of 0, 0 in flight");
    }

    #[test]
    fn a_wait_is_shown_with_its_times() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let wait = Wait {
            what: "the service cannot be reached".to_owned(),
            since: at(0),
            until: at(30),
            gives_up: Some(at(900)),
        };
        let now = Snapshot { waits: Some(wait), ..Snapshot::default() };
        let told = line::plain(&facts(now.clone(), None));
        for part in [
            "waiting: the service cannot be reached, since ",
            "; next try at ",
            ":30",
            "gives up at ",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let json: serde_json::Value = serde_json::from_str(&line::json(&facts(now, None))).unwrap();
        assert_eq!(json["waits"]["until"], "1970-01-01T00:00:30Z");
    }
}
