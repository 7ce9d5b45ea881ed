//! How fast requests are sent, and how many at a time.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::stricter::{has_fewer, is_slower, take_if};
use crate::config::{value, written};

pub(super) const SECTION: Section = Section {
    heading: "How fast.",
    settings: &[
        Setting {
            name: "qps",
            short: None,
            kind: Kind::Number("RATE"),
            group: Group::Pace,
            default: "10",
            help: "The most detect-label calls a second; 0 for no limit, auto to search for the limit of the service",
            more: "When the service throttles, the pace goes down to what the service accepts. Throttling that a lower \
                   pace does not stop is treated as a fault.",
            guarded: None,
            resume: Resume::Stricter(|to, now| take_if(&mut to.pace.qps, &now.pace.qps, is_slower)),
            set: |value, to| put(&mut to.pace.qps, value::rate(value, true)),
            get: |from| written::rate(from.pace.qps),
        },
        Setting {
            name: "workers",
            short: Some('w'),
            kind: Kind::Value("N|auto"),
            group: Group::Pace,
            default: "auto",
            help: "The most calls in flight at a time, 1 to 4096; auto for as many as the pace needs, 16 to 1024",
            more: "With auto the number follows the pace and the time that a call takes. Without a pace it grows as long as \
                   that raises the number of calls a second. After a crash at most twice as many calls as were in \
                   flight may be paid again.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if(&mut to.pace.workers, &now.pace.workers, |now, typed| {
                    has_fewer(*now, *typed)
                })
            }),
            set: |value, to| put(&mut to.pace.workers, value::workers_or_auto(value)),
            get: |from| written::workers(from.pace.workers),
        },
        Setting {
            name: "list_qps",
            short: None,
            kind: Kind::Number("RATE"),
            group: Group::Pace,
            default: "100",
            help: "The most list requests a second; 0 for no limit",
            more: "",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if(&mut to.pace.list_qps, &now.pace.list_qps, is_slower)
            }),
            set: |value, to| put(&mut to.pace.list_qps, value::rate(value, false)),
            get: |from| written::rate(from.pace.list_qps),
        },
        Setting {
            name: "list_workers",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Pace,
            default: "16",
            help: "How many ranges of the bucket are listed at a time, 1 to 256",
            more: "",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if(&mut to.pace.list_workers, &now.pace.list_workers, |now, typed| now < typed)
            }),
            set: |value, to| put(&mut to.pace.list_workers, value::workers(value, 256)),
            get: |from| from.pace.list_workers.get().into(),
        },
    ],
};
