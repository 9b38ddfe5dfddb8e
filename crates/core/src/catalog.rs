//! The catalog: what each source last said, and how it is doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::name::{ServiceKey, SourceName};

use crate::instance::{Definition, Instance, Snapshot, SourceError, SourceEvent};

/// What all sources last said.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sources: BTreeMap<SourceName, SourceState>,
}

/// One source.
#[derive(Clone, Debug, Default)]
pub struct SourceState {
    /// Its last complete answer.
    pub last_good: Option<Arc<Snapshot>>,
    /// Whether that one was read from disk rather than heard.
    pub from_disk: bool,
    /// Why there is no newer one.
    pub trouble: Option<Trouble>,
}

/// What keeps a source from answering.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// The last error.
    pub error: SourceError,
    /// When the first one of the row came.
    pub since: Timestamp,
}

impl Catalog {
    /// A catalog of sources that have said nothing yet.
    pub fn new(sources: impl IntoIterator<Item = SourceName>) -> Self {
        Self { sources: sources.into_iter().map(|name| (name, SourceState::default())).collect() }
    }

    /// A source that has said nothing yet, whatever one of this name has said.
    pub fn put(&mut self, source: SourceName) {
        self.sources.insert(source, SourceState::default());
    }

    /// Forgets the sources for which this does not hold.
    pub fn retain(&mut self, stays: impl Fn(&SourceName) -> bool) {
        self.sources.retain(|name, _| stays(name));
    }

    /// Takes in what a source says. A complete answer replaces the one before; anything else leaves it.
    pub fn accept(&mut self, source: &SourceName, event: SourceEvent, now: Timestamp) {
        let Some(state) = self.sources.get_mut(source) else { return };
        match event {
            SourceEvent::Full(snapshot) => {
                *state = SourceState { last_good: Some(snapshot), from_disk: false, trouble: None };
            }
            SourceEvent::Lost(error) => {
                let since = state.trouble.as_ref().map_or(now, |trouble| trouble.since);
                state.trouble = Some(Trouble { error, since });
            }
        }
    }

    /// Takes in an answer that was kept on disk, unless a newer one was heard.
    pub fn restore(&mut self, source: &SourceName, snapshot: Arc<Snapshot>) {
        if let Some(state) = self.sources.get_mut(source).filter(|state| state.last_good.is_none()) {
            state.last_good = Some(snapshot);
            state.from_disk = true;
        }
    }

    /// Each source and how it is doing.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceName, &SourceState)> {
        self.sources.iter()
    }

    /// The last complete answer of a source.
    pub fn snapshot(&self, source: &SourceName) -> Option<&Arc<Snapshot>> {
        self.sources.get(source)?.last_good.as_ref()
    }

    /// The last complete answer of a source that was heard since Roster started. One that was kept on disk may be older than
    /// what it says.
    pub fn heard(&self, source: &SourceName) -> Option<&Arc<Snapshot>> {
        let state = self.sources.get(source)?;
        state.last_good.as_ref().filter(|_| !state.from_disk)
    }

    /// Whether the configuration has a source of this name.
    pub fn has(&self, source: &SourceName) -> bool {
        self.sources.contains_key(source)
    }

    /// Whether the last that was heard of a source is a complete answer.
    pub fn answers(&self, source: &SourceName) -> bool {
        self.sources.get(source).is_some_and(|state| state.last_good.is_some() && state.trouble.is_none())
    }

    /// Every service that any source knows, with its instances.
    pub fn services(&self) -> impl Iterator<Item = (ServiceKey, &[Instance])> {
        let known = self.sources.iter().filter_map(|(name, state)| Some((name, state.last_good.as_ref()?)));
        known.flat_map(|(source, snapshot)| {
            snapshot.services.iter().map(|(service, instances)| {
                (ServiceKey { source: source.clone(), service: service.clone() }, instances.as_slice())
            })
        })
    }

    /// What a service's source says of the service itself.
    pub fn definition(&self, service: &ServiceKey) -> Option<&Definition> {
        self.snapshot(&service.source)?.definitions.get(&service.service)
    }

    /// Whether every source has answered at least once, now or before the last start.
    pub fn is_complete(&self) -> bool {
        self.sources.values().all(|state| state.last_good.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Members;

    fn source() -> SourceName {
        SourceName::new("fleet").unwrap()
    }

    fn answer(services: &[&str]) -> SourceEvent {
        let services = services.iter().map(|name| (name.parse().unwrap(), Members::default())).collect();
        SourceEvent::Full(Arc::new(Snapshot { services, ..Snapshot::default() }))
    }

    #[test]
    fn an_error_leaves_what_was_known_and_a_full_answer_replaces_it() {
        let mut catalog = Catalog::new([source()]);
        catalog.accept(&source(), answer(&["a", "b"]), Timestamp::UNIX_EPOCH);
        let lost = SourceEvent::Lost(SourceError { message: "down".into() });
        catalog.accept(&source(), lost, Timestamp::UNIX_EPOCH);
        assert_eq!(catalog.services().count(), 2);
        catalog.accept(&source(), answer(&["a"]), Timestamp::UNIX_EPOCH);
        assert_eq!(catalog.services().count(), 1);
        assert!(catalog.sources().all(|(_, state)| state.trouble.is_none()));
    }
}
