//! The next free id: objects and contents are numbered in one sequence.

/// The next id, once it was read.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    next: Option<i64>,
}

impl Numbers {
    /// Takes the next id. `read` returns the first free id in the database, and is called once.
    pub(crate) fn take<E>(&mut self, read: impl FnOnce() -> Result<i64, E>) -> Result<i64, E> {
        let id = match self.next {
            Some(next) => next,
            None => read()?,
        };
        self.next = Some(id + 1);
        Ok(id)
    }
}
