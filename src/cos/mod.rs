//! The COS and Cloud Infinite XML API: signed requests, listing, `detect-label`, credentials, errors.
//!
//! ```text
//! Sources -> Provider -> Credentials ─┐
//! Bucket, region -> Endpoint ─────────┴─> Client: list, head, detect_label -> ListPage, ObjectEntry, Answer
//!                                            └─> Error: what happened; the caller decides what to do about it
//! ```
//!
//! This module can be used on its own: it knows no job, no store and no retries. Each method call sends one request,
//! and `Error::was_sent` tells whether a request that failed may have been paid for.

pub mod client;
pub mod clock;
pub mod credentials;
pub mod detect_label;
pub mod encode;
pub mod endpoint;
pub mod error;
mod foreign;
pub mod list;
mod proxy;
mod redact;
mod resolve;
pub mod signer;
mod silence;
mod text;
mod transport;
mod xml;

pub use client::{Client, Link, LinkRequest, Options, Target, thumbnail};
pub use clock::{Clock, Correction};
pub use credentials::{Credentials, Provider, Sources};
pub use detect_label::Answer;
pub use encode::{decode, encode};
pub use endpoint::{Bucket, Endpoint, addressable};
pub use error::{Error, ServiceError};
pub use list::{ListPage, ListRequest, ObjectEntry, Restore};

/// Makes ring the TLS provider of the process, unless one is already installed.
///
/// reqwest is built without a provider, and building any client without one panics, even for plain http.
/// [`Client::new`] calls this; calling it again is harmless.
pub fn install_crypto_provider() {
    // An error means that a provider is installed already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
