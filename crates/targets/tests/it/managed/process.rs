//! HAProxy as a process, on every version.

mod external;
mod faults;
mod lifecycle;
mod output;
mod reaper;
mod reload;
mod replace;
mod site;

use std::time::Duration;

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(30);
