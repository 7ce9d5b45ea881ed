//! The verdicts, and the requests that they are about.

use crate::store::model::ErrorVerdict;

/// Which request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GET Bucket.
    List,
    /// HEAD Object.
    Head,
    /// `detect-label`.
    Label,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again later. The call may have been paid.
    Retry,
    /// Try again, and lower the pace of the whole job. This uses no attempt.
    Throttle,
    /// Store the image as failed, and go on with others.
    GiveUp(GiveUp),
    /// Stop the job, because every other request would fail too.
    Stop(Stop),
    /// Correct the clock and sign the request again, see [`cos::Clock::correct`](crate::cos::Clock::correct).
    FixClock,
    /// Renew the credentials and sign the request again, see [`cos::Client::refresh_credentials`](crate::cos::Client::refresh_credentials).
    RefreshCredentials,
    /// Nothing was sent: wait for the network. This uses no attempt.
    Unreachable,
    /// A proxy or a gateway answered instead of the service: try again later. The answer says nothing about the image.
    Foreign,
}

/// Why an image is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// Its bytes cannot be labelled. It is tried again only if the bytes change, or on request.
    Image,
    /// The object no longer exists. Another key of the content may exist.
    Gone,
    /// The object is archived, and must be restored first.
    Archived,
    /// Access to this object was denied. A new run tries it again.
    Denied,
    /// The service could not fetch the image, for example from a URL. It is tried once or twice more.
    Source,
    /// The reason is not known.
    Unknown,
}

/// Why the job stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The bucket, the region, the endpoint or a setting is wrong.
    Configuration,
    /// The secret id or the secret key is wrong or has expired.
    Credentials,
    /// The account lacks a permission.
    Permission,
    /// Cloud Infinite is not switched on for the bucket.
    NotActivated,
    /// The account is in arrears or blocked.
    Arrears,
    /// The service refuses requests because of their time, though the clock agrees with the service.
    Clock,
    /// The answer does not follow the protocol that this program knows.
    Protocol,
    /// This process cannot open more files.
    Limit,
}

impl Verdict {
    /// The word that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => ErrorVerdict::Retry.name(),
            Self::Throttle => ErrorVerdict::Throttle.name(),
            Self::GiveUp(reason) => reason.name(),
            Self::Stop(reason) => reason.name(),
            Self::FixClock => "fix clock",
            Self::RefreshCredentials => "refresh credentials",
            Self::Unreachable => ErrorVerdict::Unreachable.name(),
            Self::Foreign => ErrorVerdict::Foreign.name(),
        }
    }

    /// What is stored with an image whose call got this verdict. An image that is not at fault itself is called again.
    pub const fn stored(self) -> ErrorVerdict {
        match self {
            Self::Retry | Self::Stop(_) | Self::FixClock | Self::RefreshCredentials => {
                ErrorVerdict::Retry
            }
            Self::Throttle => ErrorVerdict::Throttle,
            Self::GiveUp(reason) => reason.stored(),
            Self::Unreachable => ErrorVerdict::Unreachable,
            Self::Foreign => ErrorVerdict::Foreign,
        }
    }

    /// Returns whether the fault may pass by itself, because the service or the network has a problem.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Retry | Self::Throttle | Self::Unreachable | Self::Foreign)
    }

    /// The verdict if the repair that this one asks for is impossible: the job stops.
    #[must_use]
    pub const fn unrepaired(self) -> Self {
        match self {
            Self::FixClock => Self::Stop(Stop::Clock),
            Self::RefreshCredentials => Self::Stop(Stop::Credentials),
            verdict => verdict,
        }
    }
}

impl GiveUp {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Image, Self::Gone, Self::Archived, Self::Denied, Self::Source, Self::Unknown];

    /// The word that is stored and shown.
    pub const fn name(self) -> &'static str {
        self.stored().name()
    }

    /// What is stored with an image that is given up for this reason.
    const fn stored(self) -> ErrorVerdict {
        match self {
            Self::Image => ErrorVerdict::Image,
            Self::Gone => ErrorVerdict::Gone,
            Self::Archived => ErrorVerdict::Archived,
            Self::Denied => ErrorVerdict::Denied,
            Self::Source => ErrorVerdict::Source,
            Self::Unknown => ErrorVerdict::Unknown,
        }
    }

    /// Returns whether the reason is about the image itself: its bytes, or the URL that they come from.
    pub const fn is_of_bytes(self) -> bool {
        matches!(self, Self::Image | Self::Source)
    }
}

impl Stop {
    /// The word that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Credentials => "credentials",
            Self::Permission => "permission",
            Self::NotActivated => "not activated",
            Self::Arrears => "arrears",
            Self::Clock => "clock",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
        }
    }
}
