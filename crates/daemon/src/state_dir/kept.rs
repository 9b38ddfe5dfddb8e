//! The folder of a Roster that keeps records, for as long as it runs.

use std::path::{Path, PathBuf};

use super::{Places, StateDir, claim, unpoint};
use crate::events::chain;
use crate::lock::Lock;
use crate::store::{Store, StoreError};

/// The folder that this process has for itself. Dropping it lets go.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) store: Store,
    /// Why there is none.
    pub(crate) why_none: Option<String>,
    /// Where word of it was left.
    pointed: Option<PathBuf>,
    _held: Option<Lock>,
}

impl Kept {
    /// Nothing is kept anywhere.
    pub(crate) fn nothing() -> Self {
        Self { store: Store::default(), why_none: None, pointed: None, _held: None }
    }

    /// Takes the folder of a configuration, which is made if it is not there. Where none was named and none can be made,
    /// nothing is kept.
    pub(crate) fn take(places: &Places, given: Option<&Path>, config: &Path) -> Result<Self, StoreError> {
        let (store, why_none) = match places.find(given, config) {
            StateDir::Given(folder) => (Store::open(&folder)?, None),
            StateDir::Own(folder) => match Store::open(&folder) {
                Ok(store) => (store, None),
                Err(error) => (Store::by_haproxy(), Some(chain(&error))),
            },
            StateDir::None => (Store::by_haproxy(), Some("there is no home folder to have it in".to_owned())),
        };
        let held = store.hold(config)?;
        let mut pointed = None;
        if let Some(folder) = store.folder() {
            // It only serves commands that are given no folder; that it cannot be written is told by the first record.
            claim(folder, config).ok();
            pointed = places.point(folder, config);
        }
        Ok(Self { store, why_none, pointed, _held: held })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(own) = &self.pointed {
            unpoint(own);
        }
    }
}
