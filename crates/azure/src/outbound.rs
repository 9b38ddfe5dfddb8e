//! How calls leave this machine: the proxy and the certificates that the environment names, as Azure's clients take them.

use std::ffi::OsString;

use roster_http::{Bundle, Proxies, ProxyError, Trust};

/// Variables that may name certificates of one's own. They are those of `requests`, the HTTP library of Azure's clients for
/// Python. `SSL_CERT_FILE` and `SSL_CERT_DIR` are looked at where the system's certificates are.
const BUNDLES: [&str; 2] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// The way out of this machine.
#[derive(Clone, Debug)]
pub struct Outbound {
    proxies: Result<Proxies, ProxyError>,
    bundle: Option<Bundle>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self { proxies: Ok(Proxies::default()), bundle: None }
    }
}

impl Outbound {
    /// What this lookup answers, such as `std::env::var_os`.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        Self { bundle: Bundle::named(&BUNDLES, &lookup), proxies: Proxies::read(lookup) }
    }

    pub(crate) fn proxies(&self) -> Result<Proxies, ProxyError> {
        self.proxies.clone()
    }

    pub(crate) fn trust(&self) -> Trust {
        self.bundle.clone().map_or(Trust::System, Trust::Only)
    }
}
