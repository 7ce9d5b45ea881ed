//! How a run is reported to people and programs that do not watch it.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::{value, written};

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
        Setting {
            name: "metrics_file",
            short: None,
            kind: Kind::Value("FILE"),
            group: Group::Watching,
            default: "",
            help: "File that a run replaces with metrics for the textfile collector of the node exporter",
            more: "In its name, {profile} stands for the name of the profile.",
            guarded: Some("which file is replaced"),
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.metrics_file, value::path(value)),
            get: |from| written::path(from.watching.metrics_file.as_deref()),
        },
        Setting {
            name: "ping",
            short: None,
            kind: Kind::Flag { no: "Send no pings" },
            group: Group::Watching,
            default: "true",
            help: "Send pings when a run begins and ends, if COSTAG_PING_URL or ping_file gives an address",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.ping, value::flag(value)),
            get: |from| from.watching.ping.into(),
        },
        Setting {
            name: "ping_file",
            short: None,
            kind: Kind::Value("FILE"),
            group: Group::Watching,
            default: "",
            help: "File with the address of pings, readable by you only, because the address is a secret",
            more: "The environment variable COSTAG_PING_URL with the address itself wins over the file.",
            guarded: Some("where requests go"),
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.ping_file, value::path(value)),
            get: |from| written::path(from.watching.ping_file.as_deref()),
        },
        Setting {
            name: "notify",
            short: None,
            kind: Kind::Value("WHEN"),
            group: Group::Watching,
            default: "trouble",
            help: "When a chat robot or webhook is notified of the end of a run: trouble, change, always or never",
            more: "trouble is an exit code that success_codes does not have, change another exit code than that of the run \
                   before. Nothing is sent if neither COSTAG_NOTIFY_TO nor notify_file gives an address.",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.notify, value::notify(value)),
            get: |from| from.watching.notify.name().into(),
        },
        Setting {
            name: "notify_file",
            short: None,
            kind: Kind::Value("FILE"),
            group: Group::Watching,
            default: "",
            help: "File with the addresses of notifications, readable by you only, because they are secrets",
            more: "A line is KIND ADDRESS [SECRET], where KIND is dingtalk, wecom, feishu or webhook. The environment \
                   variable COSTAG_NOTIFY_TO with the lines themselves, separated by semicolons, wins over the file.",
            guarded: Some("where requests go"),
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.notify_file, value::path(value)),
            get: |from| written::path(from.watching.notify_file.as_deref()),
        },
        Setting {
            name: "language",
            short: None,
            kind: Kind::Value("LANGUAGE"),
            group: Group::Watching,
            default: "en",
            help: "Language of notifications: en for English, zh for Chinese",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.watching.language, value::language(value)),
            get: |from| from.watching.language.name().into(),
        },
    ],
};
