//! Runs `credential_process`, a command that prints credentials as JSON.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::error::Error;
use super::secret::Credentials;
use crate::cos::text::is_unseen;
use crate::time::UnixSeconds;

/// The most bytes of output that are read. No credentials are longer.
const OUTPUT_MAX: u64 = 64 * 1024;
/// The most characters of the command's error output that are shown.
const WORDS_MAX: usize = 300;

/// Runs `command` through `sh -c`, or through `cmd /C` on Windows, and reads what it prints.
///
/// Without a terminal, the command runs in a process group of its own, and the processes of the group that are left
/// when this function ends, or when its future is dropped, are killed. With a terminal, the command stays in the
/// process group of this program, so that it can ask a person for input.
pub(super) async fn run(command: &str, limit: Duration) -> Result<Credentials, Error> {
    let fail = |reason: String| Error::Process { reason };
    let mut shell = shell(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let group = !has_terminal();
    #[cfg(unix)]
    if group {
        shell.process_group(0);
    }
    let child = shell.spawn().map_err(|error| fail(format!("cannot be started: {error}")))?;
    let mut running = Running { child, group };
    let (Some(stdout), Some(stderr)) = (running.child.stdout.take(), running.child.stderr.take())
    else {
        return Err(fail("has no output".to_owned()));
    };
    let read = async {
        let (mut output, mut words) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(OUTPUT_MAX), stderr);
        let ended = async {
            let size = stdout.read_to_end(&mut output).await;
            size.map_err(|error| fail(format!("cannot be read: {error}")))?;
            running
                .child
                .wait()
                .await
                .map_err(|error| fail(format!("cannot be waited for: {error}")))
        };
        // This waits for the end of the command, not for the end of stderr: a process that it leaves behind may keep
        // stderr open forever.
        let status = tokio::select! {
            biased;
            status = ended => status,
            never = async { keep_end(&mut stderr, &mut words).await; std::future::pending().await } => never,
        }?;
        // Output that was written before the end can be read at once.
        let rest = keep_end(&mut stderr, &mut words);
        let _ = tokio::time::timeout(Duration::from_millis(100), rest).await;
        Ok((output, words, status))
    };
    let (output, words, status) =
        tokio::time::timeout(limit, read).await.map_err(|_| Error::ProcessTimeout { limit })??;
    if !status.success() {
        let words = last_words(&words, &output);
        return Err(fail(format!("ended with {status}{words}")));
    }
    parse("what credential_process printed", &output)
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

/// The command line is passed as it is, because `cmd` has quotes of its own: with `/S` it removes only the outer ones. `/D`
/// keeps other commands from writing into the output.
#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.raw_arg("/D /S /C").raw_arg(format!("\"{command}\""));
    shell
}

/// Reads to the end, however much there is, and keeps only the last part.
async fn keep_end(from: &mut (impl AsyncRead + Unpin), end: &mut Vec<u8>) {
    const KEPT: usize = 4096;
    while let Ok(1..) = from.read_buf(end).await {
        if end.len() > 2 * KEPT {
            end.drain(..end.len() - KEPT);
        }
    }
}

/// A running command. Its processes are killed when this is dropped.
struct Running {
    child: Child,
    /// True if the command is a process group of its own.
    #[cfg_attr(not(unix), expect(dead_code, reason = "Windows has no process groups"))]
    group: bool,
}

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        // A command that has ended and was waited for has no id any more.
        let Some(id) = self.child.id() else { return };
        let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return };
        if self.group {
            let _ = kill_process_group(id, Signal::KILL);
        } else {
            for descendant in descendants(id) {
                let _ = kill_process(descendant, Signal::KILL);
            }
        }
    }
}

/// The command itself is killed. Windows does not tell which processes it has started.
#[cfg(not(unix))]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// Returns `true` if this process has a terminal on which a command can ask a person.
fn has_terminal() -> bool {
    std::fs::File::open(if cfg!(windows) { "CONIN$" } else { "/dev/tty" }).is_ok()
}

/// Returns the children of a process and all of their children, as far as the system lists them.
#[cfg(unix)]
fn descendants(of: rustix::process::Pid) -> Vec<rustix::process::Pid> {
    let mut all = vec![of];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let parent = parent.as_raw_nonzero();
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let numbers = children.split_whitespace().filter_map(|number| number.parse().ok());
        all.extend(numbers.filter_map(rustix::process::Pid::from_raw));
    }
    all.remove(0);
    all
}

/// Returns the end of the error output of a command that failed, in one line. Everything that may be a secret is
/// replaced by an ellipsis: long sequences of letters and digits, and everything that the command printed as
/// credentials.
fn last_words(stderr: &[u8], stdout: &[u8]) -> String {
    let printed = String::from_utf8_lossy(stdout);
    let printed: HashSet<&str> = printed.split(|c| !is_of_run(c)).collect();
    let text = String::from_utf8_lossy(stderr);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !is_unseen(*c)).collect();
    let line = without_secrets_of_the_environment(line);
    let line = without_printed(line, stdout);
    let line = without_named_secrets(&line);
    let mut shown = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_of_run(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end.max(first.len_utf8()));
        let hidden = end > 0
            && (run.len() >= 4 && printed.contains(run)
                || run.len() >= 16
                    && run.contains(|c: char| c.is_ascii_digit())
                    && run.contains(|c: char| c.is_ascii_alphabetic()));
        shown.push_str(if hidden { "…" } else { run });
        rest = after;
    }
    let skipped = shown.chars().count().saturating_sub(WORDS_MAX);
    let end: String = shown.chars().skip(skipped).collect();
    match (end.is_empty(), skipped) {
        (true, _) => String::new(),
        (false, 0) => format!("; it wrote: {end}"),
        (false, _) => format!("; it wrote at the end: …{end}"),
    }
}

/// Replaces the values of secrets in the environment. The command inherits it, so it may print them.
fn without_secrets_of_the_environment(line: String) -> String {
    const NAMES: [&str; 4] = ["SECRET", "TOKEN", "PASSW", "_KEY"];
    std::env::vars_os().fold(line, |line, (name, value)| {
        let name = name.to_string_lossy().to_ascii_uppercase();
        match value.to_str() {
            Some(value) if value.len() >= 8 && NAMES.iter().any(|part| name.contains(part)) => {
                line.replace(value, "…")
            }
            _ => line,
        }
    })
}

/// Replaces everything that the command printed, short or long: the texts between quotes, and the parts between blanks
/// and the punctuation of JSON.
fn without_printed(line: String, stdout: &[u8]) -> String {
    const SHORTEST: usize = 3;
    let printed = String::from_utf8_lossy(stdout);
    let between =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ':' | '{' | '}' | '=');
    let mut parts: Vec<&str> =
        printed.split('"').chain(printed.split(between)).map(str::trim).collect();
    parts.retain(|part| part.len() >= SHORTEST);
    // The longest are replaced first, because the rest of a longer one would not be found after a shorter one.
    parts.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
    parts.dedup();
    parts.into_iter().fold(line, |line, part| line.replace(part, "…"))
}

/// Replaces values with the name of a secret: the `x` in `SecretKey=x`, `"token": "x"` and `password: x`.
fn without_named_secrets(line: &str) -> String {
    const NAMES: [&str; 4] = ["secret", "token", "passw", "key"];
    let names_one = |name: &str| {
        let name = name.to_ascii_lowercase();
        NAMES.iter().any(|part| name.contains(part))
    };
    let mut hides_next = false;
    let words = line.split(' ').map(|word| {
        if std::mem::take(&mut hides_next) {
            // There may be blanks around the sign, as in `token = x`.
            hides_next = matches!(word, "=" | ":");
            return if hides_next { word } else { "…" }.to_owned();
        }
        match word.split_once(['=', ':']) {
            Some((name, "")) if names_one(name) => {
                hides_next = true;
                word.to_owned()
            }
            Some((name, _)) if names_one(name) => format!("{name}=…"),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_of_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '=')
}

/// Reads `TmpSecretId`, `TmpSecretKey`, `Token` and `ExpiredTime` (Unix seconds), or `SecretId`, `SecretKey`,
/// `Token` and `Expiration` (ISO 8601 or Unix seconds).
pub(super) fn parse(place: &str, json: &[u8]) -> Result<Credentials, Error> {
    let form = |reason| Error::Form { place: place.to_owned(), reason };
    let value: Value = serde_json::from_slice(json).map_err(|_| form("it is not JSON"))?;
    // Answers of STS have the credentials in this object and the time of expiry outside of it.
    let outer = &value;
    let value = outer.get("Credentials").unwrap_or(outer);
    let get = |name: &str| value.get(name).and_then(Value::as_str);
    let either = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| get(name).map(|text| (name, text)))
    };
    let (id_name, id) =
        either(["TmpSecretId", "SecretId"]).ok_or_else(|| form("there is no SecretId"))?;
    let (key_name, key) =
        either(["TmpSecretKey", "SecretKey"]).ok_or_else(|| form("there is no SecretKey"))?;
    let told = |name: &str| value.get(name).or_else(|| outer.get(name));
    let expires = match told("ExpiredTime").or_else(|| told("Expiration")) {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(number.as_i64().map(UnixSeconds)),
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            let time = text.parse::<jiff::Timestamp>().ok().map(UnixSeconds::from);
            Some(text.parse().ok().map(UnixSeconds).or(time))
        }
        Some(_) => Some(None),
    };
    let expires = match expires {
        Some(None) => return Err(form("the time of expiry cannot be read")),
        Some(time) => time,
        None => None,
    };
    Credentials::checked([id_name, key_name, "Token"], id, key, get("Token"), expires)
}
