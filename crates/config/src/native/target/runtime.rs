//! An HAProxy that is kept through its Runtime API alone.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::{Duration, HostPort};

/// An HAProxy that is kept through its Runtime API alone. Give `socket` or `tcp`. Its configuration wants a line such
/// as `stats socket /run/haproxy/admin.sock level admin`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeTarget {
    /// The path of its `stats socket`, relative to the folder of this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::SocketPath>")]
    pub socket: Option<PathBuf>,
    /// The host and port of its `stats socket`, where that is `ipv4@…`. Nothing protects it on the way: keep it local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<HostPort>,
    /// How long one exchange may take.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// How often HAProxy is looked at while nothing changes.
    #[serde(default = "poll")]
    pub poll: Duration,
}

/// Where a Runtime API answers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// A Unix socket.
    Socket(PathBuf),
    /// A TCP port.
    Tcp(HostPort),
}

/// An HAProxy that is kept through its Runtime API alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuntimeReach {
    /// Where it answers.
    pub address: Address,
    /// How long one exchange may take; not zero.
    pub timeout: std::time::Duration,
    /// How often it is looked at while nothing changes; not zero.
    pub poll: std::time::Duration,
}

fn timeout() -> Duration {
    Duration::seconds(5)
}

fn poll() -> Duration {
    Duration::seconds(1)
}

impl RuntimeTarget {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<RuntimeReach> {
        cx.not_zero(&at.join("timeout"), self.timeout);
        cx.not_zero(&at.join("poll"), self.poll);
        let address = match (&self.socket, &self.tcp) {
            (Some(socket), None) => {
                let socket = cx.absolute(socket);
                cx.sound(&at.join("socket"), format::socket_path(&socket.to_string_lossy()))?;
                Address::Socket(socket)
            }
            (None, Some(tcp)) => Address::Tcp(tcp.clone()),
            (None, None) => {
                cx.key_problem(at, "`runtime` says nowhere to connect to; give `socket` or `tcp`");
                return None;
            }
            (Some(_), Some(_)) => {
                cx.key_problem(&at.join("tcp"), "`socket` and `tcp` are both given; remove one of the two");
                return None;
            }
        };
        Some(RuntimeReach { address, timeout: self.timeout.get(), poll: self.poll.get() })
    }
}
