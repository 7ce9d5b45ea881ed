//! Shows a run that works in another process, from what that process leaves in the database.

use std::thread;
use std::time::{Duration, Instant};

use super::facts::Facts;
use super::form::form;
use super::{block, line};
use crate::config::{ProgressForm, Rate, Settings};
use crate::job::{Left, Snapshot, Wait};
use crate::store::live::{Live, LiveWait};
use crate::store::model::Counts;
use crate::store::{Error, Reader};
use crate::telemetry::screen;
use crate::time::UnixMillis;

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shows the run at work until it ends. Returns `false` if no run is at work.
///
/// # Errors
/// Any error of a read.
pub(in crate::cli) fn watch(reader: &Reader, settings: &Settings) -> Result<bool, Error> {
    let form = form(&settings.logging);
    let every = settings.watching.progress_interval.unwrap_or(LOOK);
    let mut last_line: Option<Instant> = None;
    let mut was_at_work = false;
    while reader.is_running() {
        was_at_work = true;
        let counts = reader.last_run()?.map(|run| run.counts).unwrap_or_default();
        let facts = facts(reader.live()?, counts, settings);
        match form {
            ProgressForm::Bar => {
                let lines = block::lines(&facts);
                screen::show(move |columns| lines.iter().map(|line| line.fit(columns)).collect());
            }
            ProgressForm::Json => screen::line(&line::json(&facts)),
            _ if last_line.is_none_or(|last| last.elapsed() >= every) => {
                last_line = Some(Instant::now());
                say!("{}", line::plain(&facts));
            }
            _ => {}
        }
        thread::sleep(LOOK);
    }
    screen::clear();
    Ok(was_at_work)
}

fn facts(live: Option<Live>, counts: Counts, settings: &Settings) -> Facts {
    let live = live.unwrap_or_default();
    let left = live.left(UnixMillis::now()).map(|(least, most)| Left { least, most });
    Facts {
        now: Snapshot {
            counts,
            in_flight: usize::try_from(live.in_flight).unwrap_or_default(),
            listed: live.listed,
            pace: live.pace,
            waits: live.waits.and_then(wait),
            per_second: live.per_second,
            left,
            ..Snapshot::default()
        },
        before: Counts::default(),
        cap: live.cap.map_or(Rate::Auto, Rate::PerSecond),
        budget: settings.budget.clone(),
        window: live.window,
    }
}

/// The wait as progress shows it. `None` if its times do not exist, because another program has written them.
fn wait(wait: LiveWait) -> Option<Wait> {
    Some(Wait {
        what: wait.what,
        since: wait.since.timestamp()?,
        until: wait.until.timestamp()?,
        gives_up: wait.gives_up.and_then(UnixMillis::timestamp),
    })
}
