//! How a client connects: its options, its proxy, its certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, redirect, retry};

use crate::cos::endpoint::Endpoint;
use crate::cos::proxy;
use crate::cos::resolve::Resolver;

/// How long an idle connection is kept. This is less than the limit of common servers and load balancers, so that a
/// connection that the other side has closed is rarely used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The options of a client: how it connects and how long it waits.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time limit for name resolution, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// The longest time in which nothing of an answer may arrive. A whole answer may take ten times as long.
    pub timeout: Duration,
    /// How many idle connections are kept: the number of requests that are sent at the same time.
    pub pool_size: usize,
    /// A PEM file of certificates that are trusted in addition to the system's; `None` for the system's alone.
    pub ca_file: Option<PathBuf>,
    /// The value of the header `User-Agent`, which is not signed.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            pool_size: 64,
            ca_file: None,
            user_agent: concat!("costag/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The CA file cannot be read.
    #[error("cannot read the CA file {}; check its name and permissions", path.display())]
    CaFile {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: std::io::Error,
    },
    /// The CA file holds no certificate in PEM form.
    #[error("there is no certificate in the CA file {}: give one in PEM form", path.display())]
    NoCertificate {
        /// The path of the file.
        path: PathBuf,
    },
    /// The endpoint is not a URL.
    #[error("cannot use the endpoint {endpoint} as a URL")]
    Endpoint {
        /// The endpoint.
        endpoint: Endpoint,
        /// What is wrong with it.
        #[source]
        cause: url::ParseError,
    },
    /// An environment variable names a proxy that cannot be used. The value is not kept, because it may hold a password.
    #[error("the proxy in the environment variable {variable} cannot be used: {what}")]
    Proxy {
        /// The name of the variable.
        variable: String,
        /// What is wrong with its value.
        what: String,
    },
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// Builds an HTTP client with a connection pool of its own.
pub(super) fn http(endpoint: &Endpoint, options: &Options) -> Result<reqwest::Client, BuildError> {
    let variable = |name: &str| std::env::var(name).ok();
    proxy::check(endpoint, variable)
        .map_err(|(variable, what)| BuildError::Proxy { variable, what })?;
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .dns_resolver(Arc::new(Resolver))
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .tcp_nodelay(true)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.pool_size)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(options.user_agent.as_str());
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        let pem = std::fs::read(path)
            .map_err(|cause| BuildError::CaFile { path: path.clone(), cause })?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(BuildError::NoCertificate { path: path.clone() });
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(BuildError::Http)
}
