//! What failed, and what to do about it.

use super::{Command, Terms, name};
use crate::numbers::grouped;
use crate::store::read::FailureCode;

/// A cause of failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What happened, in words.
    pub what: &'static str,
    /// The code.
    pub code: String,
    /// How many images or lines failed with it.
    pub count: String,
    /// What to do.
    pub advice: &'static str,
    /// The command that does it, if there is one.
    pub command: Option<Command>,
}

/// What to do about a code, apart from a command.
struct Known(&'static str, &'static str, Then);

/// The command that follows an advice.
enum Then {
    Nothing,
    Retry,
    List,
}

/// Images that failed with a code.
pub(super) fn of_images(code: &FailureCode, terms: &Terms) -> Cause {
    let name = code.code.as_deref().unwrap_or_default();
    let Known(cause, advice, then) = match (code.temporary, known(name)) {
        (_, Some(known)) => known,
        (true, None) => Known("A fault of the service or the network", AGAIN, Then::Nothing),
        (false, None) => Known("The service refused the image", READ, Then::List),
    };
    cause_of(code, cause, advice, then, terms)
}

/// Lines of a list that failed with a code.
pub(super) fn of_lines(code: &FailureCode, terms: &Terms) -> Cause {
    let name = code.code.as_deref().unwrap_or_default();
    let Known(cause, advice, then) = match name {
        "UnusableLine" => Known(
            "The line is no usable key or URL",
            "Correct the line in the list. To see the lines:",
            Then::List,
        ),
        "NoSuchKey" | "HTTP404" => Known(
            "The bucket has no such key",
            "Remove the line, or correct the key. To see the lines:",
            Then::List,
        ),
        _ => Known("The key could not be looked up", AGAIN, Then::Nothing),
    };
    cause_of(code, cause, advice, then, terms)
}

fn cause_of(
    code: &FailureCode,
    what: &'static str,
    advice: &'static str,
    then: Then,
    terms: &Terms,
) -> Cause {
    let shown = match (&code.code, code.http_status) {
        (Some(code), _) => name::name(code),
        (None, Some(status)) => format!("HTTP {status}"),
        (None, None) => "no answer".to_owned(),
    };
    let command = match (then, &code.code) {
        (Then::Retry, Some(code)) => Some(terms.here(Command::new("retry").option("--code", code))),
        (Then::List, _) => Some(terms.here(Command::new("status").flag("--failures"))),
        _ => None,
    };
    Cause { what, code: shown, count: grouped(code.contents), advice, command }
}

const AGAIN: &str = "Temporary. The next run tries again by itself.";
const READ: &str = "Read the message of the service:";
const MENDED: &str = "Put them back once that is mended:";

fn known(code: &str) -> Option<Known> {
    Some(match code {
        "InvalidImageFormat" => Known(
            "Not a picture, or damaged",
            "Another try with the same file cannot succeed. Replace the files, or leave their keys out with --exclude. To see them:",
            Then::List,
        ),
        "ImageTooLarge" | "EntityTooLarge" => Known(
            "The file is too large for the service",
            "Another try with the same file cannot succeed. Leave such files out with --max-size. To see them:",
            Then::List,
        ),
        "ImageResolutionExceed" => Known(
            "The picture has too many pixels for the service",
            "Another try with the same file cannot succeed. Replace the files, or leave their keys out with --exclude. To see them:",
            Then::List,
        ),
        "InvalidImageSource" | "ResourceDownloadFailed" => Known(
            "The service could not fetch the picture",
            "Check that the address can be reached from outside. Put them back once it can:",
            Then::Retry,
        ),
        "NoSuchKey" | "NoSuchVersion" | "ResourceNotFound" => {
            Known("Deleted after it was listed", "Nothing needs to be done.", Then::Nothing)
        }
        "InvalidObjectState" => Known(
            "Archived, so it cannot be read",
            "Restore the objects in the console first. Then put them back:",
            Then::Retry,
        ),
        "AccessDenied" | "ResourceAccessDenied" => {
            Known("The service may not read the object", MENDED, Then::Retry)
        }
        "UnavailableForLegalReasons" | "DomainAuditFailed" => {
            Known("Blocked by the provider", "Ask the provider why.", Then::Nothing)
        }
        "KeyTooLong" | "InvalidObjectName" | "InvalidURI" | "UnaddressableKey" => Known(
            "No request can carry the key",
            "Copy the objects to other keys; the next run labels the copies. To see them:",
            Then::List,
        ),
        "InternalError" => Known("A fault of the service", AGAIN, Then::Nothing),
        "Timeout" | "RequestTimeout" | "ConnectionBroken" | "UserNetworkTooSlow" => {
            Known("No answer in time", AGAIN, Then::Nothing)
        }
        "SlowDown" | "ServiceUnavailable" | "LimitExceeded" => {
            Known("The service was too busy", AGAIN, Then::Nothing)
        }
        "UnusableAnswer" => Known("The answer could not be read", AGAIN, Then::Nothing),
        "NotFromService" => {
            Known("Something between answered instead of the service", AGAIN, Then::Nothing)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::terms::tests::terms;
    use super::*;

    #[test]
    fn a_code_is_told_with_what_to_do_and_an_unknown_one_with_where_to_look() {
        let code = |code: Option<&str>, http_status, temporary| FailureCode {
            code: code.map(str::to_owned),
            http_status,
            temporary,
            contents: 1_204,
        };
        let archived = of_images(&code(Some("InvalidObjectState"), Some(403), false), &terms());
        assert_eq!(
            (archived.count.as_str(), archived.code.as_str()),
            ("1,204", "InvalidObjectState")
        );
        let command = archived.command.unwrap().parts;
        assert_eq!(command, ["costag retry", "--code InvalidObjectState", "--db nightly.db"]);
        let strange = of_images(&code(Some("<b>Odd"), Some(400), false), &terms());
        assert_eq!(strange.advice, READ);
        assert_eq!(strange.command.unwrap().parts[1], "--failures");
        let silent = of_images(&code(None, None, true), &terms());
        assert_eq!(
            (silent.code.as_str(), silent.advice, silent.command),
            ("no answer", AGAIN, None)
        );
        let line = of_lines(&code(Some("UnusableLine"), None, false), &terms());
        assert_eq!(line.advice, "Correct the line in the list. To see the lines:");
    }
}
