//! The table of the kinds of sources: how each is made of its configuration, and run.

use std::sync::Arc;

use roster_config::native;
use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use roster_haproxy::name::SourceName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::absent::Absent;
#[cfg(feature = "aws")]
use crate::aws::AwsSource;
#[cfg(feature = "azure")]
use crate::azure::AzureSource;
use crate::cloud::Calls;
use crate::file::FileSource;
use crate::source::Source;

/// A source of any kind. An enum and not a boxed trait: the kinds are known, and `run` takes the source itself.
#[derive(Debug)]
pub enum AnySource {
    /// A file on this machine.
    File(FileSource),
    /// Machines of AWS.
    #[cfg(feature = "aws")]
    Aws(Box<AwsSource>),
    /// Machines of Azure.
    #[cfg(feature = "azure")]
    Azure(Box<AzureSource>),
    /// A kind that this Roster was built without.
    Absent(Absent),
}

/// Makes a source. Nothing is opened or asked before it is run. `calls` is told of each call to an API.
#[cfg_attr(
    not(any(feature = "aws", feature = "azure")),
    allow(unused_variables, reason = "nobody makes calls then")
)]
pub fn build(name: &SourceName, config: &native::Source, calls: &Arc<dyn Calls>) -> AnySource {
    match config {
        native::Source::File(file) => AnySource::File(FileSource::new(name.clone(), file)),
        #[cfg(feature = "aws")]
        native::Source::Aws(aws) => AnySource::Aws(Box::new(crate::aws::source(name, aws, calls))),
        #[cfg(not(feature = "aws"))]
        native::Source::Aws(_) => AnySource::Absent(Absent::new("AWS", "aws")),
        #[cfg(feature = "azure")]
        native::Source::Azure(azure) => AnySource::Azure(Box::new(crate::azure::source(name, azure, calls))),
        #[cfg(not(feature = "azure"))]
        native::Source::Azure(_) => AnySource::Absent(Absent::new("Azure", "azure")),
    }
}

impl AnySource {
    /// Gives the source the answer that was kept over a restart, so that it can keep what a new answer leaves unsaid.
    #[must_use]
    pub fn resume(self, known: Arc<Snapshot>) -> Self {
        match self {
            Self::File(file) => Self::File(file.resume(known)),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => Self::Aws(Box::new(aws.resume(known))),
            #[cfg(feature = "azure")]
            Self::Azure(azure) => Self::Azure(Box::new(azure.resume(known))),
            Self::Absent(absent) => Self::Absent(absent),
        }
    }
}

impl Source for AnySource {
    async fn fetch(&mut self) -> Result<Arc<Snapshot>, SourceError> {
        match self {
            Self::File(file) => file.fetch().await,
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.fetch().await,
            #[cfg(feature = "azure")]
            Self::Azure(azure) => azure.fetch().await,
            Self::Absent(absent) => absent.fetch().await,
        }
    }

    async fn run(self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
        match self {
            Self::File(file) => file.run(out, stop).await,
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.run(out, stop).await,
            #[cfg(feature = "azure")]
            Self::Azure(azure) => azure.run(out, stop).await,
            Self::Absent(absent) => absent.run(out, stop).await,
        }
    }
}
