//! Runs blocking work on threads of its own.
//!
//! `tokio::task::spawn_blocking` panics if the system cannot start a thread. Here that is an error.

use tokio::sync::oneshot;

use super::Error;

/// Work that runs on a thread of its own.
#[derive(Debug)]
pub(super) struct Blocking<T>(oneshot::Receiver<T>);

impl<T: Send + 'static> Blocking<T> {
    /// Starts `work` on a thread with this name. The thread goes on even if this value is dropped.
    ///
    /// # Errors
    /// [`Error::Thread`] if the system cannot start a thread.
    pub(super) fn start(
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, Error> {
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || drop(end.send(work())))
            .map_err(Error::Thread)?;
        Ok(Self(ended))
    }

    /// Waits for the result of the work.
    ///
    /// # Errors
    /// [`Error::Panicked`] if the work panicked.
    pub(super) async fn result(self) -> Result<T, Error> {
        self.0.await.map_err(|_| Error::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_returns_its_result_or_an_error_if_it_panicked() {
        let work = Blocking::start("work", || 7).unwrap();
        assert_eq!(work.result().await.ok(), Some(7));
        let work = Blocking::<()>::start("work", || panic!("on purpose")).unwrap();
        assert!(matches!(work.result().await, Err(Error::Panicked)));
    }
}
