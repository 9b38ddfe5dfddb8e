//! How everything is doing: what `roster status` shows and `/api/v1/status` answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use roster_config::native::Config;
use roster_core::catalog::{Catalog, SourceState};
use roster_core::times::Times;
use roster_haproxy::name::{SourceName, TargetName};
use serde::{Deserialize, Serialize};

use crate::keeper::TargetStatus;
use crate::supervise::Ended;

/// How everything is doing; the shape is part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overview {
    /// The Roster that runs; none if none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roster: Option<Running>,
    pub(crate) sources: BTreeMap<SourceName, SourceStatus>,
    pub(crate) targets: BTreeMap<TargetName, TargetStatus>,
    /// Roster's own tasks that ended by a mistake since it started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tasks: BTreeMap<String, Ended>,
}

/// A Roster that runs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// The configuration that it goes by.
    pub(crate) config: PathBuf,
    /// When it read that.
    pub(crate) read: Timestamp,
    /// Whether SIGHUP has it read again.
    pub(crate) rereads: bool,
    /// A newer version that it did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<RefusedConfig>,
}

/// A configuration that was not taken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct RefusedConfig {
    /// When.
    pub(crate) at: Timestamp,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// How a source is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Since when it has had no complete answer.
    pub(crate) lost_since: Option<Timestamp>,
}

impl SourceStatus {
    fn of(state: &SourceState) -> Self {
        let answer = state.last_good.as_ref();
        let trouble = state.trouble.as_ref();
        let rejects = answer.map(|answer| answer.rejects.iter().map(ToString::to_string).collect());
        Self {
            up: answer.is_some() && !state.from_disk && trouble.is_none(),
            answer: answer.map(|answer| answer.taken),
            from_disk: state.from_disk,
            services: answer.map_or(0, |answer| answer.services.len()),
            instances: answer.map_or(0, |answer| answer.count()),
            rejects: rejects.unwrap_or_default(),
            error: trouble.map(|trouble| trouble.error.to_string()),
            lost_since: trouble.map(|trouble| trouble.since),
        }
    }
}

impl Times for Overview {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        // The configuration's times are of the machine's clock already.
        let Self { roster: _, sources, targets, tasks } = self;
        for source in sources.values_mut() {
            source.each_time(with);
        }
        for target in targets.values_mut() {
            target.each_time(with);
        }
        for ended in tasks.values_mut() {
            ended.each_time(with);
        }
    }
}

impl Times for SourceStatus {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { answer, lost_since, up: _, from_disk: _, services: _, instances: _, rejects: _, error: _ } =
            self;
        answer.iter_mut().chain(lost_since).for_each(with);
    }
}

/// How every source is doing.
pub(crate) fn sources(catalog: &Catalog) -> BTreeMap<SourceName, SourceStatus> {
    catalog.sources().map(|(name, state)| (name.clone(), SourceStatus::of(state))).collect()
}

impl Overview {
    /// How everything is doing, by a look of one's own.
    pub(crate) fn new(catalog: &Catalog, targets: BTreeMap<TargetName, TargetStatus>) -> Self {
        Self { sources: sources(catalog), targets, ..Self::default() }
    }

    /// Whether every source and every target answers, and every task runs.
    pub(crate) fn is_well(&self) -> bool {
        let sources = self.sources.values().all(|source| source.up);
        let tasks = self.tasks.values().all(|ended| ended.runs);
        sources && tasks && self.targets.values().all(|target| target.trouble.is_none())
    }

    /// Whether it is about the sources and targets of this configuration, and no others.
    pub(crate) fn is_about(&self, config: &Config) -> bool {
        self.sources.keys().eq(config.sources.keys()) && self.targets.keys().eq(config.targets.keys())
    }

    /// Each source and target, and what keeps it from having been brought to what is wanted once; none if nothing
    /// does. What was ready stays so, whatever fails later; but a task of Roster's own that does not run makes it unready.
    pub(crate) fn readiness(&self) -> Vec<(String, Option<String>)> {
        let sources = self.sources.iter().map(|(name, source)| {
            let silent = source.answer.is_none().then(|| match &source.error {
                Some(error) => format!("has never answered: {error}"),
                None => "has not answered yet".into(),
            });
            (format!("source {name}"), silent)
        });
        let targets = self.targets.iter().map(|(name, target)| {
            let pending: usize = target.backends.values().map(|backend| backend.pending).sum();
            let lacking = !(target.heard && target.synced);
            let lacking = lacking.then(|| match &target.trouble {
                Some(trouble) => trouble.clone(),
                None if !target.heard => "waits for its sources".into(),
                None if pending > 0 => format!("{pending} changes are still to be made"),
                None => "has not been brought to what is wanted yet".into(),
            });
            (format!("target {name}"), lacking)
        });
        let tasks = self.tasks.iter().map(|(name, ended)| {
            (
                format!("task {name}"),
                (!ended.runs).then(|| format!("ended and is to be started anew: {}", ended.cause)),
            )
        });
        sources.chain(targets).chain(tasks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(synced: bool, answered: bool) -> Overview {
        let source = SourceStatus {
            up: answered,
            answer: answered.then_some(Timestamp::UNIX_EPOCH),
            from_disk: false,
            services: 0,
            instances: 0,
            rejects: Vec::new(),
            error: None,
            lost_since: None,
        };
        let target = TargetStatus { heard: answered, synced, ..TargetStatus::default() };
        Overview {
            sources: [("fleet".parse().unwrap(), source)].into(),
            targets: [("local".parse().unwrap(), target)].into(),
            ..Overview::default()
        }
    }

    fn lacking(overview: &Overview) -> Vec<String> {
        overview
            .readiness()
            .into_iter()
            .filter_map(|(who, why)| why.map(|why| format!("{who} {why}")))
            .collect()
    }

    #[test]
    fn ready_is_who_has_heard_every_source_and_brought_every_target_up_once() {
        assert_eq!(lacking(&overview(false, false)).len(), 2);
        assert_eq!(
            lacking(&overview(true, false)),
            ["source fleet has not answered yet", "target local waits for its sources"]
        );
        assert!(lacking(&overview(true, true)).is_empty());
    }

    #[test]
    fn a_loss_after_the_first_time_does_not_end_readiness() {
        let mut overview = overview(true, true);
        for source in overview.sources.values_mut() {
            (source.up, source.error) = (false, Some("no route".into()));
        }
        for target in overview.targets.values_mut() {
            target.trouble = Some("no answer".into());
        }
        assert!(lacking(&overview).is_empty());
        assert!(!overview.is_well());
    }

    #[test]
    fn a_task_that_ended_is_not_ready_until_it_runs_again() {
        let mut overview = overview(true, true);
        let ended =
            Ended { cause: "it panicked: oh".into(), at: Timestamp::UNIX_EPOCH, times: 1, runs: false };
        overview.tasks.insert("keeper local".into(), ended);
        assert_eq!(
            lacking(&overview),
            ["task keeper local ended and is to be started anew: it panicked: oh"]
        );
        assert!(!overview.is_well());
        for ended in overview.tasks.values_mut() {
            ended.runs = true;
        }
        assert!(lacking(&overview).is_empty() && overview.is_well());
    }

    #[test]
    fn what_a_program_reads_back_is_what_was_told() {
        let overview = overview(true, true);
        let text = serde_json::to_string(&overview).unwrap();
        assert_eq!(serde_json::from_str::<Overview>(&text).unwrap(), overview);
    }
}
