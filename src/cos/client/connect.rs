//! How a client connects: its options, its proxy, its certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, redirect, retry};

use crate::cos::endpoint::Endpoint;
use crate::cos::proxy;
use crate::cos::resolve::Resolver;

/// Below the idle limit of common servers and balancers: a connection that was closed is rarely reused.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How a client connects and how long it waits.
#[derive(Debug, Clone)]
pub struct Options {
    /// For name, connection and TLS together.
    pub connect_timeout: Duration,
    /// For each silence while an answer is waited for or read; the whole may take ten times as long.
    pub timeout: Duration,
    /// How many idle connections are kept: as many as there are requests at a time.
    pub pool_size: usize,
    /// A PEM file of certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The header `User-Agent`; not signed.
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
    /// The file of certificates cannot be read.
    #[error("cannot read the CA file {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file holds no certificate in PEM form.
    #[error("no certificate in the CA file {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The endpoint makes no URL.
    #[error("cannot use the endpoint {endpoint} as a URL")]
    Endpoint {
        /// The endpoint.
        endpoint: Endpoint,
        /// Why.
        #[source]
        cause: url::ParseError,
    },
    /// The environment names a proxy that cannot be used. Its address is not kept: it may hold a password.
    #[error("the proxy in the environment variable {variable} cannot be used: {what}")]
    Proxy {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        what: String,
    },
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// A client with connections of its own.
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
