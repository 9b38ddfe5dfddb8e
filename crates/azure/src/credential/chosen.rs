//! The identity that calls are made with, and where it is from, as text.

use std::fmt;
use std::path::PathBuf;

use super::choose::Way;
use super::managed::METADATA;

/// The identity that calls are made with, and where it is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Chosen {
    /// A service principal with a secret.
    Environment {
        /// Its tenant.
        tenant: String,
        /// Its client id.
        client: String,
    },
    /// A Kubernetes service account.
    WorkloadIdentity {
        /// The tenant.
        tenant: String,
        /// The client id that it stands for.
        client: String,
        /// Where its token is read.
        file: PathBuf,
    },
    /// A managed identity.
    ManagedIdentity {
        /// Which service gives its tokens.
        source: IdentitySource,
        /// Its client id, as it was named or else as the source says it.
        client: Option<String>,
        /// The variable or the key that names it; none for the one that the machine has.
        named_by: Option<&'static str>,
    },
    /// The login of the Azure CLI.
    Cli,
}

/// The service that gives the tokens of a managed identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IdentitySource {
    /// The metadata service of a virtual machine, at this address.
    Metadata(String),
    /// The endpoint that App Service and its like put into the environment.
    AppService,
}

impl Way {
    /// The identity of this way. `client` is the client id that came with the token.
    pub(super) fn chosen(&self, client: Option<&str>) -> Chosen {
        let managed = |source, named: &Option<super::choose::ClientId>| Chosen::ManagedIdentity {
            source,
            client: named.as_ref().map(|named| named.id.as_str()).or(client).map(str::to_owned),
            named_by: named.as_ref().map(|named| named.named_by),
        };
        match self {
            Self::Secret { tenant, client, .. } => {
                Chosen::Environment { tenant: tenant.clone(), client: client.clone() }
            }
            Self::TokenFile { tenant, client, file } => Chosen::WorkloadIdentity {
                tenant: tenant.clone(),
                client: client.clone(),
                file: file.clone(),
            },
            Self::Metadata { base, client } => {
                let at = base.as_deref().unwrap_or(METADATA).to_owned();
                managed(IdentitySource::Metadata(at), client)
            }
            Self::AppService { client, .. } => managed(IdentitySource::AppService, client),
            Self::Cli { .. } => Chosen::Cli,
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { tenant, client } => {
                write!(f, "the service principal {client} of tenant {tenant}, from the environment")
            }
            Self::WorkloadIdentity { tenant, client, file } => {
                let file = file.display();
                write!(f, "the workload identity {client} of tenant {tenant}, from the token in {file}")
            }
            Self::ManagedIdentity { source, client, named_by } => {
                match (client, named_by) {
                    (Some(client), Some(named_by)) => {
                        write!(f, "the managed identity {client} of {named_by}")
                    }
                    (Some(client), None) => write!(f, "this machine's managed identity {client}"),
                    (None, _) => f.write_str("this machine's managed identity"),
                }?;
                match source {
                    IdentitySource::Metadata(at) => write!(f, ", from the metadata service at {at}"),
                    IdentitySource::AppService => f.write_str(", from IDENTITY_ENDPOINT"),
                }
            }
            Self::Cli => f.write_str("the login of the Azure CLI, from az"),
        }
    }
}
