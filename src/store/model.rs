//! The values of the store that are stored as a number, a name or JSON, and what they mean.

use serde::{Deserialize, Serialize};

/// `content.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ContentState {
    /// A scene is wanted that is not labelled yet, or was asked for again.
    Pending = 0,
    /// Claimed by the run in `run_id`, and not settled.
    InFlight = 1,
    /// Every wanted scene is labelled.
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

/// `call.outcome`: how a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum CallOutcome {
    /// The call was answered, with labels or without any.
    Answered = 0,
    /// The service answered with an error.
    Failed = 1,
    /// The service asked for a lower rate.
    Throttled = 2,
    /// The call was sent and got no usable answer. It may have to be paid.
    ThrownAway = 3,
    /// The call was in flight when the process ended. It may have been sent and may have to be paid.
    Unknown = 4,
    /// No call was made: the labels were imported from a file. Such a row costs nothing and is in no sum.
    Imported = 5,
}

impl CallOutcome {
    /// The outcome with this stored number.
    pub fn from_id(id: i64) -> Option<Self> {
        [
            Self::Answered,
            Self::Failed,
            Self::Throttled,
            Self::ThrownAway,
            Self::Unknown,
            Self::Imported,
        ]
        .into_iter()
        .find(|outcome| *outcome as i64 == id)
    }
}

/// `run.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// The run is under way. If no process holds the lock, it was killed.
    Running,
    /// Everything was listed, and nothing is pending.
    Complete,
    /// A signal ended the run.
    Interrupted,
    /// A budget, a window, the breaker or a fatal error ended the run.
    Stopped,
    /// A later run over the same source took its place.
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
    /// A key that the listing before did not have.
    Added,
    /// A key with other bytes, another storage class or another time.
    Changed,
    /// A key that the listing no longer has.
    Gone,
    /// A gone key and an added key that have one content.
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
    /// A key that ends in `/`: the placeholder of a folder.
    Folder,
    /// The object has no bytes.
    Empty,
    /// The suffix of the key is not one of the image suffixes.
    Suffix,
    /// No `--include` glob matches.
    NotIncluded,
    /// An `--exclude` glob matches.
    Excluded,
    /// The object is in a storage class from which it must be restored before it can be read.
    Archive,
    /// The object is smaller than the smallest wanted size.
    TooSmall,
    /// The object is larger than the largest wanted size.
    TooLarge,
    /// No request can name the key: it would name the bucket itself.
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

/// What the last error of a content means for later runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Only new bytes, `costag retry` or `costag retag` bring the content back.
    Final = 1,
    /// The next run puts the content back, once.
    Temporary = 2,
}

impl ErrorKind {
    /// The kind with this stored number. 0 means that there is no error: `Some(None)`. Any other number is unknown:
    /// `None`.
    pub fn from_id(id: i64) -> Option<Option<Self>> {
        match id {
            0 => Some(None),
            1 => Some(Some(Self::Final)),
            2 => Some(Some(Self::Temporary)),
            _ => None,
        }
    }
}

/// `error.verdict`: what the last error of a content means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorVerdict {
    /// A fault of the service or the network that may pass.
    Retry,
    /// The service asked for a lower rate.
    Throttle,
    /// The service was not reached.
    Unreachable,
    /// A proxy or a gateway answered instead of the service.
    Foreign,
    /// The bytes cannot be labelled.
    Image,
    /// The object no longer exists. Lines of a list whose key the bucket does not have get the same name.
    Gone,
    /// The object must be restored from an archive first. It may be called once it has another storage class.
    Archived,
    /// Access to the object was denied.
    Denied,
    /// The service could not fetch the image from its source.
    Source,
    /// The reason is not known.
    Unknown,
}

impl ErrorVerdict {
    /// The stored text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Throttle => "throttle",
            Self::Unreachable => "unreachable",
            Self::Foreign => "foreign",
            Self::Image => "image",
            Self::Gone => "gone",
            Self::Archived => "archived",
            Self::Denied => "denied",
            Self::Source => "source",
            Self::Unknown => "unknown",
        }
    }
}

/// What a run has counted. It is stored as JSON in `run.counts`, in the same transactions as what it counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Objects listed, or lines read from the list.
    pub listed: u64,
    /// Objects listed that are wanted.
    pub wanted: u64,
    /// Objects listed that are skipped, by [`SkipReason::name`].
    pub skipped: std::collections::BTreeMap<String, u64>,
    /// Keys that the service listed and no request can carry: not UTF-8, or with impossible fields.
    pub rejected: u64,
    /// Lines of the list that repeat an earlier one. They do not count as listed.
    pub repeated: u64,
    /// Lines of the list that failed without a call: no request can carry them, or they cannot be looked up.
    pub lines_failed: u64,
    /// Lines of the list whose key the bucket does not have.
    pub missing: u64,
    /// Lines of the list whose image is given up, in this run or in an earlier one. Counted when the run is complete.
    pub given_up_lines: u64,
    /// Objects that the listing before did not have.
    pub added: u64,
    /// Objects whose content or storage class is new.
    pub changed: u64,
    /// Objects that the bucket no longer has.
    pub gone: u64,
    /// Wanted objects for which no call was made: they were labelled or given up before, or another key of their
    /// content was called.
    pub reused: u64,
    /// Contents put into the queue by this run's listing.
    pub queued: u64,
    /// Contents that left the queue without a call: no object wants them any longer, or they are in the queue of
    /// another run now.
    pub left: u64,
    /// Calls that ended, with or without an answer.
    pub calls: u64,
    /// Scenes that those calls asked for.
    pub scenes_asked: u64,
    /// Calls that were answered, with labels or without any.
    pub answered: u64,
    /// Calls that the service answered with an error.
    pub failed_calls: u64,
    /// Calls that the service throttled.
    pub throttled: u64,
    /// Calls that got no usable answer and may have to be paid.
    pub thrown_away: u64,
    /// Calls that were in flight when a process was killed.
    pub unknown: u64,
    /// Calls made because an earlier call for the same image had failed.
    pub retries: u64,
    /// Contents done by this run.
    pub done: u64,
    /// Contents given up by this run.
    pub failed: u64,
    /// Labels stored by this run.
    pub labels: u64,
}

/// The largest rank of a label that is stored: six bits of the id of its row.
pub const RANK_MAX: u32 = 63;

impl Counts {
    /// The number of contents in the queue of this run or in flight.
    pub fn pending(&self) -> u64 {
        self.queued.saturating_sub(self.left + self.done + self.failed)
    }

    /// The number of wanted objects that needed no call: the wanted ones without the contents that this run has queued
    /// and that stayed in its queue.
    pub(super) fn without_call(&self) -> u64 {
        self.wanted.saturating_sub(self.queued.saturating_sub(self.left))
    }

    /// Brings the counts into line with the number of contents in the queue: other runs may have taken some, or a
    /// person may have put some back.
    pub(super) fn reconcile(&mut self, pending: u64) {
        let ended = self.done + self.failed;
        self.queued = self.queued.max(ended + pending);
        self.left = self.queued - ended - pending;
    }
}
