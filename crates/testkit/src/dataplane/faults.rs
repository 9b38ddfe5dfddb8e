//! What a test may let go wrong.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Something that goes wrong with coming requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The answer comes this much later; the request is carried out at once.
    Slow(Duration),
    /// The request is carried out; its answer ends in the middle of the body.
    HalfBody,
    /// A proxy in between answers 502 with an HTML page; the request is not carried out.
    BadGateway,
    /// 401 for good credentials; the request is not carried out.
    Unauthorized,
    /// Before a write is looked at, somebody else writes: the version goes up by one, so that the write gets its 409.
    OtherWriter,
    /// A reload fails with this text; HAProxy is not touched. The file goes back to the last good one.
    ReloadFails(String),
    /// The action of this number (the first is 1) in a raw write fails; those before it were run.
    ActionFails(usize),
}

/// Faults in waiting, each with how often it is still to strike.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<(Fault, u32)>>);

impl Faults {
    pub(super) fn add(&self, fault: Fault, times: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((fault, times));
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The first fault of a kind, counted as having struck.
    pub(super) fn take<T>(&self, kind: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) =
            waiting.iter().enumerate().find_map(|(at, (fault, _))| kind(fault).map(|found| (at, found)))?;
        let left = waiting.get_mut(at).map_or(0, |(_, times)| {
            *times = times.saturating_sub(1);
            *times
        });
        if left == 0 {
            waiting.remove(at);
        }
        Some(found)
    }

    pub(super) fn strikes(&self, fault: &Fault) -> bool {
        self.take(|known| (known == fault).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_asked_and_then_no_more() {
        let faults = Faults::default();
        faults.add(Fault::OtherWriter, 2);
        faults.add(Fault::BadGateway, 1);
        assert!(faults.strikes(&Fault::BadGateway) && !faults.strikes(&Fault::BadGateway));
        assert!(faults.strikes(&Fault::OtherWriter) && faults.strikes(&Fault::OtherWriter));
        assert!(!faults.strikes(&Fault::OtherWriter));
    }
}
