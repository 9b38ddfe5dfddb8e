//! `roster status`: how every target and backend is doing.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use roster_core::catalog::Catalog;
use roster_core::name::{SourceName, TargetName};
use roster_core::plan::Status;
use serde::Serialize;

use super::{look, print};
use crate::cli::StatusArgs;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::keeper::{BackendStatus, TargetStatus};
use crate::wiring;

/// How everything is doing; the shape is part of the interface.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Overview {
    pub(crate) sources: BTreeMap<SourceName, SourceStatus>,
    pub(crate) targets: BTreeMap<TargetName, TargetStatus>,
}

/// How a source is doing.
#[derive(Debug, Serialize)]
pub(crate) struct SourceStatus {
    /// Whether its last answer was complete.
    pub(crate) up: bool,
    /// When the answer was taken that is gone by.
    pub(crate) answer: Option<Timestamp>,
    /// Whether that answer was read from the state folder.
    pub(crate) from_disk: bool,
    pub(crate) services: usize,
    pub(crate) instances: usize,
    /// What was left out of the answer, and why.
    pub(crate) rejects: Vec<String>,
    pub(crate) error: Option<String>,
}

/// How the sources of a catalog are doing.
pub(crate) fn sources(catalog: &Catalog) -> BTreeMap<SourceName, SourceStatus> {
    let status = catalog.sources().map(|(name, state)| {
        let answer = state.last_good.as_ref();
        let status = SourceStatus {
            up: answer.is_some() && state.trouble.is_none(),
            answer: answer.map(|answer| answer.taken),
            from_disk: state.from_disk,
            services: answer.map_or(0, |answer| answer.services.len()),
            instances: answer.map_or(0, |answer| answer.services.values().map(Vec::len).sum()),
            rejects: answer
                .map(|answer| answer.rejects.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            error: state.trouble.as_ref().map(|trouble| trouble.error.to_string()),
        };
        (name.clone(), status)
    });
    status.collect()
}

/// Shows how everything is doing. Exit code 1 if a source or a target does not answer.
pub(crate) async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = wiring::store(args.common.state_dir.as_deref())?;
    let (catalog, lost) = wiring::ask_all(&config, &store).await;
    let mut overview = Overview { sources: sources(&catalog), targets: BTreeMap::new() };
    for looked in look(&config, &store, &catalog).await? {
        let passed = looked.passed;
        let backends = passed.plans.iter().map(|(backend, plan)| (backend.clone(), BackendStatus::of(plan)));
        let missing = passed.missing.iter().filter_map(|backend| {
            let service = looked.agenda.items.get(backend)?.exposure.service.clone();
            Some((backend.clone(), BackendStatus::missing(service)))
        });
        let status = TargetStatus {
            process: passed.process,
            version: passed.version.map(|version| version.to_string()),
            synced: passed.settled,
            stuck: false,
            settled_at: passed.settled.then(clock::now),
            trouble: None,
            backends: backends.chain(missing).collect(),
        };
        overview.targets.insert(looked.name, status);
    }
    let text = if args.json {
        serde_json::to_string_pretty(&overview).map_err(anyhow::Error::from)? + "\n"
    } else {
        render(&overview)
    };
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(if lost.is_empty() { Exit::Done } else { Exit::Failed })
}

fn render(overview: &Overview) -> String {
    print::text(|text| write_all(text, overview))
}

fn write_all(text: &mut String, overview: &Overview) -> std::fmt::Result {
    for (name, source) in &overview.sources {
        let SourceStatus { services, instances, .. } = source;
        writeln!(
            text,
            "source {name}: {}, {services} services, {instances} instances",
            if source.up { "up" } else { "DOWN" }
        )?;
        if let Some(error) = &source.error {
            writeln!(text, "  {error}")?;
        }
        if let (true, Some(answer)) = (source.from_disk, source.answer) {
            writeln!(text, "  what it said at {answer} stands")?;
        }
        for reject in &source.rejects {
            writeln!(text, "  left out: {reject}")?;
        }
    }
    for (name, target) in &overview.targets {
        let process =
            target.process.map_or_else(|| "no process seen yet".into(), |process| process.to_string());
        writeln!(text, "target {name}: {process}")?;
        if let Some(trouble) = &target.trouble {
            writeln!(text, "  {trouble}")?;
        }
        for (backend, status) in &target.backends {
            write_backend(text, backend.as_str(), status)?;
        }
    }
    Ok(())
}

fn write_backend(text: &mut String, backend: &str, status: &BackendStatus) -> std::fmt::Result {
    if status.missing {
        return writeln!(
            text,
            "  {backend}: HAProxy has no backend of this name (service {})",
            status.service
        );
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for standing in status.servers.values() {
        *counts.entry(standing.status.to_string()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
    let pending = match status.pending {
        0 => String::new(),
        n => format!("; {n} changes to make"),
    };
    writeln!(text, "  {backend}: {}{pending} (service {})", counts.join(", "), status.service)?;
    let telling = |status: &Status| !matches!(status, Status::Active | Status::Spare | Status::Foreign);
    for (server, standing) in status.servers.iter().filter(|(_, standing)| telling(&standing.status)) {
        let endpoint = standing.endpoint.map(|at| format!(" {at}")).unwrap_or_default();
        let since = standing.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        writeln!(text, "    {server}{endpoint}: {}{since}", standing.status)?;
    }
    if let Some(hold) = &status.hold {
        writeln!(
            text,
            "    held back since {:.0}: {hold}; `roster release {backend}` lets it through",
            hold.since
        )?;
    }
    for note in &status.notes {
        writeln!(text, "    {note}")?;
    }
    Ok(())
}
