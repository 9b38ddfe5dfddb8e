//! Why a listing failed, where, and what to do about it. No text here holds a token or a secret.

use std::fmt;
use std::time::Duration;

use roster_http::{ClientError, ProxyError};
use thiserror::Error;

use crate::broken::Broken;
use crate::cloud::CloudError;
use crate::credential::CredentialError;

/// What stands before the number of an answer.
const REQUEST: &str = ", request ";
/// What stands before the seconds that a server wants to be left alone.
const WAIT: &str = " and asks to wait ";

/// Settings that no client can be made of.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not a subscription's id.
    #[error("{0:?} is not a subscription id; `az account list --output table` shows yours (xxxxxxxx-xxxx-…)")]
    Subscription(String),
    /// Not a group's name.
    #[error(
        "{0:?} cannot be a resource group's name: letters, digits and _ - . ( ) are allowed, 90 of them at most"
    )]
    ResourceGroup(String),
    /// An address that cannot be used.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The value of a variable is not the address of a proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The certificates to trust are of no use.
    #[error(transparent)]
    Client(#[from] ClientError),
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
        why: Box<Why>,
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
        "the resource group {group:?} does not exist ({refusal}); correct `resource_groups`, or create the group"
    )]
    NoGroup {
        /// Its name.
        group: String,
        /// What ARM says.
        refusal: Refusal,
    },
    /// The subscription is not there, or the identity's tenant does not know it.
    #[error(
        "the subscription does not exist for this identity ({0}); correct `subscription`, or use an identity of its tenant"
    )]
    NoSubscription(Refusal),
    /// 404 of something else.
    #[error("it does not exist ({0}); if it was being deleted, the next listing leaves it out")]
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
    #[error(
        "ARM refuses the call ({0}); if its message does not help, report this with the request's number"
    )]
    Refused(Refusal),
    /// No answer at all, or half of one.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// An answer that is not ARM's.
    #[error(
        "the answer is not from Azure Resource Manager: {why}; check `endpoint`, and any proxy in between"
    )]
    NotArm {
        /// What is wrong with it.
        why: String,
    },
    /// The next page, and so the token, would go to another server.
    #[error(
        "the link to the next page leads to {link_origin}, which is not the address of Azure Resource Manager; no token was sent there; check `endpoint`"
    )]
    ForeignLink {
        /// Scheme, host and port.
        link_origin: String,
    },
    /// Pages that do not end, or lead in a circle.
    #[error(
        "its pages do not end ({pages} were read), so the listing ends here; check the server at `endpoint`"
    )]
    Endless {
        /// How many were read.
        pages: usize,
    },
    /// More bytes than are taken.
    #[error(
        "the lists have more than {limit} bytes, so the listing ends here; list fewer machines with `resource_groups`"
    )]
    TooMuch {
        /// The limit.
        limit: u64,
    },
    /// More time than a listing may take.
    #[error(
        "the listing takes longer than {after:?}, so it ends here; list fewer machines with `resource_groups`"
    )]
    TooLong {
        /// The limit.
        after: Duration,
    },
}

impl Error {
    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Arm { why, .. } => match &**why {
                Why::Throttled { retry_after, .. } | Why::Server { retry_after, .. } => *retry_after,
                _ => None,
            },
            Self::Credential(error) => error.retry_after(),
        }
    }

    /// What makes two failures the same one in the log. Which list failed, how long to wait and the number of the answer
    /// differ each time, and are no part of it.
    pub fn cause(&self) -> String {
        match (self.why(), self) {
            (Some(Why::Throttled { .. }), _) => "throttled".to_owned(),
            (Some(Why::Server { .. }), _) => "the server fails".to_owned(),
            (Some(Why::Broken(why)), _) | (None, Self::Credential(CredentialError::Broken { why, .. })) => {
                why.cause()
            }
            (Some(_) | None, _) => self.lasting(),
        }
    }

    /// The text without what differs each time, for a message that is logged once while the failure lasts.
    pub(crate) fn lasting(&self) -> String {
        numberless(&self.to_string())
    }

    /// Whether it says that a group is not there.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.why(), Some(Why::NoGroup { .. }))
    }

    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self.why(), Some(Why::Unauthorized(_)))
    }

    fn why(&self) -> Option<&Why> {
        match self {
            Self::Arm { why, .. } => Some(why),
            Self::Credential(_) => None,
        }
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

/// The text without the numbers of answers and the waits that they ask for: see how a [`Refusal`] and [`wait`] are shown.
fn numberless(text: &str) -> String {
    let number = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let without_ids = cut(text, REQUEST, number, "");
    cut(&without_ids, WAIT, |c| c.is_ascii_digit(), " s")
}

/// The text without each occurrence of this word, the characters of this kind after it, and the unit after those.
fn cut(text: &str, word: &str, kind: impl Fn(char) -> bool, unit: &str) -> String {
    let mut parts = text.split(word);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&kind);
        kept.push_str(rest.strip_prefix(unit).unwrap_or(rest));
    }
    kept
}

fn wait(asked: Option<Duration>) -> String {
    asked.map(|asked| format!("{WAIT}{} s", asked.as_secs())).unwrap_or_default()
}

/// A server's words, fit for a log: one line without control characters. Of a long one the middle is left out, for the cause
/// of a chain stands at its end.
pub(crate) fn one_line(text: &str) -> String {
    const BEGIN: usize = 260;
    const END: usize = 160;
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let line = text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let long = line.chars().count();
    if long <= BEGIN + END {
        return line;
    }
    let (begin, end) = (line.chars().take(BEGIN), line.chars().skip(long - END));
    begin.chain([' ', '…', ' ']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(what: &'static str, why: Why) -> Error {
        let at = Call { api: "vm_list", what, scope: "/subscriptions/s".to_owned() };
        Error::Arm { at, why: Box::new(why) }
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
    fn a_connection_that_breaks_off_is_one_trouble_however_it_does() {
        let of = |why: &str| Broken::Lost { host: "h".to_owned(), why: why.to_owned() };
        let list = arm("list", Why::Broken(of("connection reset")));
        assert_eq!(list.cause(), arm("other list", Why::Broken(of("closed"))).cause());
        let token = Error::Credential(CredentialError::Broken { who: "Entra ID", why: of("closed") });
        assert_eq!(list.cause(), token.cause());
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
    fn what_differs_each_time_is_no_part_of_a_lasting_text() {
        let of = |seconds, request| {
            let retry_after = Some(Duration::from_secs(seconds));
            arm("list", Why::Throttled { retry_after, refusal: refusal(429, request) }).lasting()
        };
        assert_eq!(of(17, "a-1"), of(3, "b-2"));
        assert!(of(17, "a-1").contains("ARM throttles (429 Code Some words.); ask"), "{}", of(17, "a-1"));
    }

    #[test]
    fn a_servers_words_are_one_line_without_control_characters() {
        assert_eq!(one_line("a\r\nb \u{1b}[31m\0 c\t"), "a b [31m c");
        let long = one_line(&format!("begin {} end", "x".repeat(500)));
        assert!(
            long.chars().count() < 430 && long.starts_with("begin x") && long.ends_with("x end"),
            "{long}"
        );
    }
}
