//! From a configuration to sources and targets that work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use roster_config::env::ProcessEnv;
use roster_config::native::{
    self, Address, ApiVersion, Config, DataplaneReach, LastGood, ManagedReach, Reach, RuntimeReach,
};
use roster_core::catalog::Catalog;
use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use roster_core::layout::profiles;
use roster_files::Kind;
use roster_haproxy::name::{SourceName, TargetName};
use roster_haproxy::render::Profile;
use roster_haproxy::version::Version;
use roster_sources::cloud::Calls;
use roster_sources::{AnySource, Source};
use roster_targets::any::AnyTarget;
use roster_targets::dataplane::DataplaneTarget;
use roster_targets::dataplane::client::{Client, Settings, Tls, VersionChoice};
use roster_targets::managed::file::haproxy_version;
use roster_targets::runtime::{RuntimeTarget, session, socket::SocketAddress};

use crate::api_file::ApiFile;
use crate::clock;
use crate::events::{AnswerLacksMetadata, AnswerTooOld, Event, Reporter, SourceLost, StateTrouble};
use crate::exit::Failure;
use crate::keeper::Owner;
use crate::own::{Book, Own};
use crate::store::{Store, StoreError};
use crate::supervise::Tasks;

/// How long `haproxy -v` may take.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// A target that can be kept.
pub(crate) struct Reached {
    /// Its servers.
    pub target: AnyTarget,
    /// How often it is asked which process serves.
    pub poll: Duration,
    /// Its file, where that is Roster's to see to.
    pub file: Option<File>,
    /// What was found for it besides the configuration.
    pub found: Found,
}

/// What of a target is found outside of the configuration. Where it differs, the target is another one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Found {
    /// Where its socket is.
    address: Option<SocketAddress>,
    /// The version of the program that Roster runs.
    version: Option<Version>,
    /// The certificates of the authorities that an API is trusted by.
    authorities: Option<Vec<u8>>,
}

/// HAProxy's file, and who sees to it.
pub(crate) enum File {
    /// Roster, which has the process too.
    Owned(Box<Owned>),
    /// A Data Plane API.
    Api(Client, Box<DataplaneReach>),
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
    let config = Config::load(path, &ProcessEnv)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

/// A source of the configuration. `known` is what it said last.
pub(crate) fn source(
    name: &SourceName,
    config: &native::Source,
    known: Option<Arc<Snapshot>>,
    to: &Reporter,
) -> AnySource {
    let calls: Arc<dyn Calls> = Arc::new(to.clone());
    let source = roster_sources::build(name, config, &calls);
    match known {
        Some(known) => source.resume(known),
        None => source,
    }
}

impl Calls for Reporter {
    fn ended(&self, source: &SourceName, api: &'static str, code: &str, _took: Duration) {
        self.metrics().source_call(source, api, code);
    }
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
    let mut found = Found::default();
    let (address, timeout, poll, file) = match reach {
        Reach::Dataplane(reach) => return dataplane(reach).with_context(wrong),
        Reach::Runtime(reach) => (address(reach).await.with_context(wrong)?, reach.timeout, reach.poll, None),
        Reach::Managed(reach) => {
            let version = version(&reach.haproxy).await.with_context(wrong)?;
            found.version = Some(version);
            let address = SocketAddress::Unix(Path::new(reach.stats_socket.as_str()).to_owned());
            let profiles = profiles(&config.rules, name);
            let owned = Owned { reach: reach.as_ref().clone(), version, profiles };
            (address, reach.timeout, reach.poll, Some(File::Owned(Box::new(owned))))
        }
    };
    found.address = Some(address.clone());
    let target = AnyTarget::Runtime(RuntimeTarget::new(address, limits(timeout)));
    Ok(Reached { target, poll, file, found })
}

fn limits(timeout: Duration) -> session::Limits {
    session::Limits {
        connect: timeout,
        progress: timeout,
        total: (timeout * 12).max(Duration::from_secs(60)),
        ..session::Limits::default()
    }
}

/// A target behind a Data Plane API: its servers by HAProxy's own socket where that can be reached, else by the API.
fn dataplane(reach: &DataplaneReach) -> Result<Reached, anyhow::Error> {
    let settings = Settings {
        url: reach.url.parse().context("check the key `url`")?,
        version: match reach.version {
            ApiVersion::Auto => VersionChoice::Auto,
            ApiVersion::V2 => VersionChoice::V2,
            ApiVersion::V3 => VersionChoice::V3,
        },
        username: reach.username.clone(),
        password: reach.password.expose().to_owned().into(),
        tls: Tls { verify: reach.verify, ca_file: reach.ca_file.clone() },
        timeout: reach.timeout,
    };
    let client = Client::new(settings).context("check the keys of `dataplane`")?;
    let target = if let Some(Address::Socket(path)) = &reach.socket {
        AnyTarget::Runtime(RuntimeTarget::new(SocketAddress::Unix(path.clone()), limits(reach.timeout)))
    } else {
        AnyTarget::Dataplane(DataplaneTarget::new(client.clone()))
    };
    let authorities = reach
        .ca_file
        .as_ref()
        .and_then(|path| roster_files::read(path, Kind::Authorities).ok())
        .map(|read| read.bytes);
    let file = Some(File::Api(client, Box::new(reach.clone())));
    Ok(Reached { target, poll: reach.poll, file, found: Found { authorities, ..Found::default() } })
}

impl File {
    /// The same where everything that is to come has come, so that a change waits for no others.
    pub(crate) fn at_once(mut self) -> Self {
        match &mut self {
            Self::Owned(owned) => owned.reach.quiet = Duration::ZERO,
            Self::Api(_, reach) => reach.quiet = Duration::ZERO,
        }
        self
    }

    /// Whoever sees to it. `book` is what a configuration before this one left, if there was one.
    pub(crate) fn owner(
        self,
        name: &TargetName,
        book: Option<Book>,
        store: &Store,
        reporter: &Reporter,
        tasks: &Tasks,
    ) -> Owner {
        match self {
            Self::Owned(owned) => {
                Owner::Managed(Box::new(Own::new(name, *owned, book, store, reporter, tasks)))
            }
            Self::Api(client, reach) => Owner::Api(Box::new(ApiFile::new(name, client, *reach, reporter))),
        }
    }
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
    for (name, source) in &config.sources {
        restore(&mut catalog, store, name, config, to);
        let known = catalog.snapshot(name).cloned();
        let is_known = known.is_some();
        match self::source(name, source, known, to).fetch().await {
            Ok(snapshot) => catalog.accept(name, SourceEvent::Full(snapshot), clock::now()),
            Err(error) => {
                SourceLost { source: name, error: &error, known: is_known }.emit(to);
                catalog.accept(name, SourceEvent::Lost(error.clone()), clock::now());
                lost.push((name.clone(), error));
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
    config: &Config,
    to: &Reporter,
) {
    let mut selected = config.rules.iter().flat_map(|rule| rule.select.metadata.keys());
    match store.last_good(source) {
        Ok(Some(snapshot)) if is_too_old(&snapshot, config.last_good) => {
            AnswerTooOld { source, taken: snapshot.taken }.emit(to);
        }
        Ok(Some(snapshot)) if !snapshot.keeps(&mut selected) => AnswerLacksMetadata { source }.emit(to),
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
