//! Verdicts: what an error of the service means for the run.
//!
//! The function [`verdict`] takes an operation, whether a call has succeeded before, and the error. How often and when a
//! request is tried again, and what the breaker counts, is decided elsewhere. The code of an error decides before its
//! status.

use crate::cos;
use crate::cos::error::{Error, ServiceError};
use crate::cos::list::Unproven;
use crate::store::model;

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
    /// Correct the clock and sign the request again, see [`cos::Clock::correct`].
    FixClock,
    /// Renew the credentials and sign the request again, see [`cos::Client::refresh_credentials`].
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
            Self::Retry => "retry",
            Self::Throttle => "throttle",
            Self::GiveUp(reason) => reason.name(),
            Self::Stop(reason) => reason.name(),
            Self::FixClock => "fix clock",
            Self::RefreshCredentials => "refresh credentials",
            Self::Unreachable => "unreachable",
            Self::Foreign => "foreign",
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
        match self {
            Self::Image => "image",
            Self::Gone => "gone",
            Self::Archived => model::ARCHIVED,
            Self::Denied => "denied",
            Self::Source => "source",
            Self::Unknown => "unknown",
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

/// Returns what an error of an operation means. `succeeded_before` says whether any call of the run has succeeded.
pub fn verdict(operation: Operation, succeeded_before: bool, error: &cos::Error) -> Verdict {
    match error {
        Error::Service(error) => match of_service(operation, succeeded_before, error) {
            // A listing has no image to give up, and the same page would be refused again.
            Verdict::GiveUp(_) if operation == Operation::List => Verdict::Stop(Stop::Protocol),
            verdict => verdict,
        },
        Error::Unusable { .. } | Error::Interrupted { .. } | Error::Timeout { .. } => {
            Verdict::Retry
        }
        // Waiting for the network does not help.
        Error::Connect { .. } if error.is_limit_of_files() => Verdict::Stop(Stop::Limit),
        Error::Connect { .. } => Verdict::Unreachable,
        // The host was found before, so the problem will probably pass.
        Error::NoSuchHost { .. } if succeeded_before => Verdict::Unreachable,
        Error::NoSuchHost { .. } => Verdict::Stop(Stop::Configuration),
        Error::Foreign { .. } => Verdict::Foreign,
        Error::Certificate { .. } | Error::Unproven(Unproven::Bucket { .. }) => {
            Verdict::Stop(Stop::Configuration)
        }
        Error::Credentials(_) => Verdict::Stop(Stop::Credentials),
        Error::StuckListing(_) | Error::Unproven(_) => Verdict::Stop(Stop::Protocol),
        Error::UnaddressableKey { .. } => Verdict::GiveUp(GiveUp::Image),
    }
}

/// The verdicts on the codes of the service (API pages "Error Codes" of COS and of Cloud Infinite).
fn of_service(operation: Operation, succeeded_before: bool, error: &ServiceError) -> Verdict {
    use Verdict::{FixClock, RefreshCredentials, Retry, Throttle};

    if error.complains_of_time() {
        return FixClock;
    }
    let list = operation == Operation::List;
    let give_up = Verdict::GiveUp;
    let stop = Verdict::Stop;
    match error.code.as_str() {
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "InvalidBucketName"
        | "BucketNameTooLong"
        | "InvalidRegionName"
        | "InvalidLocationConstraint"
        | "UserCnameInvalid"
        | "InvalidHost"
        | "ActionAccelerateNotSupported"
        | "BucketAccelerateNotEnabled"
        | "NoSuchBucket"
        | "InvalidBucketState" => stop(Stop::Configuration),
        "InvalidArgument" | "BadRequest" | "BadRquest" | "InvalidRequest" | "MethodNotAllowed"
        | "KeyTooLong" | "InvalidObjectName" | "InvalidURI"
            if list =>
        {
            stop(Stop::Configuration)
        }
        "KeyTooLong"
        | "InvalidObjectName"
        | "InvalidURI"
        | "InvalidImageFormat"
        | "ImageTooLarge"
        | "ImageResolutionExceed"
        | "EntityTooLarge" => give_up(GiveUp::Image),
        "InvalidImageSource" | "ResourceDownloadFailed" => give_up(GiveUp::Source),
        "NoSuchKey" | "NoSuchVersion" | "ResourceNotFound" => give_up(GiveUp::Gone),
        "InvalidObjectState" => give_up(GiveUp::Archived),
        "CIRoleNotExist" | "NoProcessAuthority" => stop(Stop::NotActivated),
        "ExpiredToken" => RefreshCredentials,
        "InvalidAccessKeyId" if error.temporary => RefreshCredentials,
        "InvalidAccessKeyId" => stop(Stop::Credentials),
        // A wrong secret key fails from the first request on. Later, the name of this one object was encoded wrongly.
        "SignatureDoesNotMatch" if list || !succeeded_before => stop(Stop::Credentials),
        "AccessForbidden" => stop(Stop::Permission),
        "AccessDenied" => denied(list, &error.message),
        "UnavailableForLegalReasons" | "DomainAuditFailed" if list => stop(Stop::Arrears),
        "ResourceAccessDenied" | "UnavailableForLegalReasons" | "DomainAuditFailed" => {
            give_up(GiveUp::Denied)
        }
        "RequestTimeout" | "UserNetworkTooSlow" | "InternalError" => Retry,
        "SlowDown" | "ServiceUnavailable" | "LimitExceeded" => Throttle,
        "NotImplemented" => stop(Stop::Protocol),
        "PaymentRequired" | "UserServiceUnavailable" => stop(Stop::Arrears),
        // These codes are known, so neither the status nor the message decides.
        "SignatureDoesNotMatch"
        | "PathConflict"
        | "PreconditionFailed"
        | "InvalidRange"
        | "InvalidArgument"
        | "BadRequest"
        | "BadRquest"
        | "InvalidRequest"
        | "MethodNotAllowed" => give_up(GiveUp::Unknown),
        code if code.starts_with("RequestLimitExceeded") => Throttle,
        code if !list && speaks_of_bytes(code) => give_up(GiveUp::Image),
        code if code.contains("Arrear") || code.contains("Balance") => stop(Stop::Arrears),
        _ if speaks_of_rate(&error.message) => Throttle,
        code => by_status(operation, error.status, code.is_empty()),
    }
}

/// `AccessDenied` has several meanings, which only the message tells apart (guide "403 Forbidden").
fn denied(list: bool, message: &str) -> Verdict {
    if list || message.to_ascii_lowercase().contains("referer") {
        Verdict::Stop(Stop::Permission)
    } else {
        Verdict::GiveUp(GiveUp::Denied)
    }
}

/// Returns whether a code says that the bytes are too large, too small, or of an unsupported format, so that another try
/// with the same bytes cannot succeed. The words come from the codes of COS, Cloud Infinite and similar image products.
fn speaks_of_bytes(code: &str) -> bool {
    let code: String =
        code.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    let of_image = has(&["image", "picture", "file", "entity", "object", "body", "media", "url"]);
    let of_bytes = has(&[
        "size",
        "large",
        "small",
        "big",
        "resolution",
        "format",
        "pixel",
        "width",
        "height",
        "decode",
    ]);
    let refuses = has(&[
        "too",
        "exceed",
        "limit",
        "invalid",
        "unsupport",
        "notsupport",
        "illegal",
        "insufficient",
        "error",
        "fail",
        "wrong",
        "mismatch",
    ]);
    of_bytes
        && refuses
        && (of_image || has(&["resolution", "unsupportedformat", "formatnotsupport", "pixel"]))
        || has(&[
            "imagenotsupport",
            "imageunsupport",
            "unsupportedimage",
            "imagedecodefail",
            "imagedecodefailed",
        ])
}

/// Returns whether a message contains "rate" or "QPS" as a whole word. "generate" does not count.
fn speaks_of_rate(message: &str) -> bool {
    message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("qps") || word.eq_ignore_ascii_case("rate"))
}

/// The verdict by the status, for an error without a known code.
fn by_status(operation: Operation, status: u16, no_code: bool) -> Verdict {
    let list = operation == Operation::List;
    match status {
        300..=399 => Verdict::Stop(Stop::Configuration),
        402 => Verdict::Stop(Stop::Arrears),
        403 | 451 if no_code => match (list, status) {
            (true, 403) => Verdict::Stop(Stop::Permission),
            (true, _) => Verdict::Stop(Stop::Arrears),
            (false, _) => Verdict::GiveUp(GiveUp::Denied),
        },
        404 if no_code && list => Verdict::Stop(Stop::Configuration),
        // An answer to HEAD has no body, and so no code.
        404 if no_code && operation == Operation::Head => Verdict::GiveUp(GiveUp::Gone),
        405 if list => Verdict::Stop(Stop::Configuration),
        // 413: too large. 415: unsupported type.
        413 | 415 if operation == Operation::Label => Verdict::GiveUp(GiveUp::Image),
        429 | 503 => Verdict::Throttle,
        501 => Verdict::Stop(Stop::Protocol),
        // A success with an error as its body is as unusable as any other unknown body.
        200..=299 | 408 | 500..=599 => Verdict::Retry,
        _ => Verdict::GiveUp(GiveUp::Unknown),
    }
}

/// The code that is stored for an error: the service's own, or one of costag's if the error is not an answer of the
/// service.
pub(super) fn stored_code(error: &cos::Error) -> String {
    match error {
        Error::Unusable { .. } => "UnusableAnswer".to_owned(),
        Error::Foreign { .. } => "NotFromService".to_owned(),
        Error::Timeout { .. } => "Timeout".to_owned(),
        Error::Interrupted { .. } => "ConnectionBroken".to_owned(),
        Error::UnaddressableKey { .. } => "UnaddressableKey".to_owned(),
        _ => match (error.code(), error.status()) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("HTTP{status}"),
            (None, None) => "Unsent".to_owned(),
        },
    }
}

/// Returns what a person can do about `error`. `None` if that is not known.
pub fn advice(operation: Operation, error: &cos::Error) -> Option<&'static str> {
    let service = match error {
        Error::Service(service) => service,
        Error::Connect { .. } if error.is_limit_of_files() => {
            return Some("raise the limit of open files (`ulimit -n`), or lower --workers");
        }
        Error::Connect { .. } => {
            return Some("check the network, the region's name and the proxy settings");
        }
        Error::Foreign { status: 407, .. } => {
            return Some(
                "put the proxy's user name and password into its address: http://USER:PASSWORD@HOST:PORT",
            );
        }
        Error::Foreign { .. } => {
            return Some(
                "a proxy, a login page of the network or a gateway answers instead of the service: check the \
                 proxy settings (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) and the endpoint",
            );
        }
        Error::NoSuchHost { .. } => {
            return Some(
                "check the names of bucket, region and endpoint, and of the proxy if there is one; without a network \
                 no name can be found either",
            );
        }
        Error::Certificate { is_about_time: true, .. } => {
            return Some(
                "look at this machine's clock: by it, the certificate is not valid yet, or has not been for years",
            );
        }
        Error::Certificate { .. } => {
            return Some("give the CA that signed it as a CA file, or correct the endpoint");
        }
        _ => return None,
    };
    let permission = match operation {
        Operation::List => {
            "allow the action cos:GetBucket on the bucket in CAM, or check the bucket's policy"
        }
        Operation::Head => "allow the action cos:HeadObject on the bucket's objects in CAM",
        Operation::Label => {
            "allow the actions ci:CreateDetectLabelJob and cos:GetObject on the bucket's objects in CAM"
        }
    };
    Some(match (verdict(operation, false, error), service.code.as_str()) {
        (_, "NoSuchBucket") => "check the bucket's name with APPID, and its region",
        (_, "CIRoleNotExist") => {
            "authorise Cloud Infinite once in its console: it creates the service role CI_QCSRole"
        }
        (_, "AccessForbidden") => "check the bucket's hotlink protection and CORS rules",
        (_, "SignatureDoesNotMatch") => "check that the secret key belongs to the secret id",
        (_, "InvalidAccessKeyId") => "check the secret id: it does not exist or is disabled",
        (_, "ExpiredToken") => "fetch new temporary credentials, or give a source that renews them",
        (_, "ActionAccelerateNotSupported" | "BucketAccelerateNotEnabled") => {
            "use the bucket's regional endpoint instead of the acceleration one"
        }
        (_, "AccessDenied") if service.message.to_ascii_lowercase().contains("referer") => {
            "check the bucket's hotlink protection"
        }
        (Verdict::Stop(Stop::NotActivated), _) => {
            "bind the bucket to Cloud Infinite in its console, and enable AI content recognition"
        }
        (Verdict::Stop(Stop::Permission) | Verdict::GiveUp(GiveUp::Denied), _) => permission,
        (Verdict::Stop(Stop::Arrears), _) => {
            "check the account's balance and its status in the console"
        }
        (Verdict::FixClock, _) if service.agrees_on_time() => {
            "this machine's clock agrees with the service's answer, so the fault is the service's: try again later"
        }
        (Verdict::FixClock, _) => "set this machine's clock",
        (Verdict::GiveUp(GiveUp::Archived), _) => "restore the object first",
        (Verdict::Stop(Stop::Configuration), _) if (300..400).contains(&service.status) => {
            "the bucket answers elsewhere: check its region and the endpoint"
        }
        (Verdict::Stop(Stop::Configuration), _) => "check bucket, region and endpoint",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
