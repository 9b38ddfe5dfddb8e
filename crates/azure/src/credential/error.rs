//! Why there is no token. No text here holds one, or a secret.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::CredentialKind;
use crate::broken::Broken;
use crate::error::Refusal;

/// Why there is no token.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// A way was asked for by name, and the environment lacks what it needs.
    #[error("credential {kind} needs {}, not set in the environment; set it, or choose another credential", missing.join(", "))]
    Missing {
        /// The way.
        kind: CredentialKind,
        /// The variables.
        missing: Vec<&'static str>,
    },
    /// A text that cannot be what it is given as.
    #[error("{what} {why}; correct it where it is set")]
    Text {
        /// The variable, or the key of the configuration.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The environment names a way that Roster does not know.
    #[error(
        "{variable} names {what}, which Roster cannot use; choose another `credential`, or unset the variable"
    )]
    Unsupported {
        /// The variable.
        variable: &'static str,
        /// What it stands for.
        what: String,
    },
    /// The service account's token.
    #[error(
        "the service account's token in {path:?} cannot be used ({why}); check the pod's projected volume"
    )]
    TokenFile {
        /// `AZURE_FEDERATED_TOKEN_FILE`.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// An address from the environment cannot be used, or would get a secret without TLS.
    #[error(transparent)]
    Address(#[from] crate::cloud::CloudError),
    /// The token endpoint refuses.
    #[error("{who} refuses ({refusal}); check the identity, its secret or its assignment")]
    Refused {
        /// Which endpoint.
        who: &'static str,
        /// What it says.
        refusal: Refusal,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The token endpoint did not answer.
    #[error("{who}: {why}")]
    Broken {
        /// Which endpoint.
        who: &'static str,
        /// Why.
        why: Broken,
    },
    /// An answer that is no token.
    #[error("{who} answers, but not with a token: {why}; check the server at that address")]
    NotAToken {
        /// Which endpoint.
        who: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No metadata service answers.
    #[error(
        "no metadata service of Azure answers at {at} ({why}); either this is not an Azure machine, or a firewall blocks the address"
    )]
    NoMetadata {
        /// Where it was looked for.
        at: String,
        /// What happened.
        why: String,
    },
    /// The metadata service does not have this identity.
    #[error(
        "this machine has no managed identity {client} of {named_by} ({refusal}); assign it to the machine, or correct the id"
    )]
    NoIdentity {
        /// Its client id.
        client: String,
        /// The variable or the key that names it.
        named_by: &'static str,
        /// What the service says.
        refusal: Refusal,
    },
    /// The machine has no identity.
    #[error("this machine has no managed identity ({0}); assign one")]
    Unassigned(Refusal),
    /// The machine has several identities, and the configuration names none.
    #[error(
        "this machine has several managed identities ({0}); name the one to use by `client_id` or AZURE_CLIENT_ID"
    )]
    Ambiguous(Refusal),
    /// `az` is not installed.
    #[error("the Azure CLI cannot be run ({why}); install it, or choose another credential")]
    NoCli {
        /// What the system says.
        why: String,
    },
    /// `az` gives no token.
    #[error("az gives no token: {why}; run `az login` as the user that Roster runs as")]
    Cli {
        /// What it says.
        why: String,
    },
    /// No way can be used.
    #[error("no credential can be used: {}", tried.join("; "))]
    None {
        /// Each one, and why not.
        tried: Vec<String>,
    },
}

/// Whether to look further.
#[derive(Debug)]
pub(super) enum Absent {
    /// This way does not exist here.
    NotThere(CredentialError),
    /// It exists, and failed.
    Failed(CredentialError),
}

impl CredentialError {
    /// How long the endpoint wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
