//! Spare servers: which could go, and having them go.
//!
//! One after the other, from the last one back, and none after one that HAProxy does not let go: so no slot of the list
//! is ever skipped. All of it is one order between two passes, so nobody gets a slot meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::applied::ProcessId;
use roster_core::plan::{Compaction, Operation};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::version::Version;
use roster_targets::Target;

use crate::clock;
use crate::compaction::{CompactedBackend, CompactedTarget, How};
use crate::events::{ChangeRefused, Changed, Event, Ordered, chain};
use crate::hint;
use crate::keeper::{Keeper, Owner, Passed, Takeover};
use crate::orders::Done;
use crate::own::Changed as OwnChanged;

/// What came of the servers of one backend.
type Outcome = (Vec<ServerName>, Option<String>);

impl<T: Target> Keeper<T>
where
    T::Error: Takeover,
{
    /// Says what could go of this backend, or of all; with `apply` it goes.
    pub(super) async fn compact(&mut self, only: Option<&BackendName>, apply: bool) -> CompactedTarget {
        let backends = match self.compacted_backends(only) {
            Ok(backends) => backends,
            Err(nothing) => return nothing,
        };
        if apply {
            self.pass(&backends).await;
        }
        let passed = match self.bench().look(&backends).await {
            Ok(passed) => passed,
            Err(error) => return CompactedTarget::failed(&self.name, chain(&error)),
        };
        let how = how(&mut self.own, &self.agenda, &passed);
        let mut compacted = CompactedTarget::new(&self.name, &passed, |backend| how.get(backend).cloned());
        if let (true, Some(process)) = (apply, passed.process) {
            self.have_go(process, &passed.spare, &mut compacted).await;
        }
        compacted
    }

    fn compacted_backends(
        &self,
        only: Option<&BackendName>,
    ) -> Result<BTreeSet<BackendName>, CompactedTarget> {
        if !self.is_up() {
            let why = format!("HAProxy cannot be kept at the moment; {} says why", hint::roster("status"));
            return Err(CompactedTarget::failed(&self.name, why));
        }
        let left_alone = self.own.as_ref().map(Owner::left_alone).unwrap_or_default();
        let known = self.agenda.items.keys().filter(|backend| !left_alone.contains(*backend));
        let Some(only) = only else { return Ok(known.cloned().collect()) };
        if known.clone().any(|backend| backend == only) {
            return Ok([only.clone()].into());
        }
        Err(CompactedTarget::without(&self.name, only, known))
    }

    async fn have_go(
        &mut self,
        process: ProcessId,
        spare: &BTreeMap<BackendName, Compaction>,
        compacted: &mut CompactedTarget,
    ) {
        let mut by_reload: BTreeMap<BackendName, Vec<ServerName>> = BTreeMap::new();
        for (backend, one) in &mut compacted.backends {
            match (one.how, spare.get(backend)) {
                (Some(How::Reload), _) => _ = by_reload.insert(backend.clone(), one.going.clone()),
                (Some(How::Live | How::UntilRestart), Some(spare)) => {
                    (one.removed, one.trouble) = self.delete(process, &spare.operations(backend)).await;
                    if let Some(Owner::Api(file)) = &mut self.own {
                        file.retire(backend, &one.removed, clock::now());
                    }
                }
                _ => {}
            }
        }
        if !by_reload.is_empty() {
            let done = self.shed(&by_reload).await;
            for (backend, servers) in by_reload {
                let Some(one) = compacted.backends.get_mut(&backend) else { continue };
                (one.removed, one.trouble) =
                    if done { (servers, None) } else { (Vec::new(), Some(no_reload())) };
            }
        }
        self.read_back(compacted).await;
    }

    /// Has the running HAProxy delete these, up to the first that it does not let go.
    async fn delete(&mut self, process: ProcessId, operations: &[Operation]) -> Outcome {
        let mut removed = Vec::new();
        for operation in operations {
            let receipt = match self.target.delete(process, operation).await {
                Ok(receipt) => receipt,
                Err(error) => return (removed, Some(format!("{}: {}", operation.server, chain(&error)))),
            };
            let target = &self.name;
            let refusal = receipt.refused.into_iter().next().map(|refused| refused.refusal);
            let result = if refusal.is_some() { "refused" } else { "done" };
            self.reporter.metrics().commands(target, operation.change.word(), result, 1);
            if let Some(refusal) = refusal {
                ChangeRefused { target, operation, refusal: &refusal }.emit(&self.reporter);
                return (removed, Some(format!("{}: {refusal}", operation.server)));
            }
            Changed { target, operation, of_many: false }.emit(&self.reporter);
            removed.push(operation.server.clone());
        }
        (removed, None)
    }

    /// Has these go with one reload. Answers whether it was made.
    async fn shed(&mut self, going: &BTreeMap<BackendName, Vec<ServerName>>) -> bool {
        let (before, now) = (self.applied.process, clock::now());
        let changed = match &mut self.own {
            Some(Owner::Managed(own)) => own.shed(&self.agenda, going, before, now).await,
            Some(Owner::Api(file)) => file.shed(&self.agenda, going, now).await,
            None => OwnChanged::Nothing,
        };
        if changed == OwnChanged::Reloaded {
            self.follow(before).await;
        }
        changed != OwnChanged::Nothing
    }

    /// Only what HAProxy shows no more is gone.
    async fn read_back(&mut self, compacted: &mut CompactedTarget) {
        let backends: BTreeSet<BackendName> = compacted.backends.keys().cloned().collect();
        self.pass(&backends).await;
        let status = self.status.borrow().clone();
        for (backend, one) in &mut compacted.backends {
            let shown = status.backends.get(backend);
            let is_shown =
                |server: &ServerName| shown.is_some_and(|shown| shown.servers.contains_key(server));
            let (left, gone): (Vec<_>, Vec<_>) = one.removed.drain(..).partition(is_shown);
            if let Some(server) = left.first() {
                one.trouble.get_or_insert(format!("{server}: HAProxy still shows it"));
            }
            one.removed = gone;
            self.tell(backend, one);
        }
        self.see_to_own().await;
    }

    fn tell(&self, backend: &BackendName, one: &CompactedBackend) {
        let (target, servers) = (self.name.clone(), one.removed.len());
        if servers > 0 {
            let left = one.slots.saturating_sub(servers);
            let message =
                format!("{target} {backend}: {servers} spare servers removed, {left} slots are left");
            let done = Done { target, backend: backend.clone(), server: None, servers, message };
            Ordered { target: &self.name, done: &done }.emit(&self.reporter);
        }
    }
}

/// Where a reload that was wanted did not come.
fn no_reload() -> String {
    let status = hint::roster("status");
    format!("HAProxy was not reloaded; its log line or {status} says why, and all stays as it was")
}

/// How the spare servers of each backend go, or why they cannot.
fn how(
    own: &mut Option<Owner>,
    agenda: &roster_core::agenda::Agenda,
    passed: &Passed,
) -> BTreeMap<BackendName, Result<How, String>> {
    match own {
        None => passed.spare.iter().map(|(backend, spare)| (backend.clone(), how_alone(spare))).collect(),
        Some(Owner::Managed(own)) => {
            let how = own.sheds(agenda, &passed.spare, clock::now()).into_iter();
            how.map(|(backend, how)| (backend, Ok(how))).collect()
        }
        Some(Owner::Api(file)) => file.sheds(&passed.spare, passed.version.unwrap_or(Version::OLDEST)),
    }
}

/// How spare servers go where there is nothing but the socket: what cannot be added again live must not go.
pub(crate) fn how_alone(spare: &Compaction) -> Result<How, String> {
    if spare.dynamic {
        return Ok(How::UntilRestart);
    }
    Err("the balance algorithm takes no servers live, so that nobody could have these slots again".to_owned())
}
