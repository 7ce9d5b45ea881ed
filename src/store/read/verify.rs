//! The checks of `costag verify`, and what they find.

/// The largest number of problems of one check that are described. Further ones are only counted.
const SHOWN: usize = 10;

/// The problems that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Problems {
    /// The number of problems.
    pub count: u64,
    /// The first of them, described.
    pub shown: Vec<String>,
}

impl Problems {
    /// Counts a problem, and describes it if it is one of the first.
    pub(in crate::store) fn add(&mut self, problem: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(problem());
        }
    }
}

/// A check and its result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// The check.
    pub check: Check,
    /// The problems that it found.
    #[serde(flatten)]
    pub problems: Problems,
    /// Observations that are no problems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A check begins.
    Begun(Check),
    /// A check is at work, and knows how far it is.
    Reached {
        /// The check.
        check: Check,
        /// The rows that it has looked at.
        done: u64,
        /// The rows that it has to look at, about.
        all: u64,
    },
}

/// What must hold of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Tables, views and indexes are those that this program creates, and there is no trigger.
    Schema,
    /// The file's pages and indexes are undamaged.
    Integrity,
    /// Every text is UTF-8.
    Texts,
    /// Every reference leads to a row.
    References,
    /// The state of a content agrees with its scenes.
    States,
    /// No content is in flight unless a run is under way, or was killed.
    InFlight,
    /// The ranges of a run cover its scope without gaps or overlaps, and a complete run has listed all of them.
    Ranges,
    /// Labels belong to labelled scenes, have consecutive ranks, and a confidence up to 100.
    Labels,
    /// The kept counts are those of counting every row anew.
    Counts,
    /// The postings name every label that they have to name.
    Postings,
    /// The ledger has the calls that contents and runs count.
    Ledger,
    /// Every failure has its reason.
    Failures,
    /// Every content is found by the hash of its identity.
    Identities,
    /// Every present, wanted object has a content that is done, failed or waiting.
    Objects,
    /// The counts and settings of a run can be read, and its state agrees with its times.
    Runs,
}

impl Check {
    /// Every check, in the order in which they run.
    pub const ALL: [Self; 15] = [
        Self::Schema,
        Self::Integrity,
        Self::Texts,
        Self::References,
        Self::Runs,
        Self::Ranges,
        Self::States,
        Self::InFlight,
        Self::Failures,
        Self::Identities,
        Self::Objects,
        Self::Labels,
        Self::Ledger,
        Self::Postings,
        Self::Counts,
    ];

    /// The name of the check, in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Integrity => "integrity",
            Self::Texts => "texts",
            Self::References => "references",
            Self::States => "states",
            Self::InFlight => "in-flight",
            Self::Ranges => "ranges",
            Self::Labels => "labels",
            Self::Ledger => "ledger",
            Self::Postings => "postings",
            Self::Counts => "counts",
            Self::Failures => "failures",
            Self::Identities => "identities",
            Self::Objects => "objects",
            Self::Runs => "runs",
        }
    }
}
