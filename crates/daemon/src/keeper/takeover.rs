//! Telling a process that took over, or one that is busy, from a target that is in trouble.

use roster_targets::any::AnyError;

/// An error of a target that may only mean that another process serves now, or that the process had no time.
pub(crate) trait Takeover {
    /// Whether reading again is all that is needed.
    fn is_takeover(&self) -> bool;
    /// Whether other connections may have kept HAProxy from answering.
    fn is_busy(&self) -> bool;
}

impl Takeover for AnyError {
    fn is_takeover(&self) -> bool {
        AnyError::is_takeover(self)
    }

    fn is_busy(&self) -> bool {
        AnyError::is_busy(self)
    }
}
