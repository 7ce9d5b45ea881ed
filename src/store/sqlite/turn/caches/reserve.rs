//! A few contents from all over the queue that are claimed last.
//!
//! When the last images of a run fail one after the other, it cannot be told from them whether the service is out or
//! these images are at fault. Images from elsewhere in the bucket, which nobody has tried yet, can tell.

/// So many are kept back.
const SIZE: usize = 8;
/// The first of a run are claimed as they come: of so few, none can stand for the others.
const FIRST: u64 = 16;

/// The contents that are kept back: a sample of all that were claimed so far.
#[derive(Debug, Default)]
pub(in super::super) struct Reserve {
    ids: Vec<i64>,
    seen: u64,
    /// How often one was asked for to look with.
    looks: u64,
}

impl Reserve {
    pub(in super::super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(in super::super) fn contains(&self, content_id: i64) -> bool {
        self.ids.contains(&content_id)
    }

    /// Whether this content, which is about to be claimed, is kept back instead.
    pub(in super::super) fn keeps(&mut self, content_id: i64) -> bool {
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
        // Each content seen so far is kept with the same probability; the one that makes room is claimed next time.
        let place = mixed(self.seen) % self.seen;
        match usize::try_from(place).ok().and_then(|place| self.ids.get_mut(place)) {
            Some(kept) => {
                *kept = content_id;
                true
            }
            None => false,
        }
    }

    /// One to look with whether the service is back, every second time: the others come from the queue, so that a long
    /// outage does not use up what is kept back.
    pub(in super::super) fn next_to_look_with(&mut self) -> Option<i64> {
        self.looks += 1;
        self.ids.first().copied().filter(|_| self.looks % 2 == 1)
    }

    /// The content is claimed after all.
    pub(in super::super) fn remove(&mut self, content_id: i64) {
        self.ids.retain(|id| *id != content_id);
    }

    /// Nothing is kept back any more.
    pub(in super::super) fn clear(&mut self) {
        self.ids.clear();
    }
}

/// A number that looks random (splitmix64).
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
    fn a_few_are_kept_from_all_over_the_queue() {
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
