//! The table of verdicts. The code of an error decides before its status.

use super::kinds::{GiveUp, Operation, Stop, Verdict};
use crate::cos;
use crate::cos::error::{Error, ServiceError};
use crate::cos::list::Unproven;

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
