//! The random sample of the queue from which a trial claims.

/// The sample of a session. It is empty unless it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// How many contents were asked for; `None` if claims take the whole queue.
    size: Option<u64>,
    /// The contents that are left, the next one last: claims pop from the end.
    ids: Vec<i64>,
    /// True if `ids` has to be drawn again. The order of drawing depends on the ids alone, so the same contents
    /// come first again.
    is_stale: bool,
    /// `size` as of the last commit.
    committed: Option<u64>,
}

impl Sample {
    /// Asks for a sample of this size, drawn with the next claim.
    pub(crate) fn ask_for(&mut self, size: u64) {
        self.size = Some(size);
        self.is_stale = true;
    }

    /// Returns true if claims of the first pass take only contents of a sample.
    pub(crate) fn is_active(&self) -> bool {
        self.size.is_some()
    }

    /// The number of contents to draw before the next claim; `None` if they are drawn already.
    pub(crate) fn to_draw(&self) -> Option<u64> {
        self.size.filter(|_| self.is_stale)
    }

    /// Replaces the contents by these, the first one to be claimed first.
    pub(crate) fn draw(&mut self, mut ids: Vec<i64>) {
        ids.reverse();
        self.ids = ids;
        self.is_stale = false;
    }

    /// Takes the next content.
    pub(crate) fn pop(&mut self) -> Option<i64> {
        self.ids.pop()
    }

    /// A content that was claimed and not settled is claimed again, after all others.
    pub(crate) fn give_back(&mut self, content_id: i64) {
        if self.is_active() {
            self.ids.insert(0, content_id);
        }
    }

    /// The contents that are left, the next one last.
    #[cfg(test)]
    pub(crate) fn ids(&self) -> &[i64] {
        &self.ids
    }

    pub(super) fn commit(&mut self) {
        self.committed = self.size;
    }

    pub(super) fn roll_back(&mut self) {
        self.size = self.committed;
        self.ids.clear();
        self.is_stale = true;
    }
}
