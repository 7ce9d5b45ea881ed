//! The time that requests are signed with: the local clock, corrected by what the service says.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::Error;

/// A difference below this is no clock problem: correcting it would only try again what failed.
const CORRECTABLE: i64 = 30;

/// Stands for "no answer has told its time yet".
const UNMEASURED: i64 = i64::MIN;

/// The corrected clock. Cheap to read, shared by all requests.
#[derive(Debug)]
pub struct Clock {
    local: fn() -> i64,
    offset: AtomicI64,
    measured: AtomicI64,
}

/// The local time in Unix seconds; 0 for a clock before 1970.
pub(super) fn local() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Default for Clock {
    fn default() -> Self {
        Self::with_local(local)
    }
}

impl Clock {
    /// A clock that corrects what `local` tells, in Unix seconds.
    pub fn with_local(local: fn() -> i64) -> Self {
        Self { local, offset: AtomicI64::new(0), measured: AtomicI64::new(UNMEASURED) }
    }

    /// The corrected time in Unix seconds.
    pub fn now(&self) -> i64 {
        (self.local)().saturating_add(self.offset())
    }

    /// Seconds that are added to the local time.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Server time less local time, in seconds, as the last answer's `Date` told it; not necessarily applied.
    pub fn measured(&self) -> Option<i64> {
        Some(self.measured.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNMEASURED)
    }

    /// Notes the server's time, in Unix seconds, without applying it.
    pub(super) fn observe(&self, server: i64) {
        self.measured.store(server.saturating_sub((self.local)()), Ordering::Relaxed);
    }

    /// Corrects the clock by what a refused request tells, and says whether signing anew may help.
    ///
    /// Only `RequestTimeTooSkewed` and `Request has expired` are looked at, and only a difference of 30 s
    /// or more counts. It is also worth signing anew if another request has corrected the clock since.
    pub fn correct(&self, error: &Error) -> bool {
        let Some(error) = error.service().filter(|e| e.complains_of_time()) else { return false };
        let offset = self.offset();
        if error.signed.as_ref().is_some_and(|signed| signed.offset != offset) {
            return true;
        }
        let Some(server) = error.date.or(error.server_time) else { return false };
        let difference = server.saturating_sub((self.local)());
        if difference.abs_diff(offset) < CORRECTABLE.unsigned_abs() {
            return false;
        }
        self.offset.store(difference, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cos::ServiceError;

    const LOCAL: i64 = 1_700_000_000;

    fn refused(code: &str, message: &str, date: Option<i64>, server_time: Option<i64>) -> Error {
        let error = ServiceError {
            status: 403,
            code: code.to_owned(),
            message: message.to_owned(),
            date,
            server_time,
            ..ServiceError::default()
        };
        error.into()
    }

    #[test]
    fn the_date_header_corrects_and_the_body_stands_in_for_it() {
        let clock = Clock::with_local(|| LOCAL);
        let date = refused("RequestTimeTooSkewed", "", Some(LOCAL + 1000), Some(LOCAL + 5));
        assert!(clock.correct(&date));
        assert_eq!((clock.offset(), clock.now()), (1000, LOCAL + 1000));
        let body = refused("AccessDenied", "Request has expired", None, Some(LOCAL - 1000));
        assert!(clock.correct(&body));
        assert_eq!(clock.now(), LOCAL - 1000);
    }

    #[test]
    fn a_small_difference_or_another_complaint_corrects_nothing() {
        let clock = Clock::with_local(|| LOCAL);
        for error in [
            refused("RequestTimeTooSkewed", "", Some(LOCAL + 29), None),
            refused("RequestTimeTooSkewed", "", Some(LOCAL - 29), None),
            refused("RequestTimeTooSkewed", "", None, None),
            refused("AccessDenied", "Access Denied.", Some(LOCAL + 1000), None),
        ] {
            assert!(!clock.correct(&error), "{error}");
        }
        assert_eq!(clock.offset(), 0);
        assert!(clock.correct(&refused("RequestTimeTooSkewed", "", Some(LOCAL + 30), None)));
        // The same complaint with the corrected clock is no clock problem: no loop.
        assert!(!clock.correct(&refused("RequestTimeTooSkewed", "", Some(LOCAL + 30), None)));
    }
}
