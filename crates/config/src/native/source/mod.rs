//! The kinds of sources.

mod file;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use file::{FileFormat, FileSource};

use crate::document::Path;
use crate::native::resolve::Resolve;

/// A place that says who is there: one key that names its kind.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "source")]
pub enum Source {
    /// A file on this machine.
    File(FileSource),
}

impl Source {
    /// The same with complete paths.
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Self {
        match self {
            Source::File(file) => Source::File(file.resolve(cx, &at.join("file"))),
        }
    }
}
