//! The file source: services and instances from a YAML or JSON file, in Roster's form or in Prometheus's `file_sd`.
//!
//! - `format` makes a snapshot of a text; `watch` decides when to read and what to tell. Both are pure.
//! - `points` and `notices` learn of changes, `reader` reads, `source` runs the whole.

mod error;
mod format;
mod notices;
mod points;
mod reader;
mod source;
mod watch;

pub use error::FileError;
pub use format::{Form, parse};
pub use source::FileSource;
