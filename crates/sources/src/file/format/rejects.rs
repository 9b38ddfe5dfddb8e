//! What is left out of an answer, with its place.

use roster_config::document::Position;
use roster_core::instance::Reject;

/// How many are kept: a file of nothing but mistakes must not fill memory and logs.
const KEPT: usize = 1000;

pub(super) struct Rejects<'f> {
    file: &'f str,
    kept: Vec<Reject>,
    more: usize,
}

impl<'f> Rejects<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, kept: Vec::new(), more: 0 }
    }

    pub(super) fn add(&mut self, at: Position, reason: impl Into<String>) {
        if self.kept.len() < KEPT {
            self.kept.push(Reject { place: format!("{}:{at}", self.file), reason: reason.into() });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Reject> {
        if self.more > 0 {
            let reason = format!("{} more mistakes are not listed; correct the first ones", self.more);
            self.kept.push(Reject { place: self.file.to_owned(), reason });
        }
        self.kept
    }
}
