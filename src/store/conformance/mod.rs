//! What every backend must do, as tests over the interface: no test here knows how a backend stores anything.
//!
//! A backend that is added gets a line in [`sites`].

mod borders;
mod listings;
mod reading;
mod runs;
mod turns;

use super::model::{CallOutcome, Counts, ErrorVerdict};
use super::run::{RunContext, Span};
use super::samples::{BUCKET, candidate, context, new_run, two_spans, up_to};
use super::turn::{
    CallRow, Candidate, ClaimRequest, Claimed, Claims, Difference, ErrorRow, Page, Reach, Reply,
    Request, Settled, Settlement,
};
use super::{Error, Session, Store};
use crate::label::{Label, Labels};
use crate::scene::Scene;
use crate::time::{UnixMillis, UnixSeconds};

/// A database of one backend, which can be opened again and again.
struct Site {
    folder: tempfile::TempDir,
}

/// A new, empty database of every backend.
fn sites() -> Vec<Site> {
    vec![Site { folder: tempfile::tempdir().unwrap() }]
}

impl Site {
    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("t.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }

    /// Begins a run over the whole bucket, in two ranges that meet at `m`.
    fn begin(&self) -> Session {
        begin(self.open(), "")
    }
}

fn begin(mut store: Store, prefix: &str) -> Session {
    let begun = store.begin_run(&new_run(prefix, two_spans())).unwrap();
    Session::new(store, context(begun, prefix), Counts::default())
}

fn send(session: &mut Session, requests: Vec<Request>) -> Result<Vec<Reply>, Error> {
    let mut turn = session.new_turn();
    turn.requests = requests;
    session.turn(&turn)?.in_place()
}

fn page(seq: i64, cursor: &str, done: bool, differences: Vec<Difference>) -> Request {
    Request::Page(Page {
        reach: Reach { seq, progress: up_to(cursor), done },
        listed: differences.len() as u64,
        wanted: differences.len() as u64,
        differences,
        skipped: Vec::new(),
        rejected: 0,
    })
}

/// A whole listing of new objects: key and bytes of each. Ids are given in this order, from 1.
fn listing(objects: &[(&str, &str)]) -> Vec<Request> {
    let new = objects.iter().map(|(key, etag)| Difference::New(candidate(key, etag)));
    vec![
        page(0, "m", true, new.collect()),
        page(1, "z", true, Vec::new()),
        Request::CompleteListing { now: UnixSeconds(110) },
    ]
}

fn claim(limit: usize) -> Request {
    Request::Claim(ClaimRequest { limit, passes: 0..=0, keeps_back: false })
}

/// The contents that the last claim of a turn took.
fn claimed(replies: Vec<Reply>) -> Vec<Claimed> {
    let claims = replies.into_iter().rev().find_map(|reply| match reply {
        Reply::Claims(Claims { claimed, .. }) => Some(claimed),
        _ => None,
    });
    claims.unwrap()
}

fn settle(claimed: &Claimed, settled: Settled) -> Request {
    let outcome = match &settled {
        Settled::Labels(_) => Some(CallOutcome::Answered),
        Settled::GivenUp { .. } | Settled::PutBack { .. } => Some(CallOutcome::Failed),
        Settled::Released => None,
    };
    let call = outcome.map(|outcome| CallRow {
        content_id: claimed.content_id,
        object_id: claimed.key.object_id,
        scenes: claimed.scenes,
        ended_at: UnixMillis(120_000),
        clock_offset: 0,
        duration_ms: 80,
        outcome,
        retry: false,
        http_status: None,
        code: (outcome == CallOutcome::Failed).then(|| "InternalError".to_owned()),
        request_id: None,
    });
    let Claimed { content_id, scenes, again, .. } = *claimed;
    Request::Settle(Settlement { content_id, scenes, again, call, settled })
}

fn labels(names: &[&str]) -> Settled {
    let label = |(rank, name): (u32, &&'static str)| Label {
        scene: Scene::Camera,
        rank,
        name,
        first_category: "",
        second_category: "",
        confidence: 90,
    };
    // Names are constants of the tests.
    let names: Vec<&'static str> = names.iter().map(|name| &*name.to_string().leak()).collect();
    Settled::Labels((1..).zip(&names).map(label).collect::<Labels>())
}

fn given_up(temporary: bool) -> Settled {
    let error = ErrorRow {
        verdict: ErrorVerdict::Retry,
        temporary,
        code: "InternalError".to_owned(),
        status: Some(500),
        message: "try again".to_owned(),
        request_id: Some("r-1".to_owned()),
    };
    Settled::GivenUp { attempts: 3, error }
}
