//! Tags of many instances in little memory: their names are shared, and short values take none of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;

/// An instance's tags.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tags(Vec<(Arc<str>, CompactString)>);

/// The texts of a page that many of its instances have.
#[derive(Debug, Default)]
pub(crate) struct Texts(BTreeSet<Arc<str>>);

impl Texts {
    pub(crate) fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.0.insert(Arc::clone(&text));
        text
    }
}

impl Tags {
    /// Of a name that is there twice the last value counts.
    pub(crate) fn new<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>, texts: &mut Texts) -> Self {
        let all: BTreeMap<&str, &str> = tags.collect();
        Self(all.into_iter().map(|(name, value)| (texts.shared(name), value.into())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.into())).collect()
    }

    /// Adds those of others whose names are not there.
    pub(crate) fn add_missing(&mut self, others: &Self) {
        for (name, value) in &others.0 {
            if !self.has(name) {
                self.0.push((Arc::clone(name), value.clone()));
            }
        }
    }
}
