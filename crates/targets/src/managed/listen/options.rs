//! How a socket listens.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// What `net.core.somaxconn` allows on most machines; the kernel takes the lesser of the two.
const BACKLOG: NonZeroU16 = match NonZeroU16::new(4096) {
    Some(backlog) => backlog,
    None => NonZeroU16::MAX,
};

/// Options of a listening socket. On `bind fd@N` HAProxy sets none of its own that concern the socket itself, such as
/// `interface`, `transparent` or `mode`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenOptions {
    /// How many connections wait at most, in the kernel, while HAProxy is away. HAProxy 2.6 sets its own once it runs.
    pub backlog: NonZeroU16,
    /// Whether `[::]:80` leaves IPv4 alone; without it, it takes both. Of no effect on other addresses.
    pub v6only: bool,
    /// The permissions of a unix socket's file; connecting needs to write.
    pub mode: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: BACKLOG, v6only: false, mode: 0o660 }
    }
}
