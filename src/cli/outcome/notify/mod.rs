//! Notifications: a message to chat robots and webhooks about the end of a run.
//!
//! [`receiver`] reads who is told, [`message`] writes the text, and [`send`] makes the request that each kind of receiver
//! expects and reads its answer. A notification that fails is a warning.

mod message;
mod receiver;
mod send;

use receiver::Receiver;

use super::secret;
use super::summary::Summary;
use crate::cli::exit::Exit;
use crate::config::{Notify, Settings};
use crate::cos::Options;
use crate::store::Reader;
use crate::visible::{visible, without_password};

/// The variable with the receivers. Their addresses are secrets, because whoever knows one can send messages.
const VARIABLE: &str = "COSTAG_NOTIFY_TO";

/// The most characters that are shown of a reason why a notification failed.
const REASON_MAX: usize = 240;

/// How many runs are looked at to find the one before: plans are not counted.
const RUNS: u32 = 100;

/// Who is told about the end of a run, and when.
#[derive(Debug)]
pub(super) struct Notifier {
    receivers: Vec<Receiver>,
    settings: Settings,
    /// The exit code of the run before. `None` if there is none, or it was killed.
    before: Option<u8>,
    options: Options,
}

impl Notifier {
    /// The receivers of these settings, before the run begins. `None` if nobody is told. A receiver that cannot be used is
    /// a warning.
    pub(super) fn find(settings: &Settings) -> Option<Self> {
        if settings.watching.notify == Notify::Never {
            return None;
        }
        let file = settings.watching.notify_file.as_deref();
        let found = secret::find(VARIABLE, "notify_file", file).unwrap_or_else(|reason| {
            say!("warning: nobody is notified: {}", visible(&reason));
            None
        })?;
        let mut receivers = Vec::new();
        for receiver in receiver::all(&found) {
            match receiver {
                Ok(receiver) => receivers.push(receiver),
                Err(reason) => say!("warning: a receiver is not notified: {}", visible(&reason)),
            }
        }
        let options =
            Options { ca_file: settings.connection.ca_file.clone(), ..Options::default() };
        let before = exit_code_before(settings);
        let settings = settings.clone();
        (!receivers.is_empty()).then_some(Self { receivers, settings, before, options })
    }

    /// Sends the message about a run that has ended, if it is wanted. It waits at most ten seconds for each receiver.
    /// `leaves_a_run` says whether a run can be continued now.
    pub(super) fn tell(&self, summary: &Summary, exit: Exit, leaves_a_run: bool) {
        let is_wanted = match self.settings.watching.notify {
            Notify::Never => false,
            Notify::Always => true,
            Notify::Trouble => !summary.success,
            Notify::Change => self.before != Some(summary.exit_code),
        };
        if !is_wanted {
            return;
        }
        let message = message::of(summary, exit, leaves_a_run, self.settings.watching.language);
        for receiver in &self.receivers {
            if let Err(reason) = send::send(receiver, &message, summary, &self.options) {
                let reason = shown(receiver, &reason);
                say!(
                    "warning: the notification to {} failed: {}",
                    receiver.kind.name(),
                    visible(&reason)
                );
            }
        }
    }
}

/// The reason of a failure as it is shown. The answer may repeat the address, so it is redacted before it is cut: the first
/// part of a secret would not be recognised.
fn shown(receiver: &Receiver, reason: &str) -> String {
    let redacted = receiver.redacted(reason);
    without_password(&redacted).chars().take(REASON_MAX).collect()
}

/// The exit code of the newest run of the database. A database that cannot be read has no run: the run itself says so.
fn exit_code_before(settings: &Settings) -> Option<u8> {
    let runs = Reader::open(&settings.db).and_then(|reader| reader.runs(RUNS)).ok()?;
    runs.into_iter().find(|run| !run.plan)?.exit_code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::outcome::secret::Secret;

    #[test]
    fn a_long_answer_is_redacted_before_it_is_cut() {
        let token = "hush".repeat(16);
        let text = format!("wecom https://a.example/send?key={token}");
        let found = Secret { text, origin: "robots".to_owned(), is_variable: false };
        let receiver = receiver::all(&found).remove(0).unwrap();
        for before in 0..300 {
            let reason = format!("refused: {} {token} and more", "x".repeat(before));
            let told = shown(&receiver, &reason);
            assert!(!told.contains("hush"), "{told}");
            assert!(told.chars().count() <= REASON_MAX);
        }
    }
}
