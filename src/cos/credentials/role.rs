//! Requests the credentials of a virtual machine's role from its metadata service ("CVM: instance roles").

use std::time::Duration;

use super::error::Error;
use super::process;
use super::secret::Credentials;
use crate::cos::{encode, resolve, transport};

/// The metadata service. It can be reached only from the machine itself, and only by plain HTTP.
pub(super) const BASE: &str = "http://metadata.tencentyun.com";
const PATH: &str = "latest/meta-data/cam/security-credentials";
const BODY_MAX: usize = 64 * 1024;

/// Requests the credentials of `role`, or of the first role of the machine if `role` is `None`.
pub(super) async fn fetch(
    base: &str,
    role: Option<&str>,
    limit: Duration,
) -> Result<Credentials, Error> {
    crate::cos::install_crypto_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(std::sync::Arc::new(resolve::Resolver))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .build()
        .map_err(failed)?;
    let base = base.trim_end_matches('/');
    let role = if let Some(role) = role {
        role.to_owned()
    } else {
        let list = get(&client, &format!("{base}/{PATH}")).await?;
        let list = String::from_utf8_lossy(&list);
        let role = list.lines().map(str::trim).find(|line| !line.is_empty());
        role.ok_or_else(|| told("the machine has no role"))?.to_owned()
    };
    let body = get(&client, &format!("{base}/{PATH}/{}", encode(&role))).await?;
    let json: serde_json::Value =
        serde_json::from_slice(&body).map_err(|_| told("its answer is not JSON"))?;
    match json.get("Code").and_then(serde_json::Value::as_str) {
        Some("Success") => process::parse("the answer of the machine's metadata service", &body),
        _ => Err(told("its answer does not have the code Success")),
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, Error> {
    let mut response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(told(&format!("it answers with HTTP {}", response.status().as_u16())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            return Err(told("its answer is too long"));
        }
    }
    Ok(body)
}

fn told(reason: &str) -> Error {
    Error::Role { reason: reason.to_owned(), cause: None }
}

fn failed(error: reqwest::Error) -> Error {
    Error::Role { reason: "no answer".to_owned(), cause: Some(transport::without_url(error)) }
}
