//! What ends a run, what it may cost, and what calls cost.

use super::setting::{Group, Kind, Resume, Section, Setting, put};
use crate::config::stricter::{allows_fewer_failures, closes_sooner, take_if, take_if_less};
use crate::config::types::Billing;
use crate::config::{value, written};

pub(super) const SECTION: Section = Section {
    heading: "What ends a run. Each limit counts one invocation, except daily_calls.",
    settings: &[
        Setting {
            name: "max_failures",
            short: None,
            kind: Kind::Value("N|N%"),
            group: Group::Budget,
            default: "50%",
            help: "Stop with exit code 9 once this many images have failed: a number, or a share of the last 1,000 \
                   images such as 50%; 0 for no limit",
            more: "Twenty calls that fail for good before the first success stop a run in any case.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if(
                    &mut to.budget.max_failures,
                    &now.budget.max_failures,
                    allows_fewer_failures,
                )
            }),
            set: |value, to| put(&mut to.budget.max_failures, value::failure_limit(value)),
            get: |from| written::failures(from.budget.max_failures),
        },
        Setting {
            name: "allow_missing",
            short: None,
            kind: Kind::Flag { no: "End with exit code 3 if a key of a list is not in the bucket" },
            group: Group::Budget,
            default: "false",
            help: "Do not end with exit code 3 if keys of a list (--keys) are not in the bucket",
            more: "",
            guarded: None,
            resume: Resume::Again,
            set: |value, to| put(&mut to.budget.allow_missing, value::flag(value)),
            get: |from| from.budget.allow_missing.into(),
        },
        Setting {
            name: "max_calls",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Budget,
            default: "0",
            help: "Stop after this many calls; 0 for no limit",
            more: "A call counts once, however many scenes it asks for.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(&mut to.budget.max_calls, now.budget.max_calls, |now, typed| {
                    now < typed
                })
            }),
            set: |value, to| put(&mut to.budget.max_calls, value::limit(value)),
            get: |from| written::limit(from.budget.max_calls),
        },
        Setting {
            name: "max_cost",
            short: None,
            kind: Kind::Value("AMOUNT"),
            group: Group::Budget,
            default: "0",
            help: "Stop before the units of billing cost more than this, in the currency; 0 for no limit",
            more: "It needs a price: see --price-per-1000-calls.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(&mut to.budget.max_cost, now.budget.max_cost, |now, typed| now < typed)
            }),
            set: |value, to| put(&mut to.budget.max_cost, value::optional_amount(value)),
            get: |from| written::number(from.budget.max_cost.unwrap_or(0.0)),
        },
        Setting {
            name: "daily_calls",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Budget,
            default: "0",
            help: "The most calls in a day of the local time zone, over all runs of the database; 0 for no limit",
            more: "A call belongs to the day in which it ends.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(&mut to.budget.daily_calls, now.budget.daily_calls, |now, typed| {
                    now < typed
                })
            }),
            set: |value, to| put(&mut to.budget.daily_calls, value::limit(value)),
            get: |from| written::limit(from.budget.daily_calls),
        },
        Setting {
            name: "max_duration",
            short: None,
            kind: Kind::Value("DURATION"),
            group: Group::Budget,
            default: "",
            help: "Stop after this time, such as 8h or 1h30m; '' for no limit",
            more: "",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(&mut to.budget.max_duration, now.budget.max_duration, |now, typed| {
                    now < typed
                })
            }),
            set: |value, to| put(&mut to.budget.max_duration, value::optional_duration(value)),
            get: |from| {
                from.budget.max_duration.map(value::duration_text).unwrap_or_default().into()
            },
        },
        Setting {
            name: "until",
            short: None,
            kind: Kind::Value("HH:MM"),
            group: Group::Budget,
            default: "",
            help: "Stop at this time of day, such as 06:30 (local time), 06:30+08:00 or 22:30Z",
            more: "On a day whose clock change skips this time, calls stop at the change. On a day that has this time \
                   twice, they stop at the first one that is still to come.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(&mut to.budget.until, now.budget.until, closes_sooner)
            }),
            set: |value, to| put(&mut to.budget.until, value::until(value)),
            get: |from| from.budget.until.map(|until| until.to_string()).unwrap_or_default().into(),
        },
        Setting {
            name: "limit",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Budget,
            default: "0",
            help: "Label only the first N images that need a call, and tell what the whole would cost; 0 for all",
            more: "The run is complete with them. The next run takes others.",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.budget.limit, value::limit(value)),
            get: |from| written::limit(from.budget.limit),
        },
        Setting {
            name: "sample",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Budget,
            default: "0",
            help: "As --limit, with N images that are chosen at random once everything is listed; 0 for all",
            more: "",
            guarded: None,
            resume: Resume::Forget,
            set: |value, to| put(&mut to.budget.sample, value::limit(value)),
            get: |from| written::limit(from.budget.sample),
        },
        Setting {
            name: "confirm_above",
            short: None,
            kind: Kind::Value("N"),
            group: Group::Budget,
            default: "10000",
            help: "On a terminal, ask before more units of billing than this are used; 0 to never ask",
            more: "",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if_less(
                    &mut to.budget.confirm_above,
                    now.budget.confirm_above,
                    |now, typed| now < typed,
                )
            }),
            set: |value, to| put(&mut to.budget.confirm_above, value::limit(value)),
            get: |from| written::limit(from.budget.confirm_above),
        },
        Setting {
            name: "price_per_1000_calls",
            short: None,
            kind: Kind::Value("AMOUNT"),
            group: Group::Price,
            default: "0",
            help: "What 1,000 units of billing cost, in the currency; 0 if unknown",
            more: "Without a price no costs are shown.",
            guarded: None,
            // A lower price would let more calls into the same cost, so the higher one is the stricter one.
            resume: Resume::Stricter(|to, now| {
                let (typed, now) =
                    (&mut to.budget.price_per_1000_calls, now.budget.price_per_1000_calls);
                take_if(typed, &now, |now, typed| now.is_some() && now > typed)
            }),
            set: |value, to| {
                put(&mut to.budget.price_per_1000_calls, value::optional_amount(value))
            },
            get: |from| written::number(from.budget.price_per_1000_calls.unwrap_or(0.0)),
        },
        Setting {
            name: "billing",
            short: None,
            kind: Kind::Value("UNIT"),
            group: Group::Price,
            default: "scene",
            help: "What a unit of billing is: scene (each scene that a call asks for) or call (each call)",
            more: "The API page of the sister product (Tencent Cloud \"Image tagging\", `DetectLabel`) says that the \
                   versions in one request are billed as that many calls. No page says this, or denies it, for \
                   detect-label: compare with your bill.",
            guarded: None,
            resume: Resume::Stricter(|to, now| {
                take_if(&mut to.budget.billing, &now.budget.billing, |now, typed| {
                    (*now, *typed) == (Billing::Scene, Billing::Call)
                })
            }),
            set: |value, to| put(&mut to.budget.billing, value::billing(value)),
            get: |from| from.budget.billing.name().into(),
        },
        Setting {
            name: "currency",
            short: None,
            kind: Kind::Value("CODE"),
            group: Group::Price,
            default: "CNY",
            help: "The currency of prices and costs, for display",
            more: "",
            guarded: None,
            resume: Resume::Again,
            set: |value, to| put(&mut to.budget.currency, value::text(value)),
            get: |from| from.budget.currency.as_str().into(),
        },
    ],
};
