//! What `roster compact` tells: which spare servers would go, how, and what became of them. The shape is part of the
//! interface.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use roster_core::layout::Lines;
use roster_core::plan::Compaction;
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use serde::{Deserialize, Serialize};

use crate::keeper::Passed;
use crate::names::did_you_mean;

/// How many servers are named one by one.
const LISTED: usize = 10;

/// What was found, or done, everywhere.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Compacted {
    pub(crate) targets: Vec<CompactedTarget>,
    /// Why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// One target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct CompactedTarget {
    pub(crate) target: TargetName,
    /// Its backends that have more slots than are wanted.
    pub(crate) backends: BTreeMap<BackendName, CompactedBackend>,
    /// Why nothing can be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether that is because it has no backend of the name that was asked for.
    #[serde(skip)]
    lacks_backend: bool,
}

/// One backend.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct CompactedBackend {
    pub(crate) instances: usize,
    /// How many slots there were.
    pub(crate) slots: usize,
    /// How many the scheme wants for these instances.
    pub(crate) wanted: usize,
    /// The spare servers that can go, the last one first.
    pub(crate) going: Vec<ServerName>,
    /// How they go; none where none does.
    pub(crate) how: Option<How>,
    /// Why no more of them can.
    pub(crate) stays: Option<String>,
    /// Those that went, where that was asked for.
    pub(crate) removed: Vec<ServerName>,
    /// Why the others did not.
    pub(crate) trouble: Option<String>,
}

/// How spare servers go.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// Without a reload, from HAProxy's file too.
    Live,
    /// Without a reload, until HAProxy is started anew: its own file still has them.
    UntilRestart,
    /// By one reload.
    Reload,
}

impl CompactedTarget {
    /// What a look found. `how` says how the spare servers of a backend go, or why they cannot.
    pub(crate) fn new(
        target: &TargetName,
        passed: &Passed,
        how: impl Fn(&BackendName) -> Option<Result<How, String>>,
    ) -> Self {
        let over = passed.spare.iter().filter(|(_, spare)| spare.slots > spare.wanted);
        let backends =
            over.map(|(backend, spare)| (backend.clone(), CompactedBackend::new(spare, how(backend))));
        Self { target: target.clone(), backends: backends.collect(), error: None, lacks_backend: false }
    }

    /// A target of which nothing can be said.
    pub(crate) fn failed(target: &TargetName, error: String) -> Self {
        Self { target: target.clone(), backends: BTreeMap::new(), error: Some(error), lacks_backend: false }
    }

    /// A target whose backends are `known`, and none of them is the one that was asked for.
    pub(crate) fn without<'a>(
        target: &TargetName,
        asked: &BackendName,
        known: impl Iterator<Item = &'a BackendName>,
    ) -> Self {
        let hint = did_you_mean(asked.as_str(), known.map(BackendName::as_str));
        let why = format!("there is no backend {asked} that Roster keeps{hint}");
        Self { lacks_backend: true, ..Self::failed(target, why) }
    }
}

impl CompactedBackend {
    fn new(spare: &Compaction, how: Option<Result<How, String>>) -> Self {
        let Compaction { instances, slots, wanted, .. } = *spare;
        let (how, going, stays) = match how.filter(|_| !spare.going.is_empty()) {
            Some(Ok(how)) => (Some(how), spare.going.clone(), spare.stays.as_ref().map(ToString::to_string)),
            Some(Err(why)) => (None, Vec::new(), Some(why)),
            None => (None, Vec::new(), spare.stays.as_ref().map(ToString::to_string)),
        };
        Self { instances, slots, wanted, going, how, stays, removed: Vec::new(), trouble: None }
    }
}

impl Compacted {
    /// What was found on each target. Where some have the backend that was asked for, the others are no matter.
    pub(crate) fn new(mut targets: Vec<CompactedTarget>) -> Self {
        if targets.iter().any(|target| !target.lacks_backend) {
            targets.retain(|target| !target.lacks_backend);
        }
        Self { targets, error: None }
    }

    /// The only thing that is known is that it was refused.
    pub(crate) fn refused(error: String) -> Self {
        Self { targets: Vec::new(), error: Some(error) }
    }

    fn backends(&self) -> impl Iterator<Item = &CompactedBackend> {
        self.targets.iter().flat_map(|target| target.backends.values())
    }

    /// Whether anything could go.
    pub(crate) fn has_any(&self) -> bool {
        self.backends().any(|backend| !backend.going.is_empty())
    }

    /// Whether all targets answered, and everything went that was to go.
    pub(crate) fn is_well(&self) -> bool {
        self.error.is_none()
            && self.targets.iter().all(|target| target.error.is_none())
            && self.backends().all(|backend| backend.trouble.is_none())
    }

    /// All of it, for people. `apply` is the command that has it done, if it was not asked to be.
    pub(crate) fn write(&self, text: &mut String, apply: Option<&str>) -> fmt::Result {
        for CompactedTarget { target, backends, error, .. } in &self.targets {
            for (backend, compacted) in backends {
                write!(text, "{target} {backend}: ")?;
                compacted.write(text, apply.is_none())?;
            }
            if let Some(error) = error {
                writeln!(text, "{target}: {error}")?;
            }
        }
        if self.is_well() && self.backends().next().is_none() {
            writeln!(text, "Nothing to do: no backend has more slots than are wanted.")?;
        } else if let (true, Some(apply)) = (self.has_any(), apply) {
            writeln!(text, "{apply} removes them.")?;
        }
        Ok(())
    }
}

impl CompactedBackend {
    fn write(&self, text: &mut String, applied: bool) -> fmt::Result {
        let Self { instances, slots, wanted, going, how, stays, removed, trouble } = self;
        writeln!(text, "{slots} slots, {wanted} wanted for {instances} instances")?;
        let servers = if applied { removed } else { going };
        if let Some(how) = how.filter(|_| !servers.is_empty()) {
            let word = if applied { "removed" } else { "would go" };
            writeln!(text, "  {word} {}: {}", how.words(), listed(servers))?;
            if how == How::UntilRestart {
                writeln!(text, "  a restarted HAProxy has them again as long as its own file has them")?;
            }
        }
        if let Some(trouble) = trouble {
            writeln!(text, "  not done: {trouble}")?;
        }
        match stays {
            Some(stays) => writeln!(text, "  {stays}"),
            None => Ok(()),
        }
    }
}

/// A few names, or the first and the last of many.
fn listed(servers: &[ServerName]) -> String {
    match servers {
        [first, .., last] if servers.len() > LISTED => {
            format!("{first} to {last} ({} servers)", servers.len())
        }
        few => few.iter().map(ServerName::as_str).collect::<Vec<_>>().join(" "),
    }
}

/// Takes servers out of what runs.
pub(crate) fn strike(lines: &mut Lines, backend: &BackendName, servers: &[ServerName]) {
    if let Some(lines) = lines.get_mut(backend) {
        let gone: BTreeSet<&ServerName> = servers.iter().collect();
        lines.retain(|line| !gone.contains(&line.name));
    }
}

impl How {
    fn words(self) -> &'static str {
        match self {
            How::Live | How::UntilRestart => "live",
            How::Reload => "with one reload",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::print;

    fn names(names: &[&str]) -> Vec<ServerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn backend() -> CompactedBackend {
        CompactedBackend {
            instances: 2,
            slots: 6,
            wanted: 3,
            going: names(&["srv6", "srv5"]),
            how: Some(How::Live),
            stays: Some("srv4 stays, and all before it: it is draining".into()),
            removed: Vec::new(),
            trouble: None,
        }
    }

    fn of(backend: CompactedBackend) -> Compacted {
        let backends = [("web".parse().unwrap(), backend)].into();
        let target =
            CompactedTarget { target: "local".parse().unwrap(), backends, error: None, lacks_backend: false };
        Compacted::new(vec![target])
    }

    fn told(compacted: &Compacted, applied: bool) -> String {
        print::text(|text| compacted.write(text, (!applied).then_some("`roster compact --apply`")))
    }

    #[test]
    fn a_plan_says_what_would_go_how_and_what_stays() {
        assert_eq!(
            told(&of(backend()), false),
            "local web: 6 slots, 3 wanted for 2 instances\n  would go live: srv6 srv5\n  \
             srv4 stays, and all before it: it is draining\n`roster compact --apply` removes them.\n"
        );
        let until = of(CompactedBackend { how: Some(How::UntilRestart), ..backend() });
        assert!(told(&until, false).contains("a restarted HAProxy has them again"), "{until:?}");
        let reload = of(CompactedBackend { how: Some(How::Reload), ..backend() });
        assert!(told(&reload, false).contains("would go with one reload: srv6"), "{reload:?}");
    }

    #[test]
    fn a_target_without_the_backend_matters_only_where_no_target_has_it() {
        let [web, wbe]: [BackendName; 2] = ["web", "wbe"].map(|name| name.parse().unwrap());
        let without = CompactedTarget::without(&"other".parse().unwrap(), &wbe, [&web].into_iter());
        let both = Compacted::new([of(backend()).targets, vec![without.clone()]].concat());
        assert_eq!(both, of(backend()));
        assert_eq!(
            told(&Compacted::new(vec![without.clone(), without]), false),
            "other: there is no backend wbe that Roster keeps (did you mean web?)\n".repeat(2)
        );
    }

    #[test]
    fn what_was_done_and_what_was_not_are_told_apart() {
        let half = CompactedBackend {
            removed: names(&["srv6"]),
            trouble: Some("srv5: the server still has connections".into()),
            ..backend()
        };
        let told = told(&of(half.clone()), true);
        assert!(told.contains("  removed live: srv6\n  not done: srv5: the server still"), "{told}");
        assert!(!told.contains("--apply"), "{told}");
        assert!(!of(half).is_well());
        assert!(of(backend()).is_well() && of(backend()).has_any());
    }

    #[test]
    fn where_nothing_is_too_much_that_is_said() {
        let nothing = Compacted::default();
        assert_eq!(told(&nothing, false), "Nothing to do: no backend has more slots than are wanted.\n");
        let failed = CompactedTarget::failed(&"local".parse().unwrap(), "no answer".into());
        let failed = Compacted::new(vec![failed]);
        assert!(told(&failed, false).starts_with("local: no answer\n") && !failed.is_well());
    }

    #[test]
    fn what_a_program_reads_back_is_what_was_told() {
        let compacted = of(backend());
        let text = serde_json::to_string(&compacted).unwrap();
        assert_eq!(serde_json::from_str::<Compacted>(&text).unwrap(), compacted);
    }
}
