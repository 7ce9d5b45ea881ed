//! Keeps back a few contents from all over the queue, which are claimed last.
//!
//! When the last images of a run fail one after the other, the cause may be an outage or these images. Images from
//! other parts of the bucket that were not tried yet show which of the two it is.

/// The number of contents that are kept back.
const SIZE: usize = 8;
/// The number of contents that are claimed before any is kept back, since a sample of so few does not represent the
/// others.
const FIRST: u64 = 16;

/// The contents that are kept back: a random sample of all that were to be claimed so far.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    ids: Vec<i64>,
    seen: u64,
    /// How often a content was asked for to find out whether an outage is over.
    looks: u64,
}

impl Reserve {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn contains(&self, content_id: i64) -> bool {
        self.ids.contains(&content_id)
    }

    /// Decides whether a content that is about to be claimed is kept back instead. Returns true if it is.
    pub(crate) fn keeps(&mut self, content_id: i64) -> bool {
        if self.contains(content_id) {
            return true;
        }
        self.seen += 1;
        if self.seen <= FIRST {
            return false;
        }
        if self.ids.len() < SIZE {
            self.ids.push(content_id);
            return true;
        }
        // Each content seen so far is kept with the same probability. A content that makes room is claimed next time.
        let place = mixed(self.seen) % self.seen;
        match usize::try_from(place).ok().and_then(|place| self.ids.get_mut(place)) {
            Some(kept) => {
                *kept = content_id;
                true
            }
            None => false,
        }
    }

    /// Returns a content to find out whether the service is back, every second time. The other times it comes from the
    /// queue, so that a long outage does not use up the reserve.
    pub(crate) fn next_to_look_with(&mut self) -> Option<i64> {
        self.looks += 1;
        self.ids.first().copied().filter(|_| self.looks % 2 == 1)
    }

    /// Removes a content that is claimed.
    pub(crate) fn remove(&mut self, content_id: i64) {
        self.ids.retain(|id| *id != content_id);
    }

    /// Removes every content.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
    }
}

/// Mixes the bits of a number (splitmix64).
const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_from_all_over_the_queue_are_kept_back() {
        let mut reserve = Reserve::default();
        for id in 0..10_000 {
            reserve.keeps(id);
        }
        assert_eq!(reserve.len(), SIZE);
        let first_half = reserve.ids.iter().filter(|id| **id < 5000).count();
        assert!((1..SIZE).contains(&first_half), "{:?}", reserve.ids);
        let kept = reserve.ids[0];
        assert!(reserve.keeps(kept));
        assert_eq!((reserve.next_to_look_with(), reserve.next_to_look_with()), (Some(kept), None));
        reserve.remove(kept);
        assert_eq!(reserve.len(), SIZE - 1);
    }
}
