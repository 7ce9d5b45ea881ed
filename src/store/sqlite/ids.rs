//! A set of row ids.

use std::collections::HashMap;

/// The number of ids in a block.
const BLOCK: i64 = 4_096;
/// The number of words that hold a bit for each id of a block.
const WORDS: usize = 64;

/// A set of row ids, with about one bit for each id if they are close together.
///
/// Only blocks that have an id take memory, so ids that are far apart, as in a database that was tampered with, do no
/// harm.
#[derive(Debug, Default)]
pub(crate) struct IdSet(HashMap<i64, Box<[u64; WORDS]>>);

impl IdSet {
    /// Adds an id. Returns false if it was in the set before.
    pub(crate) fn insert(&mut self, id: i64) -> bool {
        let (block, word, bit) = place(id);
        let word = &mut self.0.entry(block).or_insert_with(|| Box::new([0; WORDS]))[word];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Whether the id is in the set.
    pub(crate) fn contains(&self, id: i64) -> bool {
        let (block, word, bit) = place(id);
        self.0.get(&block).is_some_and(|words| words[word] & bit != 0)
    }
}

/// The block, the word in it, and the bit in that word.
fn place(id: i64) -> (i64, usize, u64) {
    let within = usize::try_from(id.rem_euclid(BLOCK)).unwrap_or_default();
    (id.div_euclid(BLOCK), within / WORDS, 1 << (within % WORDS))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn a_set_of_ids_has_what_was_inserted(
            ids in proptest::collection::vec(prop_oneof![0_i64..9_000, any::<i64>()], 0..200),
            asked in proptest::collection::vec(0_i64..9_000, 0..50),
        ) {
            let (mut set, mut model) = (IdSet::default(), HashSet::new());
            for id in &ids {
                prop_assert_eq!(set.insert(*id), model.insert(*id));
            }
            for id in ids.iter().chain(&asked) {
                prop_assert_eq!(set.contains(*id), model.contains(id));
            }
        }
    }
}
