//! What is logged to standard error.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::types::LogFormat;
use crate::config::value;

pub(super) const SECTION: Section = Section {
    heading: "What is logged to standard error.",
    settings: &[
        Setting {
            name: "log",
            short: None,
            kind: Kind::Value("FILTER"),
            group: Group::Global,
            default: "warn",
            help: "Log level (error, warn, info, debug, trace) or directives such as costag=debug,warn",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.logging.filter, value::log_filter(value)),
            get: |from| from.logging.filter.as_str().into(),
        },
        Setting {
            name: "log_format",
            short: None,
            kind: Kind::Value("FORMAT"),
            group: Group::Global,
            default: "text",
            help: "Form of log lines: text for people, json for machines",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.logging.format, value::log_format(value)),
            get: |from| match from.logging.format {
                LogFormat::Text => "text".into(),
                LogFormat::Json => "json".into(),
            },
        },
        Setting {
            name: "progress",
            short: None,
            kind: Kind::Value("FORM"),
            group: Group::Global,
            default: "auto",
            help: "How a run shows its progress: auto, bar, plain, json or none",
            more: "bar is a block of lines that is drawn again and again, plain a line from time to time, and json an object \
                   on a line. auto is bar on a terminal that can move its cursor, and plain elsewhere.",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.logging.progress, value::progress_form(value)),
            get: |from| from.logging.progress.name().into(),
        },
    ],
};
