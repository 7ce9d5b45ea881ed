//! What a person can do about an error.

use super::kinds::{GiveUp, Operation, Stop, Verdict};
use super::table::verdict;
use crate::cos;
use crate::cos::error::{Error, ServiceError};

/// Returns what a person can do about `error`. `None` if that is not known.
pub fn advice(operation: Operation, error: &cos::Error) -> Option<&'static str> {
    Some(match error {
        Error::Service(service) => {
            return on_answer(verdict(operation, false, error), operation, service);
        }
        Error::Connect { .. } if error.is_limit_of_files() => {
            "raise the limit of open files (`ulimit -n`), or lower --workers"
        }
        Error::Connect { .. } => "check the network, the region's name and the proxy settings",
        Error::Foreign { status: 407, .. } => {
            "put the proxy's user name and password into its address: http://USER:PASSWORD@HOST:PORT"
        }
        Error::Foreign { .. } => {
            "a proxy, a login page of the network or a gateway answers instead of the service: check the \
             proxy settings (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) and the endpoint"
        }
        Error::NoSuchHost { .. } => {
            "check the names of bucket, region and endpoint, and of the proxy if there is one; without a network \
             no name can be found either"
        }
        Error::Certificate { is_about_time: true, .. } => {
            "check this machine's clock: according to it, the certificate is not valid yet, or expired years ago"
        }
        Error::Certificate { .. } => {
            "give the CA that signed it as a CA file, or correct the endpoint"
        }
        _ => return None,
    })
}

/// Returns what a person can do about an error that the service has answered with.
fn on_answer(verdict: Verdict, operation: Operation, error: &ServiceError) -> Option<&'static str> {
    let permission = match operation {
        Operation::List => {
            "allow the action cos:GetBucket on the bucket in CAM, or check the bucket's policy"
        }
        Operation::Head => "allow the action cos:HeadObject on the bucket's objects in CAM",
        Operation::Label => {
            "allow the actions ci:CreateDetectLabelJob and cos:GetObject on the bucket's objects in CAM"
        }
    };
    Some(match (verdict, error.code.as_str()) {
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
        (_, "AccessDenied") if error.message.to_ascii_lowercase().contains("referer") => {
            "check the bucket's hotlink protection"
        }
        (Verdict::Stop(Stop::NotActivated), _) => {
            "bind the bucket to Cloud Infinite in its console, and enable AI content recognition"
        }
        (Verdict::Stop(Stop::Permission) | Verdict::GiveUp(GiveUp::Denied), _) => permission,
        (Verdict::Stop(Stop::Arrears), _) => {
            "check the account's balance and its status in the console"
        }
        (Verdict::FixClock, _) if error.agrees_on_time() => {
            "this machine's clock agrees with the service's answer, so the fault is the service's: try again later"
        }
        (Verdict::FixClock, _) => "set this machine's clock",
        (Verdict::GiveUp(GiveUp::Archived), _) => "restore the object first",
        (Verdict::Stop(Stop::Configuration), _) if (300..400).contains(&error.status) => {
            "the bucket has another address: check its region and the endpoint"
        }
        (Verdict::Stop(Stop::Configuration), _) => "check bucket, region and endpoint",
        _ => return None,
    })
}
