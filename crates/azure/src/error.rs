//! Why a listing failed, where, and what to do about it. No text here holds a token or a secret.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::cloud::CloudError;
use crate::credential::CredentialError;
use crate::http::Broken;

/// What stands before the number of an answer.
const REQUEST: &str = ", request ";

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

    /// What makes two failures the same one for somebody who reads the log. Which of the lists it hit, how long to wait
    /// and the number of the answer differ each time, and are no part of it where they say nothing.
    pub fn cause(&self) -> String {
        match self {
            Self::Arm { why: Why::Throttled { .. }, .. } => "throttled".to_owned(),
            Self::Arm { why: Why::Server { .. }, .. } => "the server fails".to_owned(),
            Self::Arm { why: Why::Broken(broken), .. } => broken.to_string(),
            Self::Arm { .. } | Self::Credential(_) => numberless(&self.to_string()),
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
            Some(id) => write!(f, "{REQUEST}{id}"),
            None => Ok(()),
        }
    }
}

/// The text without the numbers of answers: see how a [`Refusal`] is shown.
fn numberless(text: &str) -> String {
    let mut parts = text.split(REQUEST);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-'));
    }
    kept
}

fn wait(asked: Option<Duration>) -> String {
    asked.map(|asked| format!(" and asks to wait {} s", asked.as_secs())).unwrap_or_default()
}

/// A server's words, fit for a log: one line without control characters, not too long.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let line = text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(what: &'static str, why: Why) -> Error {
        Error::Arm { at: Call { api: "vm_list", what, scope: "/subscriptions/s".to_owned() }, why }
    }

    fn refusal(status: u16, request: &str) -> Refusal {
        let (code, message) = ("Code".to_owned(), "Some words.".to_owned());
        Refusal { status, code, message, request_id: Some(request.to_owned()) }
    }

    #[test]
    fn throttling_is_one_trouble_however_long_and_wherever_it_is() {
        let of = |what, seconds, request| {
            let retry_after = Some(Duration::from_secs(seconds));
            arm(what, Why::Throttled { retry_after, refusal: refusal(429, request) })
        };
        assert_eq!(of("list", 17, "a-1").cause(), of("other list", 3, "b-2").cause());
        let server = |status, request| {
            arm("list", Why::Server { retry_after: None, refusal: refusal(status, request) }).cause()
        };
        assert_eq!(server(500, "a-1"), server(503, "b-2"));
        assert_ne!(server(500, "a-1"), of("list", 17, "a-1").cause());
    }

    #[test]
    fn a_refusal_is_the_same_trouble_whatever_its_answers_number_is() {
        let of = |scope: &str, request| {
            let (action, scope) = ("read", scope.to_owned());
            arm("list", Why::Forbidden { action, scope, refusal: refusal(403, request) }).cause()
        };
        assert_eq!(of("g", "6bd4-1"), of("g", "77-x"));
        assert_ne!(of("g", "6bd4-1"), of("h", "6bd4-1"));
        assert!(of("g", "6bd4-1").ends_with("which is enough"), "{}", of("g", "6bd4-1"));
    }

    #[test]
    fn a_servers_words_are_one_line_without_control_characters() {
        assert_eq!(one_line("a\r\nb \u{1b}[31m\0 c\t"), "a b [31m c");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), 301);
    }
}
