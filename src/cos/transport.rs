//! Reads the errors of the HTTP transport.

use std::error::Error as StdError;
use std::time::Duration;

use rustls::CertificateError;

use crate::system;

/// The cause of an error. A transport error is kept without its URL, which may hold a signature.
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

/// Returns the error without its URL.
pub(super) fn without_url(error: reqwest::Error) -> Cause {
    Box::new(error.without_url())
}

/// A certificate that expired longer ago than this suggests that this machine's clock is wrong: nobody leaves one
/// expired for that long.
const YEARS: Duration = Duration::from_hours(2 * 365 * 24);

/// Returns `None` if no error in the chain is a refused certificate. Otherwise returns whether this machine's clock may be
/// the reason: the certificate is not valid yet, or expired years ago.
pub(super) fn certificate(error: &(dyn StdError + 'static)) -> Option<bool> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(match reason {
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => true,
                CertificateError::ExpiredContext { time, not_after } => {
                    time.as_secs().saturating_sub(not_after.as_secs()) > YEARS.as_secs()
                }
                _ => false,
            });
        }
        // An `io::Error` does not return the error inside it as its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}

/// Returns `true` if the connection was closed before any of the request was written. hyper says so only of a request that
/// it has given back whole. Any other end of a connection may have come after the service had read the request.
pub(super) fn is_unwritten(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns `true` if the process or the system has reached its limit of open files.
pub(super) fn is_limit_of_files(cause: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(cause);
    while let Some(error) = next {
        let number = error.downcast_ref().and_then(std::io::Error::raw_os_error);
        if number.is_some_and(system::is_limit_of_files) {
            return true;
        }
        next = error.source();
    }
    false
}
