//! Reading ahead, while nothing else is to be done, what a later pass would have to ask first.
//!
//! It is done once for each process, for the backends that a rule could name. It writes nothing, decides nothing, and
//! gives way to everything else: what it has read by then is not read again.

use std::collections::BTreeSet;

use roster_core::applied::ProcessId;
use roster_core::exposure::Rule;
use roster_haproxy::name::{BackendName, TargetName};
use roster_targets::Target;

/// For which process everything was read ahead, or could not be.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    done: Option<ProcessId>,
}

impl Ahead {
    /// Whether there is something to read of this process.
    pub(super) fn is_due(&self, process: Option<ProcessId>) -> bool {
        process.is_some() && self.done != process
    }

    /// It was done, or it failed: a pass asks for what is missing.
    pub(super) fn over(&mut self, process: Option<ProcessId>) {
        self.done = process;
    }
}

/// Reads ahead the backends that rules could name.
pub(super) async fn read<T: Target>(target: &T, name: &TargetName, rules: &[Rule]) {
    let named = |backend: &BackendName| {
        let mut patterns = rules.iter().filter(|rule| rule.targets.contains(name)).flat_map(|rule| {
            std::iter::once(&rule.backend).chain(rule.fallback.as_ref().map(|fallback| &fallback.backend))
        });
        patterns.any(|pattern| pattern.could_make(backend.as_str()))
    };
    let read = async {
        let backends: BTreeSet<BackendName> = target.backends().await?.into_iter().filter(named).collect();
        target.prepare(&backends).await?;
        Ok::<usize, T::Error>(backends.len())
    };
    match read.await {
        Ok(backends) => tracing::debug!(target = %name, backends, "read ahead"),
        // Whatever is wrong will be in the way of a pass too, and be told there.
        Err(error) => tracing::debug!(target = %name, %error, "nothing could be read ahead"),
    }
}
