//! What a target remembers from one call to the next.

use std::time::{Duration, Instant};

use roster_core::applied::ProcessId;
use roster_haproxy::observed::Observed;
use roster_haproxy::version::Version;

use super::client::{ProcessInfo, RawConfig};
use super::weights::Weights;

/// For how long what a write answered stands for the file.
const JUST_NOW: Duration = Duration::from_secs(1);

/// What the last look found.
pub(super) struct Known {
    pub raw: Option<RawConfig>,
    /// The file as the last write left it, and when it was written: the look that follows need not ask for it.
    pub written: Option<(RawConfig, Instant)>,
    pub observed: Observed,
    pub process: Option<(ProcessId, Duration)>,
    pub version: Version,
    pub weights: Weights,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            raw: None,
            written: None,
            observed: Observed::default(),
            process: None,
            version: Version::OLDEST,
            weights: Weights::default(),
        }
    }
}

impl Known {
    /// The file as it was written just now, for one look.
    pub(super) fn just_written(&mut self) -> Option<RawConfig> {
        let (file, at) = self.written.take()?;
        (at.elapsed() < JUST_NOW).then_some(file)
    }

    /// A process that shows a shorter life than before is another one, also if it has the same number.
    pub(super) fn identify(&mut self, info: &ProcessInfo) -> ProcessId {
        let id = match self.process {
            Some((known, uptime)) if known.pid == info.pid && info.uptime >= uptime => known,
            Some((known, _)) if known.pid == info.pid => {
                ProcessId { pid: info.pid, started: Some(roster_clock::wall()) }
            }
            _ => ProcessId { pid: info.pid, started: None },
        };
        self.process = Some((id, info.uptime));
        self.weights.of(id);
        id
    }
}
