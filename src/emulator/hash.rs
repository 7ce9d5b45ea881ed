//! The hash that decides every random choice: the same seed and inputs give the same bucket, labels and faults.

/// Mixes `value` into `seed`. Each bit of either changes half of the bits of the result (the finalizer of `SplitMix64`).
pub(super) const fn mix(seed: u64, value: u64) -> u64 {
    let mut z = seed
        .wrapping_add(value.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns the hash of bytes.
pub(super) fn of_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

/// Converts a hash to a number in 0.0..1.0.
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which a double holds exactly")]
pub(super) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns `true` if an event of this probability happens for this hash.
pub(super) fn chance(hash: u64, probability: f64) -> bool {
    probability > 0.0 && unit(hash) < probability
}
