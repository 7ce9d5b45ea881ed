//! Shows the progress of listing and tagging during a run: as bars on a terminal, as lines elsewhere.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::terminal;
use crate::job::{Snapshot, Stats, Wait};
use crate::numbers::duration;
use crate::visible::visible;

/// How often the bars are drawn.
const FRAME: Duration = Duration::from_millis(200);
/// How often it is checked whether a line must be written.
const LOOK: Duration = Duration::from_secs(1);
/// The span over which the rate and the remaining time are computed.
const WINDOW: Duration = Duration::from_secs(10);

/// Reads the numbers of a run and shows them on stderr.
pub(super) struct Progress {
    stats: Arc<Stats>,
    bars: Option<Bars>,
    /// How often a line is written; `None` means never.
    every: Option<Duration>,
    /// Whether a question is on the terminal; if so, nothing else is written.
    asking: Cell<bool>,
}

struct Bars {
    all: MultiProgress,
    listing: ProgressBar,
    tagging: ProgressBar,
}

impl Progress {
    /// Shows bars if stderr is a terminal, and otherwise a line `every` so often.
    pub(super) fn start(stats: Arc<Stats>, every: Option<Duration>) -> Self {
        let bars = (stderr().is_terminal() && !terminal::writes_json()).then(|| {
            let all = MultiProgress::new();
            let style = |template: &str| {
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸─")
            };
            let listing = all.add(ProgressBar::new_spinner());
            listing.set_style(style("{spinner} listing  {msg}"));
            let tagging = all.add(ProgressBar::new(0));
            tagging.set_style(style("  tagging  {bar:30} {pos}/{len}  {msg}"));
            Bars { all, listing, tagging }
        });
        Self { stats, bars, every, asking: Cell::new(false) }
    }

    /// Shows the numbers until it is dropped.
    pub(super) async fn watch(&self) -> Infallible {
        let mut rate = Recent::default();
        let mut ticks = tokio::time::interval(if self.bars.is_some() { FRAME } else { LOOK });
        let mut last_line = Instant::now();
        let mut was_waiting = false;
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.asking.get() {
                continue;
            }
            let now = self.stats.snapshot();
            let per_second = rate.add(&now);
            if let Some(bars) = &self.bars {
                bars.show(&now, per_second);
                continue;
            }
            // A wait is reported at once when it begins, and later with the other numbers.
            let is_new = now.waits.is_some() && !was_waiting;
            was_waiting = now.waits.is_some();
            if is_new || self.every.is_some_and(|every| last_line.elapsed() >= every) {
                last_line = Instant::now();
                say!("{}", line(&now, per_second));
            }
        }
    }

    /// Asks a question instead of showing numbers. Returns whether the answer was yes.
    pub(super) async fn ask(&self, question: String) -> bool {
        self.asking.set(true);
        if let Some(bars) = &self.bars {
            let _ = bars.all.clear();
        }
        let (sender, answer) = oneshot::channel();
        // The question is read in a separate thread that nothing waits for, since the run may end before it is answered.
        let asked = std::thread::Builder::new().name("question".to_owned()).spawn(move || {
            let _ = sender.send(terminal::confirm(&question).unwrap_or(false));
        });
        let yes = asked.is_ok() && answer.await.unwrap_or(false);
        self.asking.set(false);
        yes
    }

    /// Removes the bars, before the summary is printed.
    pub(super) fn end(self) {
        if let Some(bars) = self.bars {
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn show(&self, now: &Snapshot, per_second: f64) {
        let counts = &now.counts;
        let settled = counts.done + counts.failed;
        let skipped: u64 = counts.skipped.values().sum();
        let state = if now.listed { ", complete" } else { "" };
        self.listing.set_message(format!(
            "{} objects, {} wanted, {skipped} skipped{state}",
            counts.listed, counts.wanted
        ));
        if now.listed {
            self.listing.finish();
        } else {
            self.listing.tick();
        }
        self.tagging.set_length(settled + now.pending());
        self.tagging.set_position(settled);
        self.tagging.set_message(tagging(now, per_second));
    }
}

/// The message of the tagging bar, which is also the end of a line.
fn tagging(now: &Snapshot, per_second: f64) -> String {
    use std::fmt::Write as _;
    let counts = &now.counts;
    let mut text = format!("{per_second:.1}/s");
    if let Some(pace) = now.pace {
        let _ = write!(text, " (pace now {pace:.1}/s)");
    }
    for (count, what) in
        [(counts.throttled, "throttled"), (counts.retries, "retries"), (counts.failed, "failed")]
    {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(wait) = &now.waits {
        let _ = write!(text, ", waiting: {}", waiting(wait));
    } else if per_second > 0.0 && now.pending() > 0 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = now.pending() as f64 / per_second;
        let more = if now.listed { "" } else { " of what is listed" };
        let _ = write!(text, ", {} left{more}", duration(seconds));
    }
    text
}

/// What the run waits for, since when and until when, in local time.
fn waiting(wait: &Wait) -> String {
    let clock = |at: Timestamp| at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
    let (what, since, until) = (visible(&wait.what), clock(wait.since), clock(wait.until));
    match wait.gives_up {
        Some(end) => {
            format!("{what}, since {since}; next try at {until}, gives up at {}", clock(end))
        }
        None => format!("{what}, since {since} until {until}"),
    }
}

fn line(now: &Snapshot, per_second: f64) -> String {
    let counts = &now.counts;
    let listed = if now.listed { "all listed" } else { "listing" };
    format!(
        "{listed}: {} objects, {} wanted; tagged {} of {}, {} in flight, {}",
        counts.listed,
        counts.wanted,
        counts.done,
        counts.done + counts.failed + now.pending(),
        now.in_flight,
        tagging(now, per_second)
    )
}

/// Computes the calls a second over the last seconds.
#[derive(Default)]
struct Recent {
    points: std::collections::VecDeque<(Duration, u64)>,
}

impl Recent {
    fn add(&mut self, now: &Snapshot) -> f64 {
        self.points.push_back((now.elapsed, now.counts.calls));
        while self.points.len() > 2 && now.elapsed.saturating_sub(self.points[1].0) >= WINDOW {
            self.points.pop_front();
        }
        let (since, calls) = self.points[0];
        let elapsed = now.elapsed.saturating_sub(since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let made = now.counts.calls.saturating_sub(calls) as f64;
        if elapsed > 0.0 { made / elapsed } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::Counts;

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
            line(&now, 2.0),
            "listing: 30 objects, 20 wanted; tagged 7 of 18, 4 in flight, 2.0/s, 3 throttled, 1 failed, \
             5 s left of what is listed"
        );
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
        let told = tagging(&now, 0.0);
        for part in [
            "waiting: the service cannot be reached, since ",
            "; next try at ",
            ":30",
            "gives up at ",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
