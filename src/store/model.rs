//! Row types and the stored numbers' meanings.

use serde::{Deserialize, Serialize};

/// `content.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ContentState {
    /// Something is wanted of it that is not there yet.
    Pending = 0,
    /// Claimed by the run in `run_id`, and not settled.
    InFlight = 1,
    /// All that is wanted of it is there.
    Done = 2,
    /// Given up; the table `error` says why.
    Failed = 3,
}

impl ContentState {
    /// The state with this stored number.
    pub fn from_id(id: i64) -> Option<Self> {
        [Self::Pending, Self::InFlight, Self::Done, Self::Failed]
            .into_iter()
            .find(|state| *state as i64 == id)
    }
}

/// `call.outcome`: what came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum CallOutcome {
    /// Labels came, perhaps none.
    Answered = 0,
    /// The service answered with an error.
    Failed = 1,
    /// The service asked for a lower rate.
    Throttled = 2,
    /// It was sent, but no usable answer came; it may have been paid.
    ThrownAway = 3,
    /// It was in flight when the process ended; it may have been sent and paid.
    Unknown = 4,
}

impl CallOutcome {
    /// The outcome with this stored number.
    pub fn from_id(id: i64) -> Option<Self> {
        [Self::Answered, Self::Failed, Self::Throttled, Self::ThrownAway, Self::Unknown]
            .into_iter()
            .find(|outcome| *outcome as i64 == id)
    }
}

/// `run.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Under way, or killed if nobody holds the lock.
    Running,
    /// Listed to the end, nothing pending.
    Complete,
    /// Ended by a signal.
    Interrupted,
    /// Ended by a budget, a window, the breaker or a fatal error.
    Stopped,
    /// Given up for a later run over the same source.
    Superseded,
}

impl RunState {
    /// The stored text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Superseded => "superseded",
        }
    }

    /// The state with this stored text.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Complete, Self::Interrupted, Self::Stopped, Self::Superseded]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// `run.source`: what a run reads its work from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A listing of a bucket, or of a prefix in it.
    Bucket,
    /// A list of keys of a bucket.
    Keys,
    /// A list of URLs, called through a bucket.
    Urls,
}

impl SourceKind {
    /// The stored text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Keys => "keys",
            Self::Urls => "urls",
        }
    }

    /// The kind with this stored text.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Bucket, Self::Keys, Self::Urls].into_iter().find(|kind| kind.name() == name)
    }

    /// `bucket.kind`: the namespace of the objects, in which URLs are apart from the keys of the bucket.
    pub(super) const fn namespace(self) -> &'static str {
        match self {
            Self::Bucket | Self::Keys => "keys",
            Self::Urls => "urls",
        }
    }
}

impl std::fmt::Display for SourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Who answers the calls. A database belongs to one recogniser, so that a rehearsal cannot spoil real results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recogniser {
    /// `detect-label` of the service.
    DetectLabel,
    /// The built-in emulator.
    Emulator,
    /// A recogniser that this version of the program does not know.
    Other,
}

impl Recogniser {
    /// The stored text; of [`Recogniser::Other`], a text for messages that is never stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DetectLabel => "detect-label",
            Self::Emulator => "emulator",
            Self::Other => "another recogniser",
        }
    }

    /// The recogniser with this stored text.
    pub fn from_name(name: &str) -> Self {
        let known = [Self::DetectLabel, Self::Emulator].into_iter().find(|one| one.name() == name);
        known.unwrap_or(Self::Other)
    }
}

/// `change.kind`: what a listing found different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A key that was not there before.
    Added,
    /// A key with other bytes, another storage class or another time.
    Changed,
    /// A key that is no longer there.
    Gone,
    /// A gone key and an added one of the same content.
    Moved,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Added, Self::Changed, Self::Gone, Self::Moved];

    /// The stored text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Moved => "moved",
        }
    }

    /// The kind with this stored text.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a listed object is not called; `object.skip_reason` holds the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// A key that ends in `/`: a folder's placeholder.
    Folder,
    /// No bytes.
    Empty,
    /// Its suffix is not one of the image suffixes.
    Suffix,
    /// No `--include` glob matches.
    NotIncluded,
    /// An `--exclude` glob matches.
    Excluded,
    /// A storage class that must be restored before it can be read.
    Archive,
    /// Smaller than the smallest wanted size.
    TooSmall,
    /// Larger than the largest wanted size.
    TooLarge,
    /// A key that no request can name: it degenerates to the bucket itself.
    Unaddressable,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Folder,
        Self::Empty,
        Self::Suffix,
        Self::NotIncluded,
        Self::Excluded,
        Self::Archive,
        Self::TooSmall,
        Self::TooLarge,
        Self::Unaddressable,
    ];

    /// The stored text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Empty => "empty",
            Self::Suffix => "suffix",
            Self::NotIncluded => "not-included",
            Self::Excluded => "excluded",
            Self::Archive => "archive",
            Self::TooSmall => "too-small",
            Self::TooLarge => "too-large",
            Self::Unaddressable => "unaddressable",
        }
    }

    /// The reason with this stored text.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What a content's last error means for later runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Only new bytes, or asking for it, bring the content back.
    Final = 1,
    /// The next run puts it back, once.
    Temporary = 2,
}

impl ErrorKind {
    /// The kind with this stored number: `Some(None)` for 0, no error, and `None` for a number that means nothing.
    pub fn from_id(id: i64) -> Option<Option<Self>> {
        match id {
            0 => Some(None),
            1 => Some(Some(Self::Final)),
            2 => Some(Some(Self::Temporary)),
            _ => None,
        }
    }
}

/// What a run counted; kept as JSON in `run.counts`, brought up to date in the transactions that change it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Objects listed, or read from the list.
    pub listed: u64,
    /// Objects listed that are wanted.
    pub wanted: u64,
    /// Objects listed that are skipped, by [`SkipReason::name`].
    pub skipped: std::collections::BTreeMap<String, u64>,
    /// Keys that the service listed and no request can carry: not UTF-8, or with impossible fields.
    pub rejected: u64,
    /// Lines of the list that repeat an earlier one; they are not among those listed.
    pub repeated: u64,
    /// Lines of the list that failed without a call: no request can carry them, or they cannot be looked up.
    pub lines_failed: u64,
    /// Lines of the list whose key the bucket does not have.
    pub missing: u64,
    /// Of a complete run over a list: lines whose image is given up, in this run or an earlier one.
    pub given_up_lines: u64,
    /// Objects that were not there before.
    pub added: u64,
    /// Objects whose content or storage class is new.
    pub changed: u64,
    /// Objects that are no longer there.
    pub gone: u64,
    /// Wanted objects that needed no call of their own: labelled or given up before, or called by another key.
    pub reused: u64,
    /// Contents put into the queue by this run's listing.
    pub queued: u64,
    /// Of those, what left it without a call: no longer wanted, or another run's now.
    pub left: u64,
    /// Calls that ended, whatever came back.
    pub calls: u64,
    /// Scenes that those calls asked for.
    pub scenes_asked: u64,
    /// Calls answered with labels, perhaps none.
    pub answered: u64,
    /// Calls answered with an error.
    pub failed_calls: u64,
    /// Calls answered with a request for a lower rate.
    pub throttled: u64,
    /// Calls without a usable answer, which may have been paid.
    pub thrown_away: u64,
    /// Calls that were in flight when a process was killed.
    pub unknown: u64,
    /// Calls made because an earlier one for the same image failed.
    pub retries: u64,
    /// Contents done by this run.
    pub done: u64,
    /// Contents given up by this run.
    pub failed: u64,
    /// Labels stored by this run.
    pub labels: u64,
}

/// The last rank of a scene's labels that is kept: six bits of a label's row.
pub const RANK_MAX: u32 = 63;

impl Counts {
    /// Contents in this run's queue or in flight.
    pub fn pending(&self) -> u64 {
        self.queued.saturating_sub(self.left + self.done + self.failed)
    }

    /// Wanted objects that are listed, without those that stand for a content in this run's account.
    pub(super) fn without_call(&self) -> u64 {
        self.wanted.saturating_sub(self.queued.saturating_sub(self.left))
    }

    /// Brings the numbers into line with what is in the queue: other runs may have taken of it, or a person
    /// put something back.
    pub(super) fn reconcile(&mut self, pending: u64) {
        let ended = self.done + self.failed;
        self.queued = self.queued.max(ended + pending);
        self.left = self.queued - ended - pending;
    }
}
