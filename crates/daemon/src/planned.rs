//! What would be done now: `roster plan`, its `--json`, and `/api/v1/plan`. The shape of the JSON is part of the interface.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::expose::Unexposed;
use roster_core::plan::{Note, Operation, Standing, Status};
use roster_core::refusals::Refused;
use roster_haproxy::cli::known::OLDEST;
use roster_haproxy::name::{BackendName, ServerName, ServiceKey, SourceName, TargetName};
use roster_haproxy::version::Version;
use serde::{Deserialize, Serialize};

use crate::commands::status::age;
use crate::hint;
use crate::keeper::Passed;
use crate::overview::{Running, SourceStatus};
use crate::own::Preview;

/// What would be done, everywhere.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Planned {
    /// How many operations there are.
    changes: usize,
    /// Whether HAProxy then shows all that the sources say: nothing is left out, held back, waited for or unknown.
    complete: bool,
    targets: Vec<PlannedTarget>,
    /// What of the sources' answers cannot be used.
    rejects: Vec<Reject>,
    /// Sources that do not answer.
    lost: Vec<Lost>,
    /// The Roster that runs; none if none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roster: Option<Running>,
}

/// What would be done to one target.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PlannedTarget {
    pub(crate) target: TargetName,
    operations: Vec<PlannedOperation>,
    /// Whether a process serves.
    runs: bool,
    /// Why HAProxy would be started or reloaded, once for all of these; only where Roster owns it.
    reloads: Vec<String>,
    /// Backends that HAProxy would be given while it runs; only where Roster owns it.
    backends_added: Vec<BackendName>,
    backends_missing: Vec<BackendName>,
    held: Vec<Held>,
    /// What HAProxy refused lately, and what is tried again later; of the Roster that runs.
    #[serde(default)]
    refused: Vec<PlannedRefusal>,
    /// Servers that do not show what their source says, though there is nothing to be done to them now.
    waiting: Vec<Waiting>,
    notes: Vec<String>,
    /// Whether one of the notes is of something that is left out.
    lacking: bool,
    /// Why nothing can be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct PlannedOperation {
    backend: BackendName,
    service: ServiceKey,
    server: ServerName,
    op: String,
    change: String,
    reason: String,
    lines: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Held {
    backend: BackendName,
    service: ServiceKey,
    guard: String,
    what: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct PlannedRefusal {
    backend: BackendName,
    server: ServerName,
    #[serde(flatten)]
    refused: Refused,
}

#[derive(Debug, Deserialize, Serialize)]
struct Waiting {
    backend: BackendName,
    server: ServerName,
    #[serde(flatten)]
    standing: Standing,
}

#[derive(Debug, Deserialize, Serialize)]
struct Reject {
    source: SourceName,
    what: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Lost {
    source: SourceName,
    error: String,
    /// Since when it does not answer.
    since: Option<Timestamp>,
    /// When it gave the answer that stands.
    answer: Option<Timestamp>,
}

impl Planned {
    /// A plan for these targets, made by what these sources said last.
    pub(crate) fn new(targets: Vec<PlannedTarget>, sources: &BTreeMap<SourceName, SourceStatus>) -> Self {
        let rejects = sources.iter().flat_map(|(source, status)| {
            let reject = |what: &String| Reject { source: source.clone(), what: what.clone() };
            status.rejects.iter().map(reject)
        });
        let lost = sources.iter().filter(|(_, status)| !status.up).map(|(source, status)| Lost {
            source: source.clone(),
            error: status.error.clone().unwrap_or_else(|| "it has not answered yet".to_owned()),
            since: status.lost_since,
            answer: status.answer,
        });
        let (rejects, lost): (Vec<_>, Vec<_>) = (rejects.collect(), lost.collect());
        Self {
            changes: targets.iter().map(|target| target.operations.len()).sum(),
            complete: rejects.is_empty() && lost.is_empty() && targets.iter().all(PlannedTarget::is_complete),
            targets,
            rejects,
            lost,
            roster: None,
        }
    }

    /// The same, told by this Roster.
    pub(crate) fn by(self, roster: Running) -> Self {
        Self { roster: Some(roster), ..self }
    }

    /// The Roster that told it.
    pub(crate) fn roster(&self) -> Option<&Running> {
        self.roster.as_ref()
    }

    /// How many changes there are, those of HAProxy's file included.
    pub(crate) fn changes(&self) -> usize {
        let of_file =
            |target: &PlannedTarget| usize::from(!target.reloads.is_empty()) + target.backends_added.len();
        self.changes + self.targets.iter().map(of_file).sum::<usize>()
    }

    /// Whether a source or a target does not answer.
    pub(crate) fn has_failed(&self) -> bool {
        !self.lost.is_empty() || self.targets.iter().any(|target| target.error.is_some())
    }

    /// Why nothing can be said of a target, for each of which that is so.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().filter_map(|target| target.error.as_deref())
    }

    /// All of it, for people; with the lines for HAProxy's socket if that is wanted.
    pub(crate) fn write(&self, text: &mut String, verbose: bool, now: Timestamp) -> fmt::Result {
        for Lost { source, error, since, answer } in &self.lost {
            let since = since.map(|since| format!(" since {}", age(since, now))).unwrap_or_default();
            let stands = answer.map(|answer| format!("what it said {} ago stands", age(answer, now)));
            let stands = stands.unwrap_or_else(|| "nothing is done until it answers".to_owned());
            writeln!(text, "source {source}: no answer{since}: {error}; {stands}")?;
        }
        for Reject { source, what } in &self.rejects {
            writeln!(text, "source {source}: left out: {what}")?;
        }
        self.targets.iter().try_for_each(|target| target.write(text, verbose))?;
        match (self.changes(), self.complete) {
            (0, true) => writeln!(text, "Nothing to do: HAProxy shows what the sources say."),
            (0, false) if self.has_failed() => {
                writeln!(text, "No change is known; what could not be asked stands above.")
            }
            (0, false) => {
                writeln!(text, "No change now; what is left out, held back or waited for stands above.")
            }
            (1, _) => writeln!(text, "1 change. {} makes it.", self.maker()),
            (n, _) => writeln!(text, "{n} changes. {} makes them.", self.maker()),
        }
    }

    fn maker(&self) -> String {
        match &self.roster {
            Some(roster) => format!("The roster that runs (process {})", roster.pid),
            None => hint::roster("once"),
        }
    }
}

impl PlannedTarget {
    /// What a look at the target came to. `lines` says what would be sent for an operation.
    pub(crate) fn new(
        target: &TargetName,
        agenda: &Agenda,
        passed: &Passed,
        own: &Preview,
        lines: impl Fn(&Operation) -> Vec<String>,
    ) -> Self {
        let held = passed.plans.iter().filter_map(|(backend, plan)| {
            let hold = plan.applied.guard.hold.as_ref()?;
            let service = plan.applied.service().clone();
            Some(Held {
                backend: backend.clone(),
                service,
                guard: hold.guard.to_string(),
                what: hold.to_string(),
            })
        });
        let operations = passed.plans.values().flat_map(|plan| {
            let service = plan.applied.service();
            plan.operations.iter().map(|operation| PlannedOperation {
                backend: operation.backend.clone(),
                service: service.clone(),
                server: operation.server.clone(),
                op: operation.change.word().to_owned(),
                change: operation.change.to_string(),
                reason: operation.why.to_string(),
                lines: lines(operation),
            })
        });
        Self {
            target: target.clone(),
            operations: operations.collect(),
            runs: passed.process.is_some(),
            reloads: own.reloads.clone(),
            backends_added: own.added.clone(),
            backends_missing: passed.missing.iter().cloned().collect(),
            held: held.collect(),
            refused: refused(passed),
            waiting: waiting(passed),
            notes: notes(agenda, passed, own),
            lacking: is_lacking(agenda, passed) || !own.left_out.is_empty(),
            error: None,
        }
    }

    /// A target of which nothing can be said.
    pub(crate) fn failed(target: &TargetName, error: String) -> Self {
        Self {
            target: target.clone(),
            operations: Vec::new(),
            runs: false,
            reloads: Vec::new(),
            backends_added: Vec::new(),
            backends_missing: Vec::new(),
            held: Vec::new(),
            refused: Vec::new(),
            waiting: Vec::new(),
            notes: Vec::new(),
            lacking: false,
            error: Some(error),
        }
    }

    fn is_complete(&self) -> bool {
        let waits = !self.held.is_empty()
            || !self.refused.is_empty()
            || !self.waiting.is_empty()
            || !self.backends_missing.is_empty();
        !waits && !self.lacking && self.error.is_none()
    }

    fn write(&self, text: &mut String, verbose: bool) -> fmt::Result {
        let name = &self.target;
        let mut backends: BTreeMap<&BackendName, &ServiceKey> = BTreeMap::new();
        backends.extend(self.operations.iter().map(|op| (&op.backend, &op.service)));
        backends.extend(self.held.iter().map(|held| (&held.backend, &held.service)));
        for (backend, service) in backends {
            writeln!(text, "{name} {backend}, service {service}")?;
            self.write_backend(text, backend, verbose)?;
        }
        for backend in &self.backends_added {
            writeln!(text, "{name}: backend {backend} is added while HAProxy runs")?;
        }
        for (place, reason) in self.reloads.iter().enumerate() {
            match place {
                // Nobody serves.
                0 if !self.runs => writeln!(text, "{name}: {reason}; it is started")?,
                0 => writeln!(text, "{name}: one reload: {reason}")?,
                _ => writeln!(text, "{name}:   with it: {reason}")?,
            }
        }
        for backend in &self.backends_missing {
            writeln!(
                text,
                "{name} has no backend {backend}; add it to its configuration, or change `expose`"
            )?;
        }
        self.notes.iter().try_for_each(|note| writeln!(text, "{name}: {note}"))?;
        for PlannedRefusal { backend, server, refused } in &self.refused {
            writeln!(text, "{name} {backend}/{server}: {refused}")?;
        }
        for Waiting { backend, server, standing } in &self.waiting {
            let endpoint = standing.endpoint.map(|at| format!(" {at}")).unwrap_or_default();
            writeln!(text, "{name} {backend}/{server}{endpoint}: {}", standing.status)?;
        }
        Ok(())
    }

    fn write_backend(&self, text: &mut String, backend: &BackendName, verbose: bool) -> fmt::Result {
        let operations = || self.operations.iter().filter(|op| op.backend == *backend);
        let width = operations().map(|op| op.server.as_str().len()).max().unwrap_or(0);
        for PlannedOperation { server, change, reason, lines, .. } in operations() {
            writeln!(text, "  {server:width$}  {change}  ({reason})")?;
            for line in lines.iter().filter(|_| verbose) {
                writeln!(text, "  {:width$}    {line}", "")?;
            }
        }
        for Held { what, .. } in self.held.iter().filter(|held| held.backend == *backend) {
            let release = hint::roster(format_args!("release {backend}"));
            writeln!(text, "  held back: {what}; {release} lets it through")?;
        }
        Ok(())
    }
}

fn refused(passed: &Passed) -> Vec<PlannedRefusal> {
    let refused = passed.plans.iter().flat_map(|(backend, plan)| {
        plan.refused.iter().map(|(server, refused)| PlannedRefusal {
            backend: backend.clone(),
            server: server.clone(),
            refused: refused.clone(),
        })
    });
    refused.collect()
}

/// Servers to which nothing is done now, and which do not take traffic as their source says.
fn waiting(passed: &Passed) -> Vec<Waiting> {
    let waits = |status: &Status| match status {
        Status::Rising(_)
        | Status::Leaving
        | Status::Draining { .. }
        | Status::Operator(_)
        | Status::Down
        | Status::Inherited
        | Status::Agent => true,
        // What is held or has no server is told besides; the others show what is wanted.
        Status::Active
        | Status::Unhealthy
        | Status::Held
        | Status::Absent
        | Status::Spare
        | Status::Foreign => false,
    };
    let servers = passed.plans.iter().flat_map(|(backend, plan)| {
        let is_planned =
            move |server: &ServerName| plan.operations.iter().any(|operation| operation.server == *server);
        let idle = move |server: &ServerName| !is_planned(server) && !plan.refused.contains_key(server);
        let waiting =
            plan.standings.iter().filter(move |(server, standing)| waits(&standing.status) && idle(server));
        waiting.map(|(server, standing)| Waiting {
            backend: backend.clone(),
            server: server.clone(),
            standing: standing.clone(),
        })
    });
    servers.collect()
}

/// Whether something that a source says is left out.
pub(crate) fn is_lacking(agenda: &Agenda, passed: &Passed) -> bool {
    let lacks = passed.plans.values().any(|plan| plan.notes.iter().any(Note::is_lack));
    lacks || !agenda.unexposed.is_empty()
}

/// What an operator should know of a target besides the operations.
fn notes(agenda: &Agenda, passed: &Passed, own: &Preview) -> Vec<String> {
    let old = passed.version.filter(|version| *version < OLDEST).map(too_old);
    let noted = passed
        .plans
        .iter()
        .flat_map(|(backend, plan)| plan.notes.iter().map(move |note: &Note| format!("{backend}: {note}")));
    let unexposed = agenda.unexposed.iter().map(Unexposed::to_string);
    old.into_iter().chain(noted).chain(unexposed).chain(own.left_out.iter().cloned()).collect()
}

/// What to know of a HAProxy that Roster is not tested with.
pub(crate) fn too_old(version: Version) -> String {
    format!(
        "HAProxy {version} is older than {OLDEST}: Roster is not tested with it, and servers may not be addable live; use \
         {OLDEST} or later"
    )
}
