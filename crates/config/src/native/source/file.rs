//! A file that lists services and their instances.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::native::resolve::Resolve;
use crate::value::Duration;

/// A file that lists services and their instances, in Roster's own form or in that of Prometheus's `file_sd`. It is
/// read again whenever it changes; replace it by a rename, so that it is never seen half-written.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// The file, relative to the folder of this configuration.
    #[schemars(length(min = 1))]
    pub path: PathBuf,
    /// The form of the file; `auto` tells by what is in it.
    #[serde(default)]
    pub format: FileFormat,
    /// In a `file_sd` file, the label that holds the service's name.
    #[serde(default = "service_label")]
    #[schemars(length(min = 1))]
    pub service_label: String,
    /// How often the file is read again where the system reports no change, as on NFS.
    #[serde(default = "poll")]
    pub poll: Duration,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// By what is in the file: a list of target groups is `file_sd`, anything else `roster`.
    #[default]
    Auto,
    /// Roster's own.
    Roster,
    /// Prometheus's `file_sd`: a list of target groups with labels, in YAML or JSON.
    FileSd,
}

fn service_label() -> String {
    "job".to_owned()
}

fn poll() -> Duration {
    Duration::seconds(30)
}

impl FileSource {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Self {
        cx.not_zero(&at.join("poll"), self.poll);
        Self { path: cx.absolute(&self.path), ..self.clone() }
    }
}
