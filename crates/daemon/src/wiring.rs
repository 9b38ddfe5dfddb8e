//! From a configuration to sources and targets that work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use roster_config::env::ProcessEnv;
use roster_config::native::{Address, Config, LastGood, ManagedReach, Reach, RuntimeReach};
use roster_core::catalog::Catalog;
use roster_core::haproxy::Version;
use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use roster_core::layout::profiles;
use roster_core::name::{SourceName, TargetName};
use roster_core::render::Profile;
use roster_sources::{AnySource, Source};
use roster_targets::managed::file::haproxy_version;
use roster_targets::runtime::{RuntimeTarget, session, socket::SocketAddress};

use crate::clock;
use crate::events::{AnswerTooOld, Event, Reporter, SourceLost, StateTrouble};
use crate::exit::Failure;
use crate::store::{Store, StoreError};

/// How long `haproxy -v` may take.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// A target that can be kept.
pub(crate) struct Reached {
    /// Its servers.
    pub target: RuntimeTarget,
    /// How often it is asked which process serves.
    pub poll: Duration,
    /// The HAProxy itself, where Roster owns it.
    pub owned: Option<Owned>,
}

/// A HAProxy that Roster owns.
pub(crate) struct Owned {
    /// Where everything is.
    pub reach: ManagedReach,
    /// The program's version.
    pub version: Version,
    /// What backends may look like that come later.
    pub profiles: Vec<Profile>,
}

/// The configuration of this file.
pub(crate) fn load(path: &Path) -> Result<Config, Failure> {
    Ok(Config::load(path, &ProcessEnv)?)
}

/// The store in this folder, or one that keeps nothing.
pub(crate) fn store(folder: Option<&Path>) -> Result<Store, Failure> {
    // systemd may name several folders; the first is ours.
    let first =
        |folder: &Path| folder.to_string_lossy().split(':').next().map(str::to_owned).unwrap_or_default();
    match folder.map(first) {
        Some(folder) if !folder.is_empty() => {
            Store::open(Path::new(&folder)).map_err(|error| Failure::Usage(crate::events::chain(&error)))
        }
        _ => Ok(Store::default()),
    }
}

/// Every source of the configuration.
pub(crate) fn sources(config: &Config) -> Vec<(SourceName, AnySource)> {
    let sources = config.sources.iter();
    sources.map(|(name, source)| (name.clone(), roster_sources::build(name, source))).collect()
}

/// Every target of the configuration, ready to be kept.
pub(crate) async fn targets(config: &Config) -> Result<BTreeMap<TargetName, Reached>, anyhow::Error> {
    let mut targets = BTreeMap::new();
    for (name, reach) in &config.targets {
        targets.insert(name.clone(), target(config, name, reach).await?);
    }
    Ok(targets)
}

/// A target of the configuration.
pub(crate) async fn target(
    config: &Config,
    name: &TargetName,
    reach: &Reach,
) -> Result<Reached, anyhow::Error> {
    let wrong = || format!("target {name}");
    let (address, timeout, poll, owned) = match reach {
        Reach::Runtime(reach) => (address(reach).await.with_context(wrong)?, reach.timeout, reach.poll, None),
        Reach::Managed(reach) => {
            let version = version(&reach.haproxy).await.with_context(wrong)?;
            let address = SocketAddress::Unix(Path::new(reach.stats_socket.as_str()).to_owned());
            let profiles = profiles(&config.rules, name);
            let owned = Owned { reach: reach.as_ref().clone(), version, profiles };
            (address, reach.timeout, reach.poll, Some(owned))
        }
    };
    let limits = session::Limits {
        connect: timeout,
        progress: timeout,
        total: (timeout * 12).max(Duration::from_secs(60)),
        ..session::Limits::default()
    };
    Ok(Reached { target: RuntimeTarget::new(address, limits), poll, owned })
}

/// The version of this program.
async fn version(haproxy: &Path) -> Result<Version, anyhow::Error> {
    let binary = haproxy.to_owned();
    let asked = tokio::task::spawn_blocking(move || haproxy_version(&binary, VERSION_WITHIN));
    asked.await?.context("check the key `haproxy`")
}

async fn address(reach: &RuntimeReach) -> Result<SocketAddress, anyhow::Error> {
    match &reach.address {
        Address::Socket(path) => Ok(SocketAddress::Unix(path.clone())),
        Address::Tcp(at) => {
            let found = tokio::net::lookup_host((at.host(), at.port())).await;
            let mut found = found.with_context(|| format!("{at} cannot be looked up; check the name"))?;
            let first = found.next().with_context(|| format!("{at} has no address; check the name"))?;
            Ok(SocketAddress::Tcp(first))
        }
    }
}

/// What every source says now. One that does not answer is told of, and what it said before stands for it.
pub(crate) async fn ask_all(
    config: &Config,
    store: &Store,
    to: &Reporter,
) -> (Catalog, Vec<(SourceName, SourceError)>) {
    let mut catalog = Catalog::new(config.sources.keys().cloned());
    let mut lost = Vec::new();
    for (name, source) in sources(config) {
        restore(&mut catalog, store, &name, config.last_good, to);
        let known = catalog.snapshot(&name).cloned();
        let mut source = match &known {
            Some(answer) => source.resume(answer.clone()),
            None => source,
        };
        match source.fetch().await {
            Ok(snapshot) => catalog.accept(&name, SourceEvent::Full(snapshot), clock::now()),
            Err(error) => {
                let known = known.is_some();
                SourceLost { source: &name, error: &error, known }.emit(to);
                catalog.accept(&name, SourceEvent::Lost(error.clone()), clock::now());
                lost.push((name, error));
            }
        }
    }
    (catalog, lost)
}

/// Takes in what a source said last, as far as that was kept and is believed.
pub(crate) fn restore(
    catalog: &mut Catalog,
    store: &Store,
    source: &SourceName,
    limit: LastGood,
    to: &Reporter,
) {
    match store.last_good(source) {
        Ok(Some(snapshot)) if is_too_old(&snapshot, limit) => {
            AnswerTooOld { source, taken: snapshot.taken }.emit(to);
        }
        Ok(Some(snapshot)) => catalog.restore(source, Arc::new(snapshot)),
        Ok(None) => {}
        Err(error) => told(&error, to),
    }
}

fn is_too_old(snapshot: &Snapshot, limit: LastGood) -> bool {
    let age = clock::now().duration_since(snapshot.taken);
    limit.max_age.is_some_and(|max| std::time::Duration::try_from(age).is_ok_and(|age| age > max.get()))
}

/// Tells of an error of the state folder.
pub(crate) fn told(error: &StoreError, to: &Reporter) {
    StateTrouble { error }.emit(to);
}
