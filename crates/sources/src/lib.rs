//! Where instances come from: the Source trait and one folder for each registry.
//!
//! A source tells whole answers or that it has none; what changed since the last one is for others to see. Each
//! folder decides in pure code (`format`, `watch`) and acts in thin code (`reader`, `source`).

mod absent;
mod any;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod cloud;
pub mod file;
pub mod poll;
mod source;

pub use any::{AnySource, build};
pub use source::Source;
