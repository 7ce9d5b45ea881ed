//! The stored forms of counts and of changes of counts: numbers of seven bits a byte.

use super::counter::Counter;

/// The number of confidences that a label can be stored with.
pub(crate) const CONFIDENCES: usize = 128;

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        bytes.push(u8::try_from(number & 127).unwrap_or_default() | 128);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift > 63 || (shift == 63 && byte & 0x7e != 0) {
            return None;
        }
        number |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

/// Folds a number so that small ones of either sign have few bits.
fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unfolded(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Encodes changes, which are in the order of their counters.
pub(crate) fn encode_changes(changes: &[(Counter, i64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(changes.len() * 5);
    let mut before = 0;
    for (counter, change) in changes {
        push(&mut bytes, (counter.number() - before).cast_unsigned());
        before = counter.number();
        push(&mut bytes, folded(*change));
    }
    bytes
}

/// Hands what [`encode_changes`] encoded to `each`. Returns `None` for any other bytes.
pub(crate) fn decode_changes(mut bytes: &[u8], mut each: impl FnMut(Counter, i64)) -> Option<()> {
    let mut number = 0_i64;
    while !bytes.is_empty() {
        number = number.checked_add_unsigned(take(&mut bytes)?)?;
        each(Counter::from_number(number), unfolded(take(&mut bytes)?));
    }
    Some(())
}

/// Encodes the counts of a label by its confidence.
pub(crate) fn encode_counts(counts: &[i64; CONFIDENCES]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut before = 0;
    for (confidence, count) in counts.iter().enumerate().filter(|(_, count)| **count != 0) {
        push(&mut bytes, (confidence - before) as u64);
        before = confidence;
        push(&mut bytes, folded(*count));
    }
    bytes
}

/// Adds what [`encode_counts`] encoded to `counts`. Returns `None` for any other bytes.
pub(crate) fn decode_counts(mut bytes: &[u8], counts: &mut [i64; CONFIDENCES]) -> Option<()> {
    let mut confidence = 0_u64;
    while !bytes.is_empty() {
        confidence = confidence.checked_add(take(&mut bytes)?)?;
        let count = counts.get_mut(usize::try_from(confidence).ok()?)?;
        *count = count.checked_add(unfolded(take(&mut bytes)?))?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn changes_and_counts_are_decoded_again(
            changes in proptest::collection::btree_map(0..i64::MAX, any::<i64>(), 0..40),
            some in proptest::collection::btree_map(0..CONFIDENCES, -9_000..9_000_000_i64, 0..40),
        ) {
            let changes: Vec<_> =
                changes.into_iter().map(|(n, by)| (Counter::from_number(n), by)).collect();
            let mut decoded = Vec::new();
            decode_changes(&encode_changes(&changes), |counter, by| decoded.push((counter, by)));
            prop_assert_eq!(decoded, changes);
            let (mut counts, mut again) = ([0; CONFIDENCES], [0; CONFIDENCES]);
            for (at, count) in some {
                counts[at] = count;
            }
            prop_assert_eq!(decode_counts(&encode_counts(&counts), &mut again), Some(()));
            prop_assert_eq!(again, counts);
        }

        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            decode_changes(&bytes, |_, _| ());
            decode_counts(&bytes, &mut [0; CONFIDENCES]);
        }
    }
}
