//! Pings: requests that tell a dead man's switch, in the manner of healthchecks, that a run has begun and how it ended. The
//! switch raises the alarm if no ping comes.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::secret::{self, Secret};
use crate::cli::execute_job;
use crate::cli::fault::chain;
use crate::config::Settings;
use crate::cos::Options;
use crate::cos::client::post;
use crate::visible::visible;

/// The variable with the address. The address is a secret, because whoever knows it can pretend that all is well.
const VARIABLE: &str = "COSTAG_PING_URL";

/// The event that a ping reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A run has begun.
    Start,
    /// It ended, with a success or without.
    End { is_success: bool },
}

/// A switch that can be pinged.
#[derive(Debug, Clone)]
pub(super) struct Ping {
    address: SecretString,
    options: Options,
}

impl Ping {
    /// The switch of these settings. `None` if there is none or pings are off. If its address cannot be used, a warning is
    /// shown: the switch itself will notice that the pings are missing.
    pub(super) fn find(settings: &Settings) -> Option<Self> {
        if !settings.watching.ping {
            return None;
        }
        let address = address(settings).unwrap_or_else(|reason| {
            say!("warning: no ping is sent: {}", visible(&reason));
            None
        })?;
        let options =
            Options { ca_file: settings.connection.ca_file.clone(), ..Options::default() };
        Some(Self { address: address.into(), options })
    }

    /// Sends a ping and waits for its answer, at most ten seconds. A failure is a warning.
    pub(super) fn send(&self, signal: Signal, body: String) {
        if let Err(reason) = self.try_to_send(signal, body) {
            say!("warning: the ping failed: {}", visible(&reason));
        }
    }

    fn try_to_send(&self, signal: Signal, body: String) -> Result<(), String> {
        let parsed = Url::parse(self.address.expose_secret()).map_err(|error| error.to_string())?;
        let address = with_end(parsed, signal);
        let runtime = execute_job::runtime().map_err(|error| chain(error.as_ref()))?;
        let sent = post(&address, "application/json", body, &self.options);
        let (status, answer) = runtime.block_on(sent).map_err(|error| chain(&error))?;
        // healthchecks answers 200 also if it knows no such check.
        let refusal = ["not found", "rate limited"].into_iter().find(|text| answer.contains(text));
        match refusal {
            _ if !(200..300).contains(&status) => {
                Err(format!("it was answered with HTTP {status}: check its address"))
            }
            Some(text) => Err(format!("it was answered with {text:?}: check its address")),
            None => Ok(()),
        }
    }
}

/// The address for a signal: the end of the path says which.
fn with_end(mut address: Url, signal: Signal) -> Url {
    let end = match signal {
        Signal::Start => "/start",
        Signal::End { is_success: true } => "",
        Signal::End { is_success: false } => "/fail",
    };
    let path = format!("{}{end}", address.path().trim_end_matches('/'));
    address.set_path(&path);
    address
}

/// The address from the environment, or else from the file. The reason of a failure does not contain it.
fn address(settings: &Settings) -> Result<Option<String>, String> {
    let file = settings.watching.ping_file.as_deref();
    let Some(Secret { text, origin, .. }) = secret::find(VARIABLE, "ping_file", file)? else {
        return Ok(None);
    };
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(format!(
            "{origin} does not contain an address that begins with https:// or http://"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_ping_says_what_happened_and_keeps_the_query() {
        let told = |signal| with_end("https://hc.example/uuid/?create=1".parse().unwrap(), signal);
        assert_eq!(told(Signal::Start).as_str(), "https://hc.example/uuid/start?create=1");
        let end = |is_success| told(Signal::End { is_success }).to_string();
        assert_eq!(end(true), "https://hc.example/uuid?create=1");
        assert_eq!(end(false), "https://hc.example/uuid/fail?create=1");
    }
}
