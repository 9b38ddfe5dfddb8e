//! Why a listing failed, where, and what to do about it. No text here holds a token or a secret.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::cloud::CloudError;
use crate::credential::CredentialError;
use crate::http::Broken;

/// Settings that no client can be made of.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not a subscription's id.
    #[error("{0:?} is no subscription id; `az account list --output table` shows yours (xxxxxxxx-xxxx-…)")]
    Subscription(String),
    /// Not a group's name.
    #[error(
        "{0:?} cannot be a resource group's name: letters, digits and _ - . ( ) are allowed, 90 of them at most"
    )]
    ResourceGroup(String),
    /// An address that is none.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The certificates to trust are of no use.
    #[error("TLS cannot be set up: {0}; install the system's CA certificates")]
    Tls(String),
}

/// Why there is no complete listing.
#[derive(Debug, Error)]
pub enum Error {
    /// ARM's side.
    #[error("{at}: {why}")]
    Arm {
        /// Which list.
        at: Call,
        /// Why.
        why: Why,
    },
    /// There is no token.
    #[error("no token for Azure: {0}")]
    Credential(#[from] CredentialError),
}

/// A list that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Its fixed name, as an observer gets it.
    pub api: &'static str,
    /// What it lists, for people.
    pub what: &'static str,
    /// Of what: `/subscriptions/…`, with the group or scale set.
    pub scope: String,
}

/// What a server said when it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The server's own code, such as `AuthorizationFailed`; empty if it gave none.
    pub code: String,
    /// The server's own words, on one line.
    pub message: String,
    /// `x-ms-request-id`, or the correlation id of a token endpoint: what Azure's support asks for.
    pub request_id: Option<String>,
}

/// Why a list has no complete answer.
#[derive(Debug, Error)]
pub enum Why {
    /// 401, also with a fresh token.
    #[error(
        "ARM does not accept the token ({0}); check that the cloud's endpoint and the identity's tenant belong together"
    )]
    Unauthorized(Refusal),
    /// 403.
    #[error(
        "the identity lacks the right {action} on {scope} ({refusal}); give it the role Reader there, which is enough"
    )]
    Forbidden {
        /// The right.
        action: &'static str,
        /// Where.
        scope: String,
        /// What ARM says.
        refusal: Refusal,
    },
    /// The group is not there.
    #[error(
        "there is no resource group {group:?} ({refusal}); correct `resource_groups`, or create it again"
    )]
    NoGroup {
        /// Its name.
        group: String,
        /// What ARM says.
        refusal: Refusal,
    },
    /// The subscription is not there, or the identity's tenant does not know it.
    #[error("the subscription is not there ({0}); correct its id, or take an identity of its tenant")]
    NoSubscription(Refusal),
    /// 404 of something else.
    #[error("it is not there ({0}); if it was being deleted, the next listing goes without it")]
    NotFound(Refusal),
    /// 429, more often or for longer than one listing waits.
    #[error("ARM throttles{} ({refusal}); ask less often, or give fewer programs this subscription", wait(*.retry_after))]
    Throttled {
        /// How long ARM wants to be left alone.
        retry_after: Option<Duration>,
        /// What ARM says.
        refusal: Refusal,
    },
    /// 5xx, also after repeating.
    #[error("ARM fails{} ({refusal}); this passes by itself, see Azure's status page if it does not", wait(*.retry_after))]
    Server {
        /// How long ARM wants to be left alone.
        retry_after: Option<Duration>,
        /// What ARM says.
        refusal: Refusal,
    },
    /// Another status.
    #[error("ARM refuses the call ({0}); report this with the request's id")]
    Refused(Refusal),
    /// No answer at all, or half of one.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// An answer that is not ARM's.
    #[error("what answers is not ARM: {why}; check the endpoint and what stands between")]
    NotArm {
        /// What is wrong with it.
        why: String,
    },
    /// The next page would be fetched, token and all, from somebody else.
    #[error(
        "the next page is said to be at {link_origin}, which is not ARM's own address; nothing was sent there, check the endpoint"
    )]
    ForeignLink {
        /// Scheme, host and port.
        link_origin: String,
    },
    /// Pages that do not end.
    #[error("the pages do not end ({pages} were read); report this with the time of the call")]
    Endless {
        /// How many were read.
        pages: usize,
    },
}

impl Error {
    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Arm {
                why: Why::Throttled { retry_after, .. } | Why::Server { retry_after, .. }, ..
            } => *retry_after,
            Self::Arm { .. } | Self::Credential(_) => None,
        }
    }

    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Arm { why: Why::Unauthorized(_), .. })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of {}", self.what, self.scope)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

fn wait(asked: Option<Duration>) -> String {
    asked.map(|asked| format!(" and asks to wait {} s", asked.as_secs())).unwrap_or_default()
}

/// A server's words, fit for a log: one line, not too long.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain(['…']).collect() }
}
