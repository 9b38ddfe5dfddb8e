//! The kinds of sources.

mod aws;
mod azure;
mod cloud;
mod file;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use aws::{AddressFamily, AwsAddress, AwsSource, AwsZone};
pub use azure::{AzureCloud, AzureCredential, AzureSource};
pub use cloud::{Backoff, Discover, Poll, TagValues, Tags};
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
    /// Machines of AWS, by their tags.
    Aws(Box<AwsSource>),
    /// Machines of Azure, by their tags.
    Azure(Box<AzureSource>),
}

impl Source {
    /// The same with complete paths. `selected` are the names of metadata that exposures choose instances by.
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path, selected: &BTreeSet<String>) -> Self {
        match self {
            Source::File(file) => Source::File(file.resolve(cx, &at.join("file"))),
            Source::Aws(aws) => Source::Aws(Box::new(aws.resolve(cx, &at.join("aws"), selected))),
            Source::Azure(azure) => Source::Azure(Box::new(azure.resolve(cx, &at.join("azure"), selected))),
        }
    }
}
