//! Values that more than one part of the configuration has.

pub mod duration;
pub mod percent;

pub use duration::Duration;
pub use percent::Percent;
