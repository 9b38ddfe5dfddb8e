//! The client.

use std::time::Duration;

use reqwest::{Client, redirect, retry};
use thiserror::Error;

use crate::bundle::{Bundle, BundleError};
use crate::proxy::Proxies;

/// Which authorities are trusted.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// The system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    System,
    /// Those of the bundle and no others.
    Only(Bundle),
    /// None: no call is made over TLS, and a small container may have no certificates.
    Nobody,
}

/// The limits of time that belong to the client and not to a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest time to connect.
    pub connect: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

/// Why there is no client.
#[derive(Clone, Debug, Error)]
pub enum ClientError {
    /// The system's certificates cannot be used.
    #[error("TLS cannot be set up: {0}; install the system's CA certificates")]
    Tls(String),
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Makes a client that follows no redirect and repeats no call.
pub fn client(trust: &Trust, proxies: &Proxies, limits: Limits) -> Result<Client, ClientError> {
    // Taken by reqwest. An error says that the program has one already, which then is as good.
    let _had_one = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        // The system's are not to be found by the library; the caller says which there are.
        .no_proxy()
        .http1_only()
        .connect_timeout(limits.connect)
        .pool_idle_timeout(limits.idle)
        .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")));
    if !proxies.are_none() {
        let proxies = proxies.clone();
        builder = builder.proxy(reqwest::Proxy::custom(move |url| Some(proxies.of(url)?.url().clone())));
    }
    builder = match trust {
        Trust::System => builder,
        Trust::Only(bundle) => builder.tls_certs_only(bundle.certificates()?),
        Trust::Nobody => builder.tls_certs_only([]),
    };
    builder.build().map_err(|error| ClientError::Tls(crate::causes(&error)))
}
