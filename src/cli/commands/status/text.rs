//! Runs and failures as text. Values of any length, such as a source or a request id, stand on lines of their own, so that
//! nothing has to be broken on a narrow terminal, and can be copied whole.

use std::fmt::Write as _;

use super::model::{RunStatus, Status};
use crate::cli::table::Table;
use crate::numbers::{counted, duration, grouped, money};
use crate::store::read::{ContentCounts, DatabaseSize, Failure};
use crate::visible::visible;

/// The status: runs, the newest first, then the whole database, and what to do next.
pub(super) fn status(status: &Status) -> String {
    let mut text = String::new();
    for run in &status.runs {
        self::run(run, &status.currency, &mut text);
        text.push('\n');
    }
    let ContentCounts { pending, in_flight, done, failed } = status.contents;
    let told: Vec<String> =
        [(done, "tagged"), (pending, "waiting"), (in_flight, "in flight"), (failed, "failed")]
            .into_iter()
            .filter(|(count, what)| *count > 0 || *what == "tagged")
            .map(|(count, what)| format!("{} {what}", grouped(count)))
            .collect();
    let _ = writeln!(text, "images    {}", told.join(", "));
    let mebibytes = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    if let Some(DatabaseSize { database, wal, .. }) = status.size {
        let _ = writeln!(text, "size      {}, log {}", mebibytes(database), mebibytes(wal));
    }
    let _ = writeln!(text, "database  {}", visible(&status.database));
    if !status.failure_codes.is_empty() {
        let mut table = Table::new(&["failed", "code", "status", "next run"]);
        for code in &status.failure_codes {
            table.row([
                code.contents.to_string(),
                code.code.clone().unwrap_or_else(|| "(no answer)".to_owned()),
                code.http_status.map(|status| status.to_string()).unwrap_or_default(),
                if code.temporary { "tries again" } else { "leaves it" }.to_owned(),
            ]);
        }
        table.numbers(&[0, 2]);
        let _ = write!(text, "\n{table}");
    }
    let _ = match &status.next_command {
        Some(command) => writeln!(text, "\nnext: {}:\n  {command}", status.next),
        None => writeln!(text, "\nnext: {}", status.next),
    };
    for advice in &status.advice {
        let _ = writeln!(text, "\n{}:\n  {}", advice.what, advice.command);
    }
    text
}

fn run(run: &RunStatus, currency: &str, text: &mut String) {
    let plan = match &run.import {
        Some(_) => " (import)",
        None if run.plan => " (plan)",
        None => "",
    };
    let took = run.seconds.map(took).unwrap_or_default();
    let _ = writeln!(text, "run {}  {}{plan}", run.id, run.state.word());
    let _ = writeln!(text, "  source  {}", visible(&run.source));
    let _ = writeln!(text, "  began   {}{took}", run.started_at);
    let counts = &run.counts;
    let mut told = format!("{} listed, {} tagged", grouped(counts.listed), grouped(counts.done));
    if counts.failed > 0 {
        let _ = write!(told, ", {} failed", grouped(counts.failed));
    }
    if run.import.is_some() {
        told = format!("{} got labels", grouped(counts.done));
    }
    let _ = writeln!(text, "  images  {told}");
    let skipped: Vec<String> = counts
        .skipped
        .iter()
        .map(|(reason, count)| format!("{} {reason}", grouped(*count)))
        .collect();
    if !skipped.is_empty() {
        let _ = writeln!(text, "  skipped {}", visible(&skipped.join(", ")));
    }
    if counts.calls > 0 {
        let calls = counted(counts.calls, "call");
        let _ = match run.cost {
            Some(cost) => {
                writeln!(text, "  cost    about {} {} for {calls}", money(cost), visible(currency))
            }
            None => writeln!(text, "  calls   {}", grouped(counts.calls)),
        };
    }
    if let Some(reason) = &run.stop_reason {
        let _ = writeln!(text, "  ended   {}", visible(reason));
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn took(seconds: i64) -> String {
    format!(", took {}", duration(seconds as f64))
}

/// A failure: the key, and below it what happened.
pub(super) fn failure(failure: &Failure, out: &mut Vec<u8>) {
    let mut text = String::new();
    let _ = writeln!(text, "{}", visible(&failure.key));
    let code = failure.code.as_deref().unwrap_or("no answer");
    let status = failure.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let attempts = u64::try_from(failure.attempts).unwrap_or_default();
    let run = failure.run_id.map(|run| format!(" in run {run}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "  failed   {}{status}, {}{run}",
        visible(code),
        counted(attempts, "attempt")
    );
    for (name, value) in [
        ("message", &failure.message),
        ("request", &failure.request_id),
        ("bucket", &Some(failure.bucket.clone())),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "  {name:<8} {}", visible(value));
        }
    }
    out.extend_from_slice(text.as_bytes());
}
