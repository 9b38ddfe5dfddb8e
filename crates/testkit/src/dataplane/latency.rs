//! How long calls take at least, for benchmarks against costs as the real API has them.

use std::time::Duration;

/// A time that grows with the number of servers in the file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// With hardly any server.
    pub base: Duration,
    /// More for each 1,000 servers.
    pub per_thousand: Duration,
}

/// The least time of each kind of call. The default is none: a call takes what the stand-in needs.
///
/// It is a floor, not an addition, since the stand-in runs `haproxy -c` as the real one does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Latency {
    /// Reading a version, the raw text, one object.
    pub read: Cost,
    /// Reading all servers of a backend.
    pub list: Cost,
    /// The runtime list of a backend's servers, and runtime changes.
    pub runtime: Cost,
    /// `stats/native`.
    pub stats: Cost,
    /// Opening a transaction, and a write inside one.
    pub transaction: Cost,
    /// Whatever runs `haproxy -c`: a commit, a versioned write, a raw write.
    pub write: Cost,
}

/// In microseconds.
const fn cost(base: u64, per_thousand: u64) -> Cost {
    Cost { base: Duration::from_micros(base), per_thousand: Duration::from_micros(per_thousand) }
}

impl Cost {
    /// The time for a file of so many servers.
    pub fn of(self, servers: usize) -> Duration {
        let servers = u32::try_from(servers).unwrap_or(u32::MAX);
        self.base + self.per_thousand * servers / 1000
    }
}

impl Latency {
    /// What the real program takes on a small, idle machine with two cores: API 3.2.13 in front of HAProxy 3.0, with 10 and
    /// with 1,000 servers. 2.9.9 and 3.3.4 take about as long.
    pub fn measured() -> Self {
        Self {
            read: cost(300, 100),
            list: cost(200, 3_000),
            runtime: cost(500, 1_600),
            stats: cost(2_000, 350_000),
            transaction: cost(1_000, 150),
            write: cost(25_000, 6_000),
        }
    }

    pub(super) fn of(&self, kind: &str, servers: usize) -> Duration {
        let (method, path) = kind.split_once(' ').unwrap_or_default();
        let cost = if path.ends_with("/runtime/info") {
            self.read
        } else if path.contains("/runtime/") {
            self.runtime
        } else if path.ends_with("stats/native") {
            self.stats
        } else if method == "GET" {
            if path.ends_with("/servers") { self.list } else { self.read }
        } else if method == "POST" && path.ends_with("/transactions") {
            self.transaction
        } else {
            self.write
        };
        cost.of(servers)
    }
}
