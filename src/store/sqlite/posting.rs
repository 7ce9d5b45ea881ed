//! Where labels are, in blocks of neighbouring contents: the form in which it is stored.

/// Calls whose labels are posted together; few in tests, so that they come to several.
pub(super) const SEGMENT: i64 = if cfg!(test) { 8 } else { 8192 };

/// Contents of a block, as a shift: a search reads the labels of whole blocks.
pub(super) const SHIFT: u32 = 2;

/// A tag in more than one of so many blocks is not worth its bytes...
pub(super) const COMMON: usize = 4;

/// ... unless it is in fewer than so many: most calls of a segment may have failed.
pub(super) const FEW: usize = if cfg!(test) { 2 } else { 256 };

/// The name of the row of `meta` that holds the last call whose labels are posted.
pub(super) const POSTED: &str = "posted_call";

/// Ascending numbers, none below 0, in few bytes.
pub(super) fn encode(blocks: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(blocks.len() + 4);
    let mut before = 0;
    for block in blocks {
        let mut difference = block - before;
        before = *block;
        while difference > 127 {
            bytes.push(u8::try_from(difference & 127).unwrap_or(0) | 128);
            difference >>= 7;
        }
        bytes.push(u8::try_from(difference).unwrap_or(0));
    }
    bytes
}

/// What [`encode`] was given; `None` if these are no such bytes.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut blocks = Vec::with_capacity(bytes.len());
    let (mut block, mut difference, mut shift) = (0_i64, 0_i64, 0);
    for byte in bytes {
        difference |= i64::from(byte & 127).checked_shl(shift).filter(|_| shift < 63)?;
        if byte & 128 == 0 {
            block = block.checked_add(difference)?;
            blocks.push(block);
            (difference, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
    (shift == 0).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn what_is_posted_is_found(mut blocks in proptest::collection::vec(0..i64::MAX >> 10, 0..50)) {
            blocks.sort_unstable();
            prop_assert_eq!(decode(&encode(&blocks)), Some(blocks));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            decode(&bytes);
        }
    }
}
