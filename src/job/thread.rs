//! Work that blocks, on threads of its own.
//!
//! The runtime's own pool of such threads panics if the system gives no thread; here that is an error.

use tokio::sync::oneshot;

use super::Error;

/// Work that goes on in a thread.
#[derive(Debug)]
pub(super) struct Blocking<T>(oneshot::Receiver<T>);

impl<T: Send + 'static> Blocking<T> {
    /// Starts `work` on a thread of this name. The thread goes on if nobody waits for it any more.
    ///
    /// # Errors
    /// [`Error::Thread`] if the system gives no thread.
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

    /// Waits for what the work gives.
    ///
    /// # Errors
    /// [`Error::Panicked`] if it panicked.
    pub(super) async fn result(self) -> Result<T, Error> {
        self.0.await.map_err(|_| Error::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_gives_its_result_or_that_it_panicked() {
        let work = Blocking::start("work", || 7).unwrap();
        assert_eq!(work.result().await.ok(), Some(7));
        let work = Blocking::<()>::start("work", || panic!("on purpose")).unwrap();
        assert!(matches!(work.result().await, Err(Error::Panicked)));
    }
}
