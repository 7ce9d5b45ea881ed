//! Failures with the same code, one after another. If nothing else comes, it is not the image or the key that fails.

/// As many equal failures as this, without a success before them, stop the run, unless a key was found.
pub(super) const TOO_LONG: u32 = 20;

/// Counts failures with the same code that came one after another.
#[derive(Debug, Default)]
pub(super) struct Streak {
    code: String,
    count: u32,
}

impl Streak {
    /// Counts a failure. Returns how many with this code have come one after another, including this one.
    pub(super) fn failed(&mut self, code: &str) -> u32 {
        if self.code != code {
            *self = Self { code: code.to_owned(), count: 0 };
        }
        self.count += 1;
        self.count
    }

    /// Ends the streak, because something else than a failure came.
    pub(super) fn end(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_ends_with_another_code_or_with_a_success() {
        let mut streak = Streak::default();
        assert_eq!([streak.failed("A"), streak.failed("A"), streak.failed("B")], [1, 2, 1]);
        assert_eq!(streak.failed("B"), 2);
        streak.end();
        assert_eq!(streak.failed("B"), 1);
    }
}
