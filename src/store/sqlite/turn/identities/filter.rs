//! A Bloom filter: tells that a hash is new for sure, or that it may be known.
//!
//! The hashes are evenly distributed, so their own bits choose a block and the bits in it. All bits of a hash are in one
//! block, which is a cache line, because reaching memory is what a look-up costs.

/// The words of a block.
const WORDS: usize = 8;

/// The bits that a hash sets.
const BITS: u32 = 5;

/// The bits of the filter for each hash that it has room for. With these, one new hash in a hundred seems known.
const BITS_EACH: usize = 11;

/// The fewest hashes that a filter has room for.
const SMALLEST: usize = if cfg!(test) { 8 } else { 1 << 20 };

#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<[u64; WORDS]>,
    /// The number of hashes that were inserted, and the number that it has room for.
    inserted: usize,
    room: usize,
}

impl Filter {
    /// Makes an empty filter with room for `known` hashes and as many new ones.
    pub(super) fn for_as_many_again(known: usize) -> Self {
        let room = (2 * known).max(SMALLEST);
        let blocks = (room * BITS_EACH).div_ceil(64 * WORDS);
        Self { blocks: vec![[0; WORDS]; blocks], inserted: 0, room }
    }

    /// Returns true if there is no room for further hashes. The filter still works, and is right less often.
    pub(super) fn is_full(&self) -> bool {
        self.inserted > self.room
    }

    pub(super) fn insert(&mut self, hash: i64) {
        self.inserted += 1;
        let block = self.block(hash);
        for (word, bit) in bits(hash) {
            self.blocks[block][word] |= bit;
        }
    }

    /// Returns false if the hash was not inserted, and mostly true otherwise.
    pub(super) fn may_have(&self, hash: i64) -> bool {
        let block = &self.blocks[self.block(hash)];
        bits(hash).all(|(word, bit)| block[word] & bit != 0)
    }

    fn block(&self, hash: i64) -> usize {
        let scaled = u128::from(hash.cast_unsigned()) * self.blocks.len() as u128;
        usize::try_from(scaled >> 64).unwrap_or_default()
    }
}

/// The words of a block that a hash uses, and its bit in each of them. The highest bits, which choose the block, are not
/// used again.
fn bits(hash: i64) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS).map(move |n| {
        let nine = (hash >> (9 * n)) & 511;
        let word = usize::try_from(nine >> 6).unwrap_or_default();
        (word % WORDS, 1 << (nine & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_was_inserted_is_known_and_few_others_are() {
        let hash = |n: i64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()) ^ (n << 7);
        let mut filter = Filter::for_as_many_again(5000);
        (0..10_000).for_each(|n| filter.insert(hash(n)));
        assert!(!filter.is_full());
        assert!((0..10_000).all(|n| filter.may_have(hash(n))));
        let wrong = (10_000..20_000).filter(|n| filter.may_have(hash(*n))).count();
        assert!(wrong < 500, "{wrong}");
        filter.insert(0);
        assert!(filter.is_full());
    }
}
