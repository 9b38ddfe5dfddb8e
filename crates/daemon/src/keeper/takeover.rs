//! Telling a process that took over from a target that is in trouble.

use roster_targets::any::AnyError;

/// An error of a target that may only mean that another process serves now.
pub(crate) trait Takeover {
    /// Whether reading again is all that is needed.
    fn is_takeover(&self) -> bool;
}

impl Takeover for AnyError {
    fn is_takeover(&self) -> bool {
        AnyError::is_takeover(self)
    }
}
