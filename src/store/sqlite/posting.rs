//! The stored form of postings: in which blocks of neighbouring contents a label occurs.

/// The number of calls whose labels are posted together. It is small in tests, so that they reach several segments.
pub(super) const SEGMENT: i64 = if cfg!(test) { 8 } else { 8192 };

/// The binary logarithm of the number of contents in a block. A search reads the labels of whole blocks.
pub(super) const SHIFT: u32 = 2;

/// A tag is too common for postings if it occurs in more than one block out of this many. A search reads all labels
/// then.
pub(super) const COMMON: usize = 4;

/// A tag that occurs in fewer blocks than this is never too common, since most calls of a segment may have failed.
pub(super) const FEW: usize = if cfg!(test) { 2 } else { 256 };

/// The row of `meta` with the last call whose labels are posted.
pub(super) const POSTED: &str = "posted_call";

/// Encodes ascending numbers, none of them negative, as differences of seven bits a byte.
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

/// Decodes what [`encode`] returned. Returns `None` for any other bytes.
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
        fn encoded_blocks_are_decoded_again(mut blocks in proptest::collection::vec(0..i64::MAX >> 10, 0..50)) {
            blocks.sort_unstable();
            prop_assert_eq!(decode(&encode(&blocks)), Some(blocks));
        }

        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            decode(&bytes);
        }
    }
}
