//! Where the ledger ends, and up to which call labels are posted.

/// The ledger as this session knows it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The id of the last row; only valid if `posted` is known.
    pub(crate) last_call: i64,
    /// The id of the first row that this session has written.
    pub(crate) first_call: Option<i64>,
    /// The last call whose labels are posted; `None` until it was read.
    pub(crate) posted: Option<i64>,
    /// The offset of the clock that is stored, in seconds; `None` until it was read.
    pub(crate) clock_offset: Option<i64>,
    /// `first_call` as of the last commit.
    committed_first: Option<i64>,
}

impl Ledger {
    /// Notes a row that was written.
    pub(crate) fn written(&mut self, id: i64) {
        self.last_call = id;
        self.first_call.get_or_insert(id);
    }

    pub(super) fn commit(&mut self) {
        self.committed_first = self.first_call;
    }

    pub(super) fn roll_back(&mut self) {
        self.first_call = self.committed_first;
        self.posted = None;
        self.clock_offset = None;
    }
}
