//! What is left out of an answer, with its place.

use roster_config::position::Position;
use roster_core::instance::{Reject, Unread};

/// How many are kept: a file of nothing but mistakes must not fill memory and logs.
const KEPT: usize = 1000;

pub(super) struct Rejects<'f> {
    file: &'f str,
    kept: Vec<Reject>,
    more: usize,
    /// Whether one of those that are not listed may be an instance.
    more_unread: bool,
}

impl<'f> Rejects<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, kept: Vec::new(), more: 0, more_unread: false }
    }

    /// Something for which no instance is missing.
    pub(super) fn add(&mut self, at: Position, reason: impl Into<String>) {
        self.push(at, reason.into(), None);
    }

    /// An entry that may be an instance.
    pub(super) fn add_unread(&mut self, at: Position, reason: impl Into<String>, unread: Unread) {
        self.push(at, reason.into(), Some(unread));
    }

    fn push(&mut self, at: Position, reason: String, unread: Option<Unread>) {
        if self.kept.len() < KEPT {
            self.kept.push(Reject { place: format!("{}:{at}", self.file), reason, unread });
        } else {
            self.more += 1;
            self.more_unread |= unread.is_some();
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Reject> {
        if self.more > 0 {
            let reason = format!("{} more mistakes are not listed; correct the first ones", self.more);
            let unread = self.more_unread.then(Unread::default);
            self.kept.push(Reject { place: self.file.to_owned(), reason, unread });
        }
        self.kept
    }
}
