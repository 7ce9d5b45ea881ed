use reqwest::header::HeaderMap;
use rstest::rstest;

use super::*;
use crate::cos;
use crate::cos::error::{self, Error, ServiceError};
use crate::cos::list::{StuckListing, Unproven};

fn service(status: u16, code: &str, message: &str) -> Error {
    let (code, message) = (code.to_owned(), message.to_owned());
    ServiceError { status, code, message, ..ServiceError::default() }.into()
}

/// `list` and `label` are the names of the verdicts after the first success.
#[rstest]
#[case(301, "PermanentRedirect", "", "configuration", "configuration")]
#[case(307, "TemporaryRedirect", "", "configuration", "configuration")]
#[case(302, "", "", "configuration", "configuration")]
#[case(400, "InvalidArgument", "", "configuration", "unknown")]
#[case(400, "BadRequest", "", "configuration", "unknown")]
#[case(400, "BadRquest", "", "configuration", "unknown")]
#[case(400, "InvalidRequest", "", "configuration", "unknown")]
#[case(400, "InvalidBucketName", "", "configuration", "configuration")]
#[case(400, "BucketNameTooLong", "", "configuration", "configuration")]
#[case(400, "InvalidRegionName", "", "configuration", "configuration")]
#[case(400, "InvalidLocationConstraint", "", "configuration", "configuration")]
#[case(400, "UserCnameInvalid", "", "configuration", "configuration")]
#[case(400, "InvalidHost", "", "configuration", "configuration")]
#[case(400, "ActionAccelerateNotSupported", "", "configuration", "configuration")]
#[case(400, "BucketAccelerateNotEnabled", "", "configuration", "configuration")]
#[case(400, "KeyTooLong", "", "configuration", "image")]
#[case(400, "InvalidObjectName", "", "configuration", "image")]
#[case(400, "InvalidURI", "", "configuration", "image")]
#[case(400, "InvalidImageFormat", "", "protocol", "image")]
#[case(400, "ImageTooLarge", "", "protocol", "image")]
#[case(400, "ImageResolutionExceed", "", "protocol", "image")]
#[case(400, "EntityTooLarge", "", "protocol", "image")]
#[case(400, "ImageTooSmall", "", "protocol", "image")]
#[case(400, "FailedOperation.ImageSizeExceed", "", "protocol", "image")]
#[case(400, "LimitExceeded.TooLargeFileError", "", "protocol", "image")]
#[case(400, "FailedOperation.ImageResolutionInsufficient", "", "protocol", "image")]
#[case(400, "InvalidParameterValue.UnsupportedImageFormat", "", "protocol", "image")]
#[case(400, "ImageFormatNotSupported", "", "protocol", "image")]
#[case(400, "EntityTooSmall", "", "protocol", "image")]
#[case(413, "", "", "protocol", "image")]
#[case(415, "UnsupportedMediaType", "", "protocol", "image")]
#[case(400, "InvalidImageSource", "", "protocol", "source")]
#[case(400, "ResourceDownloadFailed", "", "protocol", "source")]
#[case(400, "ResourceNotFound", "", "protocol", "gone")]
#[case(400, "ResourceAccessDenied", "", "protocol", "denied")]
#[case(400, "CIRoleNotExist", "", "not activated", "not activated")]
#[case(400, "ExpiredToken", "", "refresh credentials", "refresh credentials")]
#[case(400, "RequestTimeout", "", "retry", "retry")]
#[case(400, "UserNetworkTooSlow", "", "retry", "retry")]
#[case(402, "PaymentRequired", "", "arrears", "arrears")]
#[case(402, "", "", "arrears", "arrears")]
#[case(403, "AccessDenied", "Access Denied.", "permission", "denied")]
#[case(403, "AccessDenied", "Request has expired", "fix clock", "fix clock")]
#[case(403, "Request has expired", "", "fix clock", "fix clock")]
#[case(403, "AccessDenied", "denied by referer rule", "permission", "permission")]
#[case(403, "AccessForbidden", "", "permission", "permission")]
#[case(403, "", "", "permission", "denied")]
#[case(403, "RequestTimeTooSkewed", "", "fix clock", "fix clock")]
#[case(403, "InvalidAccessKeyId", "", "credentials", "credentials")]
#[case(403, "SignatureDoesNotMatch", "", "credentials", "unknown")]
#[case(403, "InvalidObjectState", "", "protocol", "archived")]
#[case(409, "InvalidObjectState", "", "protocol", "archived")]
#[case(403, "NoProcessAuthority", "", "not activated", "not activated")]
#[case(404, "NoSuchBucket", "", "configuration", "configuration")]
#[case(404, "NoSuchKey", "", "protocol", "gone")]
#[case(404, "NoSuchVersion", "", "protocol", "gone")]
#[case(404, "", "an HTML page", "configuration", "unknown")]
#[case(405, "MethodNotAllowed", "", "configuration", "unknown")]
#[case(409, "PathConflict", "", "protocol", "unknown")]
#[case(409, "InvalidBucketState", "", "configuration", "configuration")]
#[case(412, "PreconditionFailed", "", "protocol", "unknown")]
#[case(416, "InvalidRange", "", "protocol", "unknown")]
#[case(451, "UnavailableForLegalReasons", "", "arrears", "denied")]
#[case(451, "DomainAuditFailed", "", "arrears", "denied")]
#[case(500, "InternalError", "", "retry", "retry")]
#[case(501, "NotImplemented", "", "protocol", "protocol")]
#[case(502, "", "an HTML page", "retry", "retry")]
#[case(504, "", "", "retry", "retry")]
#[case(503, "SlowDown", "", "throttle", "throttle")]
#[case(503, "ServiceUnavailable", "", "throttle", "throttle")]
#[case(503, "", "", "throttle", "throttle")]
#[case(429, "Anything", "", "throttle", "throttle")]
#[case(400, "RequestLimitExceeded.QPS", "", "throttle", "throttle")]
#[case(400, "LimitExceeded", "", "throttle", "throttle")]
#[case(400, "-1", "qps exceeds the quota", "throttle", "throttle")]
#[case(400, "New", "the Rate is too high", "throttle", "throttle")]
#[case(400, "New", "cannot generate", "protocol", "unknown")]
#[case(403, "UserServiceUnavailable", "", "arrears", "arrears")]
#[case(403, "AccountArrears", "", "arrears", "arrears")]
#[case(403, "InsufficientBalance", "", "arrears", "arrears")]
#[case(599, "Anything", "", "retry", "retry")]
#[case(408, "", "", "retry", "retry")]
#[case(200, "New", "", "retry", "retry")]
#[case(418, "New", "", "protocol", "unknown")]
fn each_code_has_its_verdict(
    #[case] status: u16,
    #[case] code: &str,
    #[case] message: &str,
    #[case] list: &str,
    #[case] label: &str,
) {
    let error = service(status, code, message);
    assert_eq!(verdict(Operation::List, true, &error).name(), list);
    assert_eq!(verdict(Operation::Label, true, &error).name(), label);
}

#[test]
fn a_wrong_signature_stops_the_run_only_before_the_first_success() {
    let error = service(403, "SignatureDoesNotMatch", "");
    let stop = Verdict::Stop(Stop::Credentials);
    assert_eq!(verdict(Operation::Label, false, &error), stop);
    assert_eq!(verdict(Operation::Label, true, &error), Verdict::GiveUp(GiveUp::Unknown));
}

#[test]
fn temporary_credentials_with_an_unknown_id_are_renewed() {
    let error = ServiceError {
        status: 403,
        code: "InvalidAccessKeyId".to_owned(),
        temporary: true,
        ..ServiceError::default()
    };
    let verdict = verdict(Operation::Label, true, &error.into());
    assert_eq!(verdict, Verdict::RefreshCredentials);
    assert_eq!(verdict.unrepaired(), Verdict::Stop(Stop::Credentials));
}

#[test]
fn the_status_decides_for_a_head_without_a_body() {
    let of = |status| verdict(Operation::Head, true, &service(status, "", ""));
    assert_eq!(of(404), Verdict::GiveUp(GiveUp::Gone));
    assert_eq!(of(403), Verdict::GiveUp(GiveUp::Denied));
}

#[test]
fn an_error_without_an_answer_has_its_verdict() {
    let cause = || "broken".into();
    let host = || "h".to_owned();
    let unusable = Error::Unusable { reason: "cut".to_owned(), status: 200, request_id: None };
    let stuck = StuckListing { marker: String::new(), next: None };
    let unproven = Unproven::Marker { asked: String::new(), echo: None };
    for (error, name) in [
        (unusable, "retry"),
        (Error::Interrupted { host: host(), cause: cause() }, "retry"),
        (Error::Timeout { host: host(), cause: cause() }, "retry"),
        (Error::Connect { host: host(), cause: cause() }, "unreachable"),
        (
            Error::Certificate { host: host(), is_about_time: false, cause: cause() },
            "configuration",
        ),
        (Error::NoSuchHost { name: host(), cause: cause() }, "unreachable"),
        (cos::credentials::Error::NotFound { looked: Vec::new() }.into(), "credentials"),
        (stuck.into(), "protocol"),
        (unproven.into(), "protocol"),
        (Error::UnaddressableKey { key: "..".to_owned() }, "image"),
    ] {
        assert_eq!(verdict(Operation::Label, true, &error).name(), name, "{error}");
    }
}

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/samples/error-", $name))
    };
}

#[rstest]
#[case(400, sample!("400-expired-token.xml"), "refresh credentials")]
#[case(400, sample!("400-image-resolution.xml"), "image")]
#[case(400, sample!("400-image-too-large.xml"), "image")]
#[case(400, sample!("400-invalid-argument.xml"), "unknown")]
#[case(400, sample!("400-invalid-image-format.xml"), "image")]
#[case(402, sample!("402-payment-required.xml"), "arrears")]
#[case(403, sample!("403-access-denied.xml"), "denied")]
#[case(403, sample!("403-archive.xml"), "archived")]
#[case(403, sample!("403-expired.xml"), "fix clock")]
#[case(403, sample!("403-invalid-access-key.xml"), "credentials")]
#[case(403, sample!("403-no-process-authority.xml"), "not activated")]
#[case(403, sample!("403-signature.xml"), "unknown")]
#[case(403, sample!("403-time-skewed.xml"), "fix clock")]
#[case(404, sample!("404-no-such-bucket.xml"), "configuration")]
#[case(404, sample!("404-no-such-key.xml"), "gone")]
#[case(451, sample!("451-unavailable.xml"), "denied")]
#[case(500, sample!("500-internal.xml"), "retry")]
#[case(502, sample!("502-html-gateway.xml"), "retry")]
#[case(503, sample!("503-service-unavailable.xml"), "throttle")]
#[case(503, sample!("503-slow-down.xml"), "throttle")]
#[case(400, sample!("ci-json.json"), "unknown")]
fn each_recorded_answer_has_its_verdict(
    #[case] status: u16,
    #[case] body: &[u8],
    #[case] name: &str,
) {
    let error = error::parse(status, &HeaderMap::new(), body).into();
    assert_eq!(verdict(Operation::Label, true, &error).name(), name);
}

#[test]
fn a_code_that_is_sent_as_the_message_counts_as_the_code() {
    let body = b"<Error><Code>AccessDenied</Code><Message> InvalidObjectState </Message></Error>";
    let error = error::parse(403, &HeaderMap::new(), body).into();
    assert_eq!(verdict(Operation::Label, true, &error), Verdict::GiveUp(GiveUp::Archived));
}

#[test]
fn advice_names_the_permission_of_the_operation() {
    let error = service(403, "AccessDenied", "Access Denied.");
    for (operation, action) in [
        (Operation::List, "cos:GetBucket"),
        (Operation::Head, "cos:HeadObject"),
        (Operation::Label, "ci:CreateDetectLabelJob"),
    ] {
        assert!(advice(operation, &error).unwrap().contains(action));
    }
    assert!(advice(Operation::Label, &service(403, "NoProcessAuthority", "")).is_some());
    assert_eq!(advice(Operation::Label, &service(500, "InternalError", "")), None);
}
