//! The set of all parts of the secrets.

use std::collections::HashSet;

/// The shortest part of a secret that is removed, in characters. Shorter parts reveal too little to matter, and they
/// occur in ordinary texts by chance.
pub(super) const WINDOW: usize = 8;

/// [`WINDOW`] characters as one number, the first one in the highest byte.
pub(super) type Window = u64;

/// Bits of the filter in front of the set of windows. A permanent key and its id have about fifty windows, a token a
/// thousand.
const FILTER_BITS: u32 = 15;

/// Every run of [`WINDOW`] characters of the secrets, in lower case.
pub(super) struct Windows {
    all: HashSet<Window>,
    /// A bit is set if a window with this hash is known. Almost every window of a text without secrets is ruled out here,
    /// which costs a tenth of a look-up in the set.
    filter: Box<[u64]>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { all: HashSet::new(), filter: vec![0; 1 << (FILTER_BITS - 6)].into() }
    }
}

impl Windows {
    /// The word of the filter and the bit in it that belong to a window (Fibonacci hashing).
    fn place(window: Window) -> (usize, u64) {
        let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
        (usize::try_from(hash >> 6).unwrap_or_default(), 1 << (hash & 63))
    }

    pub(super) fn insert(&mut self, window: Window) {
        let (word, bit) = Self::place(window);
        self.filter[word] |= bit;
        self.all.insert(window);
    }

    #[inline]
    pub(super) fn contains(&self, window: Window) -> bool {
        let (word, bit) = Self::place(window);
        self.filter[word] & bit != 0 && self.all.contains(&window)
    }
}
