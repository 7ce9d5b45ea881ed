//! How a run is reported to people and programs that do not watch it.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::value;

pub(super) const SECTION: Section = Section {
    heading: "How a run is reported to those who do not watch it.",
    settings: &[
        Setting {
            name: "success_codes",
            short: None,
            kind: Kind::List("CODE"),
            group: Group::Watching,
            default: "0,3,8,10",
            help: "Exit codes of runs that count as a success",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.successes, value::codes(value)),
            get: |from| {
                let codes = from.watching.successes.iter();
                codes.map(|code| u64::from(*code)).collect::<Vec<_>>().into()
            },
        },
        Setting {
            name: "progress_interval",
            short: None,
            kind: Kind::Value("DURATION"),
            group: Group::Watching,
            default: "10m",
            help: "How often a line of progress is written if standard error is not a terminal; 0 for never",
            more: "The beginning of a wait is always reported.",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| {
                put(&mut to.watching.progress_interval, value::optional_duration(value))
            },
            get: |from| {
                from.watching.progress_interval.map(value::duration_text).unwrap_or_default().into()
            },
        },
    ],
};
