//! A turn: everything that the writer asks of the store in one transaction, as plain values.
//!
//! A [`Turn`] holds requests and no channels, so it can be kept and sent again. [`Replies`] holds one reply for each
//! request, in the same order. A claimed content may be called as soon as the replies are there: the turn is
//! committed then.
//!
//! # What a backend has to do
//! - All requests of a turn are applied in their order, in one transaction. Later requests see what earlier ones
//!   wrote: a claim at the end of a turn takes contents that a page of the same turn queued.
//! - If a request fails, nothing of the turn is kept, and no cache holds anything that the turn put into it. The
//!   session accepts the next turn.
//! - The number of a turn is unique within its session and grows. A backend that can lose its connection during a
//!   commit stores the number with the transaction. If it meets a number that is stored already, the turn was
//!   committed: it must return the replies of that commit, and must not apply the turn again. The SQLite backend
//!   always knows whether a commit succeeded, so it has no use for the number.
//! - A turn needs no second round trip: no request depends on the reply to another request of the same turn.
//! - The order of ids says nothing about the order in time. Several hosts may draw ids at once.
//! - A claim belongs to the session that made it. Only that session settles it, and a session that ended without
//!   settling leaves its claims to recovery.

mod claim;
mod import;
mod list;
mod page;
mod settle;

pub use claim::{ClaimRequest, Claimed, Claims, Key};
pub use import::{Imported, ImportedImage};
pub use list::{EndedLines, LineFacts, LineFailure, ReadLine, UNUSABLE_LINE};
pub use page::{Candidate, Difference, Page, Reach};
pub use settle::{CallRow, ErrorRow, Settled, Settlement};

use super::live::Live;
use super::model::Recogniser;
use super::run::Span;
use crate::time::{UnixMillis, UnixSeconds};

/// Everything that the writer asks of the store in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The number of the turn within its session: each turn has a higher one than the turn before it.
    pub number: u64,
    /// What to do, in this order.
    pub requests: Vec<Request>,
}

/// One request of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Apply a compared page: its rows and the cursor of its range. Reply: [`Reply::Queued`].
    Page(Page),
    /// Keep further lines of a list. A line that repeats an earlier one is counted and not kept.
    KeepLines {
        /// The lines, in their order.
        lines: Vec<ReadLine>,
        /// A hash of all lines read so far, these included.
        hash: i64,
        /// How far the list was read, these lines included.
        reach: Reach,
    },
    /// Close unfinished runs over the same lines for this run.
    TakeOver {
        /// The `run.id` of each of them.
        run_ids: Vec<i64>,
    },
    /// Apply lines of a list that have ended. Reply: [`Reply::Queued`].
    EndLines {
        /// The lines.
        lines: EndedLines,
        /// The present time.
        now: UnixSeconds,
    },
    /// Split a range: `span` becomes a new range, and the old range ends where it begins.
    SplitRange {
        /// The old range, by `range.seq`.
        seq: i64,
        /// The `range.seq` of the new range.
        new_seq: i64,
        /// The keys of the new range.
        span: Span,
    },
    /// Every range is done: complete the listing. Missing objects are marked as gone, contents that wait for no run
    /// are adopted, and gone and added keys of one content are paired as moved. Reply: [`Reply::Queued`].
    CompleteListing {
        /// The present time.
        now: UnixSeconds,
    },
    /// Queue for this run what waits for no run and is wanted in the scope. Reply: [`Reply::Queued`].
    AdoptWaiting,
    /// Write a ledger row of a content that is not settled yet.
    Call(CallRow),
    /// Settle a content in flight.
    Settle(Settlement),
    /// Claim contents of the queue. Reply: [`Reply::Claims`].
    Claim(ClaimRequest),
    /// Claim one content from anywhere in the queue, to find out whether an outage is over.
    /// Reply: [`Reply::Probe`].
    Probe {
        /// No content of an earlier pass is claimed.
        first_pass: u32,
    },
    /// Draw a random sample of the queue, and restrict claims of the first pass to it.
    Sample {
        /// How many contents to draw.
        size: u64,
    },
    /// Find another key of a content whose key is gone. Reply: [`Reply::Key`].
    AnotherKey {
        /// `content.id`.
        content_id: i64,
        /// The `object.id` of each key that was tried already.
        tried: Vec<i64>,
    },
    /// Tell whether the queue of this run has pending contents. Reply: [`Reply::HasPending`].
    HasPending,
    /// Tell which lines of the list need a look-up only since another line was looked up. Send it once all lines have
    /// ended. Reply: [`Reply::DroppedLines`].
    DroppedLines,
    /// Record which recogniser answers.
    Recogniser {
        /// The recogniser; another one that is recorded already stays.
        recogniser: Recogniser,
    },
    /// Record the confirmed correction of this machine's clock. The ledger rows of this session move along.
    ClockOffset {
        /// The seconds to add to the clock; 0 removes the record.
        seconds: i64,
    },
    /// Replace what the process of this run leaves for other programs.
    Live(Live),
    /// Store the labels of an image of a file. Reply: [`Reply::Imported`].
    Import {
        /// The image.
        image: ImportedImage,
        /// The present time.
        now: UnixMillis,
    },
    /// Record the rate limit that was found for the bucket of this run.
    Limit {
        /// Calls a second.
        rate: f64,
    },
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The request is done and has no other answer.
    Done,
    /// The request is done; the value is true if it put contents into the queue.
    Queued(bool),
    /// What a claim took.
    Claims(Claims),
    /// The content that a probe took; `None` if nothing waits.
    Probe(Option<Claimed>),
    /// Another key of the content; `None` if there is none.
    Key(Option<Key>),
    /// True if anything waits in the queue.
    HasPending(bool),
    /// What became of an image of a file.
    Imported(Imported),
    /// Number and key of each such line.
    DroppedLines(Vec<(i64, String)>),
}

/// The answers to a committed turn.
#[derive(Debug)]
#[must_use = "claimed contents are in flight until they are settled"]
pub struct Replies {
    /// One reply for each request, in the order of the requests.
    pub replies: Vec<Reply>,
    /// Set if the turn is committed but the database is no longer where it was opened. Nothing may be called any
    /// more; turns that settle what is in flight are still accepted.
    pub lost: Option<super::Error>,
    /// What a person should know. The turn is committed in spite of it. Each warning comes once in a session.
    pub warnings: Vec<Warning>,
}

/// Something that a person should know about the database, although the turn is committed.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    /// The write-ahead log became long, because another program reads the database in one transaction that it does not
    /// end.
    #[error(
        "the write-ahead log of the database has grown to {} MB and grows further, because another program holds a read \
         transaction open; end that program, such as an SQL shell or a long export or backup, and the log is shortened",
        bytes / 1_000_000
    )]
    HeldLog {
        /// The length of the log in bytes.
        bytes: u64,
    },
    /// The write-ahead log became long, because what is in it cannot be moved into the database.
    #[error(
        "the write-ahead log of the database has grown to {} MB and grows further, because it cannot be moved into the \
         database: {source}",
        bytes / 1_000_000
    )]
    LongLog {
        /// The length of the log in bytes.
        bytes: u64,
        /// Why it cannot.
        source: super::Error,
    },
    /// The counts of images and labels cannot be kept any more. Until they are made anew, questions about them read every
    /// row.
    #[error(
        "the kept counts of images and labels are damaged ({what}), and are not kept any more; the run goes on, and the next \
         one counts everything anew"
    )]
    Uncounted {
        /// What is unsound.
        what: String,
    },
}

impl Replies {
    /// Logs the warnings, once.
    pub fn tell_warnings(&mut self) {
        self.warnings.drain(..).for_each(|warning| tracing::warn!("{warning}"));
    }

    /// Logs the warnings and returns the replies, unless the database is no longer where it was opened.
    ///
    /// # Errors
    /// [`Replies::lost`].
    pub fn in_place(mut self) -> Result<Vec<Reply>, super::Error> {
        self.tell_warnings();
        self.lost.map_or(Ok(self.replies), Err)
    }
}
