//! costag labels every image of a Tencent COS bucket with Cloud Infinite `detect-label`. It keeps to a rate, it can be
//! stopped and resumed at any time, and it does not pay for the same image twice.
//!
//! ```text
//!             page (≤1000 keys, sorted)         claim (a batch)             outcome
//!  GET Bucket ───────► compare with ───► contents ───────► detect-label ───────► settle
//!    lister            the store         "pending"          worker pool           │
//!    │   ▲                 │                 ▲                  │ ▲               ▼
//!    │   └─ range cursor ──┘                 │              pace│ │verdict    labels, ledger
//!    └────────── one SQLite file: objects · contents · labels · ranges · runs ────┘
//!                                            │
//!                                  status · export (read only)
//! ```
//!
//! Two loops meet only in the store: discovery (list, compare) and tagging (claim, call, settle). The rows of a page and
//! its cursor are committed together, and so are an image's labels, its new state and its ledger row. All progress is in the
//! store, so resuming a run is the same as running it again.
//!
//! The modules in the order of the flow. `cli` uses `job`, `export`, `report` and the emulator; `job` uses `cos` and
//! `store`; `export` and `view` use `store`; `report` uses `view`. No module uses one in the opposite direction, `cos` and
//! `store` do not use each other, and the emulator uses nothing. `src/arrows.rs` lists what each module may use, and its tests check it.
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`cli`] | what a person typed | the output of a command, and an exit code |
//! | [`config`] | options, variables, a file | checked settings, and where each came from |
//! | [`job`] | settings, a source, a client, a store | a finished or stopped run; only here do `cos` and `store` meet |
//! | [`cos`] | credentials, an endpoint, requests | pages, labels, errors; it knows nothing of jobs |
//! | [`store`] | pages, claims, outcomes | the database; no other module writes SQL |
//! | [`export`] | rows of the store | CSV and JSON lines |
//! | [`view`] | a reader of the store | what a page shows, and its HTML |
//! | [`report`] | views, pictures | one HTML file that needs nothing else |
//! | [`emulator`] | a folder or a number of objects | a bucket on loopback; it shares no code with the other modules |
//! | [`object`] | | the `ETag` and the storage class of an object |
//! | [`part`] | | a file that gets its name when it is complete |
//! | [`visible`] | text from others | text with control characters spelled out |
//! | [`glob`] | globs | whether a key matches |
//! | [`label`] | | the labels of an image |
//! | [`numbers`] | | numbers as people read them |
//! | [`scene`] | | the set of models that an image needs or has |
//! | [`shell`] | | words of commands, quoted |
//! | [`system`] | | what depends on the operating system |
//! | [`telemetry`] | | log lines |
//! | [`text`] | a file | its text, without a byte order mark |
//! | [`time`] | | moments in seconds and in milliseconds |
//! | [`zone`] | | the time zone of this machine |
//!
//! Commands, options, exit codes, CSV columns and the views `labels` and `failure` are stable. The interfaces of this
//! library are not: they exist for the program and its tests.

pub mod cli;
pub mod config;
pub mod job;

pub mod cos;
pub mod store;

pub mod export;

pub mod report;
pub mod view;

pub mod emulator;

pub mod aliases;
pub mod glob;
pub mod import;
pub mod label;
pub mod numbers;
pub mod object;
pub mod part;
pub mod pictures;
pub mod scene;
pub mod serve;
pub mod shell;
pub mod system;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod visible;
pub mod zone;

#[doc(hidden)]
pub mod fuzz;

#[cfg(test)]
mod arrows;
#[cfg(test)]
mod property;
