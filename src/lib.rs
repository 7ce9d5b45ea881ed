//! costag tags every image of a Tencent COS bucket with Cloud Infinite `detect-label`: rate-limited, resumable,
//! nothing paid twice.
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
//! Two loops meet only in the store: discovery (list, compare) and tagging (claim, call, settle). A page's rows and
//! its cursor are committed together, and so are an image's labels, its new state and its ledger row; nothing about
//! progress lives outside the store, so resuming is running again.
//!
//! The modules in the order of the flow; each uses only those below it:
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`cli`] | what a person typed | one command, its output, an exit code |
//! | [`config`] | options, variables, a file | checked settings, and where each came from |
//! | [`job`] | settings, a source, a client, a store | a finished or stopped run; the only place where `cos` and `store` meet |
//! | [`cos`] | credentials, an endpoint, requests | pages, labels, errors; knows no job |
//! | [`store`] | pages, claims, outcomes | the database; nothing else writes SQL |
//! | [`export`] | rows of the store | CSV and JSON lines |
//! | [`emulator`] | a folder or a number of objects | a bucket on loopback; uses nothing of the other modules |
//! | [`object`] | | the `ETag` and the storage class of an object |
//! | [`part`] | | a file that has another name until it is whole |
//! | [`visible`] | text of others | text that a terminal shows and does not obey |
//! | [`scene`] | | the set of models that a content needs or has |
//! | [`telemetry`] | | log lines |
//! | [`text`] | a file | its text, without a byte order mark |
//! | [`zone`] | | the time zone of this machine |
//!
//! The program is the product, and the library its rooms: commands, options, exit codes, CSV columns and the views
//! `labels` and `failure` are kept stable; the interfaces here follow them.

pub mod cli;
pub mod config;
pub mod job;

pub mod cos;
pub mod store;

pub mod export;

pub mod emulator;

pub mod glob;
pub mod label;
pub mod object;
pub mod part;
pub mod scene;
pub mod telemetry;
pub mod text;
pub mod visible;
pub mod zone;

#[doc(hidden)]
pub mod fuzz;

#[cfg(test)]
mod arrows;
#[cfg(test)]
mod property;
