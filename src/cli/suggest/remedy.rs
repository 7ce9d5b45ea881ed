//! The command that helps after an error.

use std::sync::{Mutex, PoisonError};

use super::command::{Suggestion, Then};
use crate::cli::fault::UnknownWord;
use crate::{config, export, job, store};

/// The present command, in which `cos://` stands before the word that is neither an address nor the name of a profile.
static MEANT: Mutex<Option<Suggestion>> = Mutex::new(None);

/// Suggests this command if it turns out that no profile has the name that the command line gives.
pub(in crate::cli) fn mean_address(command: Suggestion) {
    *MEANT.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
}

/// What to do about an error, if a command helps: a text that ends with a colon, and the command. `resumes` says whether
/// the present command leaves an unfinished run behind.
pub(in crate::cli) fn remedy(
    error: &anyhow::Error,
    resumes: bool,
) -> Option<(&'static str, Suggestion)> {
    use store::Error as Store;
    if error.is::<UnknownWord>() {
        let meant = MEANT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        return meant.map(|command| ("if it is meant as an address:", command));
    }
    let again = if resumes { Then::Resume } else { Then::Again };
    let (text, then) = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<config::Error>() {
            let config::Error::UnknownKey { near: None, .. } = error else { return None };
            return Some(("all settings are listed by:", Then::Settings));
        }
        if let Some(job::Error::WriterGone | job::Error::Panicked | job::Error::Thread(_)) =
            cause.downcast_ref::<job::Error>()
        {
            return Some(("to try again:", again));
        }
        match store_error(cause)? {
            Store::Unsound { .. } => Some(("to see everything that is wrong:", Then::Verify)),
            Store::Disk { .. } => Some(("once there is room:", again)),
            Store::TakenAway { .. } => Some(("once the file is back:", again)),
            Store::Restored { .. } => Some(("once that program is found:", again)),
            Store::Busy { .. } => Some(("once it is closed:", again)),
            _ => None,
        }
    })?;
    Some((text, then.command()))
}

/// The error of the store that this cause is. Errors of a job and of an export show one of the store as their own.
fn store_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e store::Error> {
    let of_job = || match cause.downcast_ref::<job::Error>()? {
        job::Error::Store(error) => Some(error),
        _ => None,
    };
    let of_export = || match cause.downcast_ref::<export::Error>()? {
        export::Error::Store(error) => Some(error),
        _ => None,
    };
    cause.downcast_ref::<store::Error>().or_else(of_job).or_else(of_export)
}
