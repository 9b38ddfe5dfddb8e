//! One file for each command.

pub(crate) mod adopt;
pub(crate) mod ask;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod convert;
pub(crate) mod detach;
pub(crate) mod explain;
pub(crate) mod once;
mod order;
pub(crate) mod plan;
pub(crate) mod print;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod status;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use roster_config::native::Config;
use roster_core::agenda::Agenda;
use roster_core::applied::Applied;
use roster_core::catalog::Catalog;
use roster_core::plan::ProbeResults;
use roster_files::apart;
use roster_haproxy::name::{BackendName, TargetName};
use roster_targets::any::AnyTarget;

use crate::cli::{Common, LogFormat};
use crate::clock;
use crate::events::Reporter;
use crate::exit::Failure;
use crate::keeper::{Bench, Memory, Owner, Passed, Refused};
use crate::overview::Running;
use crate::own::Preview;
use crate::state_dir::{Kept, Places};
use crate::store::{Store, StoreError};
use crate::supervise::Tasks;
use crate::wiring::{self, Reached};

/// Where a configuration comes from, also when it is to be read again.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// Another program's file, which was read once and is not looked at again.
    Made(PathBuf, Box<Config>),
}

/// What `run` and `once` are given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) config: Origin,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) log_format: Option<LogFormat>,
}

impl Origin {
    /// The configuration as it is now.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        match self {
            Self::File(path) => wiring::load(path),
            Self::Made(_, config) => Ok(Config::clone(config)),
        }
    }

    /// The same on a thread of its own: the file's folder may be on a file system that does not answer.
    pub(crate) async fn load_apart(&self) -> Result<Config, Failure> {
        let Self::File(path) = self else { return self.load() };
        let path = path.clone();
        apart(move || wiring::load(&path)).await.map_err(anyhow::Error::from)?
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Made(path, _) => path,
        }
    }
}

impl Given {
    /// What a Roster that reads this configuration now tells of itself.
    pub(crate) fn running(&self) -> Running {
        let config = self.config.path();
        Running {
            pid: std::process::id(),
            config: std::path::absolute(config).unwrap_or_else(|_| config.to_owned()),
            read: clock::wall(),
            rereads: matches!(self.config, Origin::File(_)),
            refused: None,
        }
    }

    /// Takes the folder for the records. A program that Roster stands in for keeps nothing unless it is asked to.
    pub(crate) fn keep(&self) -> Result<Kept, StoreError> {
        if self.state_dir.is_none() && matches!(self.config, Origin::Made(..)) {
            return Ok(Kept::nothing());
        }
        Kept::take(&Places::of_user(), self.state_dir.as_deref(), self.config.path())
    }
}

impl Common {
    /// The records of the configuration, to be read.
    pub(crate) fn records(&self) -> Store {
        Places::of_user().find(self.state_dir.as_deref(), &self.config).read()
    }
}

impl From<Common> for Given {
    fn from(common: Common) -> Self {
        let Common { config, state_dir, log_format } = common;
        Self { config: Origin::File(config), state_dir, log_format }
    }
}

/// A target as a single look finds it.
pub(crate) struct Looked {
    pub(crate) target: AnyTarget,
    pub(crate) agenda: Agenda,
    pub(crate) passed: Passed,
    /// What would be done to HAProxy itself; only where Roster owns it.
    pub(crate) own: Preview,
}

/// Looks at one target once and changes nothing.
pub(crate) async fn look_at(
    name: &TargetName,
    config: &Config,
    store: &Store,
    catalog: &Catalog,
    to: &Reporter,
) -> Result<Looked, anyhow::Error> {
    let reach = config.targets.get(name).with_context(|| format!("there is no target {name}"))?;
    let Reached { target, file, .. } = wiring::target(config, name, reach).await?;
    let mut applied = recorded(store, name, to);
    let tasks = Tasks::new(to);
    let mut owner = file.map(|file| file.owner(name, None, store, to, &tasks));
    let found = match &mut owner {
        Some(Owner::Api(file)) => file.find().await,
        Some(Owner::Managed(_)) | None => Vec::new(),
    };
    let agenda = Agenda::new(catalog, &config.rules, name, &applied, &found, clock::now());
    if let Some(Owner::Api(file)) = &mut owner {
        file.find_own_lines(&agenda);
    }
    let backends: BTreeSet<BackendName> = agenda.items.keys().cloned().collect();
    // Who keeps no records in a folder has HAProxy itself keep them.
    let memory = store.is_by_haproxy().then(Memory::default);
    let mut bench = Bench {
        name,
        target: &target,
        agenda: &agenda,
        applied: &mut applied,
        refusals: &mut Refused::new(),
        side_by_side: &mut 1,
        store: &Store::default(),
        probes: &ProbeResults::new(),
        reporter: to,
        memory: memory.as_ref(),
        owned: owner.is_some(),
        own_lines: owner.as_ref().map(Owner::own_lines).unwrap_or_default(),
        left_alone: owner.as_ref().map(Owner::left_alone).unwrap_or_default(),
        awaited: owner.as_ref().map(|owner| owner.awaited(&agenda)).unwrap_or_default(),
    };
    let looked = bench.look(&backends).await;
    let unreachable = matches!(&looked, Err(error) if error.is_unreachable());
    let is_down = matches!(owner, Some(Owner::Managed(_))) && unreachable;
    let mut passed = if is_down {
        Passed { missing: backends, ..Passed::default() }
    } else {
        looked.map_err(|error| anyhow::Error::new(error).context(format!("target {name}")))?
    };
    let own = match owner {
        Some(Owner::Managed(own)) => own.preview(&agenda, &mut passed, !is_down),
        Some(Owner::Api(file)) => file.preview(&agenda, &applied, &mut passed).await,
        None => Preview::default(),
    };
    Ok(Looked { target, agenda, passed, own })
}

/// What was last written to a target.
pub(crate) fn recorded(store: &Store, name: &TargetName, to: &Reporter) -> Applied {
    let (applied, errors) = store.applied(name);
    for error in &errors {
        wiring::told(error, to);
    }
    applied
}

/// The rules, to be shared.
pub(crate) fn rules(config: &Config) -> Arc<[roster_core::exposure::Rule]> {
    config.rules.clone().into()
}
