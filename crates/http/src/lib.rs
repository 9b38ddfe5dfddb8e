//! The HTTP client that calls to clouds are made with: which certificates are trusted, and through which proxy a call goes.
//!
//! Invariants: no redirect is followed, and no call is repeated in secret, so that a signed call or a token goes only where
//! it was sent; the environment is read by the caller, once; no text holds a proxy's password.

mod bundle;
mod cause;
mod client;
mod proxy;

pub use bundle::{Bundle, BundleError};
pub use cause::causes;
pub use client::{ClientError, Limits, Trust, client};
pub use proxy::{Proxies, Proxy, ProxyError};
