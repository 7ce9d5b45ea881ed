//! Posts a text to an address that is not the service's, such as that of a monitor. The address itself may be a secret, so
//! no error contains it.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::connect::{self, BuildError, Options};
use crate::cos::endpoint::{self, Endpoint};
use crate::cos::transport::{Cause, without_url};

/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The most bytes that are read of an answer.
const ANSWER_MAX: usize = 4 * 1024;

/// Why a text could not be posted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The address has no host that requests can be sent to.
    #[error("the address cannot be used: check it")]
    Address(#[source] endpoint::Error),
    /// There is no client for it.
    #[error("it cannot be reached: check the network and the address")]
    Client(#[source] BuildError),
    /// The exchange failed.
    #[error("no answer came: check the network and the address")]
    Exchange(#[source] Cause),
}

/// Sends a POST request, without a signature. Returns the status and the beginning of the answer.
///
/// # Errors
/// Returns an error if no answer comes. Any status is an answer.
pub async fn post(
    address: &Url,
    content_type: &str,
    body: String,
    options: &Options,
) -> Result<(u16, String), PostError> {
    crate::cos::install_crypto_provider();
    let origin = address.origin().ascii_serialization();
    let endpoint = Endpoint::custom(&origin).map_err(PostError::Address)?;
    let http = connect::http(&endpoint, options).map_err(PostError::Client)?;
    let failed = |error| PostError::Exchange(without_url(error));
    let request = http.post(address.clone()).header(CONTENT_TYPE, content_type);
    let mut response = request.body(body).timeout(LIMIT).send().await.map_err(failed)?;
    let mut answer = Vec::new();
    while answer.len() < ANSWER_MAX
        && let Some(part) = response.chunk().await.map_err(failed)?
    {
        answer.extend_from_slice(&part);
    }
    answer.truncate(ANSWER_MAX);
    Ok((response.status().as_u16(), String::from_utf8_lossy(&answer).into_owned()))
}
