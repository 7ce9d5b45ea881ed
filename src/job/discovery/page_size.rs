//! The number of keys that a page of the listing is requested with. It is lowered if the network cuts large answers.

use std::sync::{Mutex, PoisonError};

use crate::cos::{self, list};

/// The smallest number of keys in a request.
const KEYS_MIN: u16 = 10;
/// The number of complete pages in a row after which the number of keys is doubled.
const COMPLETE_PAGES: u32 = 4;

/// The size of the next page. All listers of a run share one.
#[derive(Debug)]
pub(crate) struct PageSize(Mutex<State>);

#[derive(Debug)]
struct State {
    size: u16,
    /// Complete pages in a row.
    whole: u32,
    /// Pages in a row that were cut short.
    cut: u32,
}

impl Default for PageSize {
    fn default() -> Self {
        Self(Mutex::new(State { size: list::KEYS_MAX, whole: 0, cut: 0 }))
    }
}

impl PageSize {
    /// The number of keys to request.
    pub(crate) fn get(&self) -> u16 {
        self.lock().size
    }

    /// Notes that a page with up to `keys` keys was complete.
    pub(crate) fn succeeded(&self, keys: u16) {
        let mut state = self.lock();
        if keys != state.size {
            return;
        }
        (state.whole, state.cut) = (state.whole + 1, 0);
        if state.whole >= COMPLETE_PAGES {
            (state.size, state.whole) = (state.size.saturating_mul(2).min(list::KEYS_MAX), 0);
        }
    }

    /// Notes that a page with up to `keys` keys failed. If it took too long, or if two in a row were cut short, the
    /// number of keys is halved.
    pub(crate) fn failed(&self, keys: u16, error: &cos::Error) {
        let mut state = self.lock();
        let halves = match error {
            cos::Error::Timeout { .. } => true,
            // A single page may be cut short for other reasons than its size.
            cos::Error::Interrupted { .. } | cos::Error::Unusable { .. } => state.cut > 0,
            _ => return,
        };
        if keys != state.size {
            return;
        }
        (state.whole, state.cut) = (0, state.cut + 1);
        if halves {
            state.size = (state.size / 2).max(KEYS_MIN);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_cut_short_is_requested_with_fewer_keys() {
        let size = PageSize::default();
        let cut = cos::Error::Timeout { host: "h".to_owned(), cause: "slow".into() };
        for expected in [500, 250, 125, 62, 31, 15, 10, 10] {
            size.failed(size.get(), &cut);
            assert_eq!(size.get(), expected);
        }
        let refused = cos::Error::Connect { host: "h".to_owned(), cause: "refused".into() };
        size.failed(10, &refused);
        assert_eq!(size.get(), 10);
        for _ in 0..4 * 7 {
            size.succeeded(size.get());
        }
        assert_eq!(size.get(), 1000);
        let broken = cos::Error::Interrupted { host: "h".to_owned(), cause: "cut".into() };
        size.failed(1000, &broken);
        size.failed(1, &broken);
        assert_eq!(size.get(), 1000, "one page that is cut short does not lower the number");
        size.failed(1000, &broken);
        assert_eq!(size.get(), 500);
    }
}
