//! The observer of calls, so that a metric can count them.

use std::time::Duration;

/// Gets a report of every call to ARM and to a token endpoint, also of those that are repeated.
pub trait Observe: Send + Sync {
    /// A call has ended. `api` is a fixed name such as `vm_list` or `token_imds`; `code` the HTTP status, or `timeout`,
    /// `unreachable`, `lost` (the connection broke) or, for `az`, `exit_N`.
    fn on_call(&self, api: &'static str, code: &str, took: Duration);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observe for Silent {
    fn on_call(&self, _api: &'static str, _code: &str, _took: Duration) {}
}
