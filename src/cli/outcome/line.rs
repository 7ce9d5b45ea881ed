//! The dated lines at the start and at the end of a run, which make a log file of many nights readable.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::summary::{Beginning, Summary};
use crate::cli::zone;
use crate::job::absolute;
use crate::numbers::{counted, duration, grouped, money};
use crate::visible::visible;

/// The line at the start.
pub(super) fn start(beginning: &Beginning) -> String {
    let mut text = dated(beginning.at, beginning.command, beginning.profile());
    text.push_str(" begins");
    if let Some(source) = &beginning.source {
        let _ = write!(text, ": {}", visible(source));
    }
    text
}

/// The line at the end. Its numbers are those of this invocation.
pub(super) fn end(summary: &Summary) -> String {
    let mut text = dated(summary.ended_at, summary.command, summary.profile.as_deref());
    text.push_str(" ends: ");
    if let Some(id) = summary.run_id {
        let _ = write!(text, "run {id}, ");
    }
    let _ = write!(
        text,
        "{} tagged, {} failed, {}",
        grouped(summary.tagged),
        grouped(summary.failed),
        counted(summary.units, "unit")
    );
    if let Some(cost) = summary.cost {
        let _ = write!(text, ", about {} {}", money(cost), visible(&summary.currency));
    }
    let _ = write!(text, ", {}, exit code {}", duration(summary.seconds), summary.exit_code);
    text
}

fn dated(at: Timestamp, command: &str, profile: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let profile = profile.map(|name| format!(" {}", visible(name))).unwrap_or_default();
    format!("{} costag {version} {command}{profile}", absolute(at, &zone::local()))
}
