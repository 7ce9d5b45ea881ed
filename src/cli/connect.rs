//! Makes the client of a bucket from the settings: its endpoint and its credentials.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use super::fault::Usage;
use crate::config::{Connection, CredentialSources, Pace, Settings};
use crate::cos::{Bucket, Client, Endpoint, Options, Provider, Sources, credentials};
use crate::visible::visible;

/// The client of the bucket.
///
/// # Errors
/// The endpoint or region is wrong, or the credentials are missing or unusable.
pub(super) async fn bucket_client(
    bucket: &Bucket,
    region: Option<&str>,
    endpoint: Option<&str>,
    settings: &Settings,
) -> anyhow::Result<Client> {
    let endpoint = self::endpoint(bucket, region, endpoint, settings.connection.allow_http)?;
    let provider = provider(&settings.credentials).await?;
    endpoint_client(endpoint, provider, settings)
}

/// The endpoint to which requests go.
///
/// # Errors
/// Neither a region nor an endpoint is given, it is unusable, or it is plain http and that is not allowed.
pub(super) fn endpoint(
    bucket: &Bucket,
    region: Option<&str>,
    endpoint: Option<&str>,
    allow_http: bool,
) -> anyhow::Result<Endpoint> {
    let endpoint = match (endpoint, region) {
        (Some(endpoint), _) => Endpoint::custom(endpoint)?,
        (None, Some(region)) => Endpoint::for_region(bucket, region)?,
        (None, None) => anyhow::bail!(Usage(
            "the region of the bucket is not known: give --region, such as ap-guangzhou, or --endpoint".to_owned()
        )),
    };
    refuse_plain_http(&endpoint, allow_http)?;
    Ok(endpoint)
}

/// Refuses an endpoint on another machine that has no encryption, unless that is allowed.
///
/// # Errors
/// [`Usage`].
pub(super) fn refuse_plain_http(endpoint: &Endpoint, allow_http: bool) -> anyhow::Result<()> {
    if endpoint.is_plain_http() && !allow_http {
        anyhow::bail!(Usage(format!(
            "the endpoint {endpoint} is refused, because it has no encryption: everybody on the network path could \
             record the signed requests and send them again. Use https://, or give --allow-http \
             (COSTAG_ALLOW_HTTP=true) if you trust the network"
        )));
    }
    Ok(())
}

/// The client of an endpoint.
///
/// # Errors
/// The CA file is unusable.
pub(super) fn endpoint_client(
    endpoint: Endpoint,
    provider: Arc<Provider>,
    settings: &Settings,
) -> anyhow::Result<Client> {
    Ok(Client::new(endpoint, provider, &options(&settings.connection, &settings.pace))?)
}

/// Finds the source of credentials in the settings, the environment and the home directory, and warns on stderr of files
/// that others can read.
///
/// # Errors
/// No credentials are found, or those that are found are unusable.
pub(super) async fn provider(settings: &CredentialSources) -> anyhow::Result<Arc<Provider>> {
    let provider = discover_credentials(settings).await?;
    for warning in provider.warnings() {
        say!("warning: {}", visible(warning));
    }
    Ok(Arc::new(provider))
}

/// Does the same as [`provider`] without the warnings.
///
/// # Errors
/// The same as those of [`provider`].
pub(super) async fn discover_credentials(
    settings: &CredentialSources,
) -> Result<Provider, credentials::Error> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let sources = Sources {
        environment: &variable,
        home: env::home_dir(),
        credentials_file: settings.file.clone(),
        credential_process: settings.process.clone(),
        cvm_role: settings.cvm_role.clone(),
        metadata_base: settings.metadata_endpoint.clone(),
    };
    Provider::discover(&sources).await
}

fn options(connection: &Connection, pace: &Pace) -> Options {
    Options {
        connect_timeout: connection.connect_timeout,
        timeout: connection.timeout,
        pool_size: pace.workers.most() + pace.list_workers.get(),
        ca_file: connection.ca_file.as_ref().map(PathBuf::from),
        ..Options::default()
    }
}
