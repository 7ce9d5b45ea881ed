/// Pseudo-random numbers from a seed (xorshift), so that a failure can be reproduced.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below this limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// One of these values.
    pub(crate) fn one_of<T: Copy>(&mut self, sides: &[T]) -> T {
        sides[usize::try_from(self.roll() % 1_000_003).unwrap() % sides.len()]
    }
}
