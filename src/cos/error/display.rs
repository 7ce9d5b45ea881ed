//! Parts of the messages of errors: each writes itself, or nothing if its value is absent.

use std::fmt;

use crate::cos::resolve;

/// The message for an answer that does not come from the service.
pub(super) struct Between<'a> {
    pub(super) host: &'a str,
    pub(super) status: u16,
    pub(super) what: &'a str,
    pub(super) location: Option<&'a str>,
}

impl fmt::Display for Between<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, status, what, location } = self;
        if *status == 407 {
            write!(f, "the proxy on the way to {host} asks for a user name and a password: ")?;
        }
        write!(f, "HTTP {status} from something in between, not from {host}: {what}")?;
        location.map_or(Ok(()), |location| write!(f, ", a redirect to {location}"))
    }
}

/// The id of the request.
pub(super) struct Id<'a>(pub(super) Option<&'a str>);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (request id {id})"))
    }
}

/// The place from which the credentials of the request came.
pub(super) struct Source<'a>(pub(super) Option<&'a str>);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |source| write!(f, "; the credentials came from {source}"))
    }
}

/// The target of a redirect.
pub(super) struct To<'a>(pub(super) Option<&'a str>);

impl fmt::Display for To<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |location| write!(f, ", a redirect to {location}"))
    }
}

/// The known region with the nearest name to that of a host that does not exist.
pub(super) struct Nearest<'a>(pub(super) &'a str);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        resolve::nearest_region(self.0)
            .map_or(Ok(()), |region| write!(f, "; the region with the nearest name is {region}"))
    }
}

/// Returns the separator, or an empty text if the part that it belongs to is empty.
pub(super) fn sep<'a>(separator: &'a str, before: &str) -> &'a str {
    if before.is_empty() { "" } else { separator }
}
