//! `credential_process`: a command that prints credentials as JSON.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{Credentials, Error};

/// More than any credentials take.
const OUTPUT_MAX: u64 = 64 * 1024;

/// Runs `command` through `sh -c` and reads what it prints.
pub(super) async fn run(command: &str, limit: Duration) -> Result<Credentials, Error> {
    let fail = |reason: String| Error::Process { reason };
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It may print secrets there; neither shown nor kept.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fail(format!("cannot be started: {error}")))?;
    let Some(stdout) = child.stdout.take() else {
        return Err(fail("has no output".to_owned()));
    };
    let read = async {
        let mut output = Vec::new();
        let size = stdout.take(OUTPUT_MAX).read_to_end(&mut output).await;
        size.map_err(|error| fail(format!("cannot be read: {error}")))?;
        let status = child.wait().await.map_err(|error| fail(format!("is lost: {error}")))?;
        Ok((output, status))
    };
    let (output, status) =
        tokio::time::timeout(limit, read).await.map_err(|_| Error::ProcessTimeout { limit })??;
    if !status.success() {
        return Err(fail(format!("ended with {status}")));
    }
    parse("what credential_process printed", &output)
}

/// Reads `TmpSecretId`, `TmpSecretKey`, `Token` and `ExpiredTime` (Unix seconds), or `SecretId`, `SecretKey`,
/// `Token` and `Expiration` (ISO 8601 or Unix seconds).
pub(super) fn parse(place: &str, json: &[u8]) -> Result<Credentials, Error> {
    let form = |reason| Error::Form { place: place.to_owned(), reason };
    let value: Value = serde_json::from_slice(json).map_err(|_| form("it is no JSON"))?;
    // The answers of STS wrap them so, with the time of expiry outside.
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
        Some(Value::Number(number)) => Some(number.as_i64()),
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            let time = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
            Some(text.parse().ok().or(time))
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
