//! Why a call failed, where, and what to do about it. No text here holds the password.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::settings::ApiVersion;
use super::{ConfigVersion, ReloadId};

/// A call that failed.
#[derive(Debug, Error)]
#[error("{at}: {why}")]
pub struct ClientError {
    /// Which call.
    pub at: Call,
    /// Why.
    pub why: Why,
}

/// A call: its method and its address.
#[derive(Clone, Eq, PartialEq)]
pub struct Call {
    method: reqwest::Method,
    url: Box<str>,
}

/// Why a call failed.
#[derive(Debug, Error)]
pub enum Why {
    /// 401 or 403.
    #[error(
        "the API does not accept this user with this password; \
         check both against the userlist that the API's own configuration names"
    )]
    Unauthorized,
    /// Neither version answers.
    #[error("neither /v3/info nor /v2/info is there; check that `url` is that of a HAProxy Data Plane API")]
    NoApi,
    /// The other version answers.
    #[error("the API does not speak {set}{}; let the configuration name the version that it speaks", spoken(*.speaks))]
    WrongVersion {
        /// The version that was asked for.
        set: ApiVersion,
        /// The one that answers.
        speaks: Option<ApiVersion>,
    },
    /// An object, its parent, a reload or a transaction that is not there.
    #[error("{what}; it was removed meanwhile or never there, so read again before the next change")]
    NotFound {
        /// What the API says.
        what: String,
    },
    /// A runtime endpoint does not see a server. A HAProxy that is down looks the same.
    #[error(
        "{what}; if the server is in HAProxy's file, check that HAProxy runs, \
         and for HAProxy 2.6 that the API's configuration sets no `master_runtime`"
    )]
    NotRunning {
        /// What the API says.
        what: String,
    },
    /// Somebody else changed the configuration.
    #[error(
        "the configuration changed meanwhile{}; read it again and make the change anew",
        versions(*.given, *.current)
    )]
    StaleVersion {
        /// The version that the call named.
        given: Option<ConfigVersion>,
        /// The version that is in force.
        current: Option<ConfigVersion>,
    },
    /// An object of that name is there already.
    #[error("{what}; choose another name, or change the one that is there")]
    Exists {
        /// What the API says.
        what: String,
    },
    /// `haproxy -c` does not accept the file. Nothing was written.
    #[error("HAProxy does not accept the configuration: {text}; nothing was written, so mend what it names")]
    Refused {
        /// What HAProxy says, without what is said every time.
        text: String,
    },
    /// The API does not accept what was sent, before HAProxy saw it. Nothing was written.
    #[error("the API does not accept what was sent: {text}; nothing was written, so mend what it names")]
    Rejected {
        /// What the API says.
        text: String,
    },
    /// A transaction that is outdated, failed or gone.
    #[error("{text}; nothing of it was written, so begin a new one")]
    TransactionDead {
        /// What the API says.
        text: String,
    },
    /// The API has as many open transactions as it takes.
    #[error(
        "the API takes no more open transactions, and none expires by itself; \
         delete those that nobody works on (GET and DELETE …/services/haproxy/transactions)"
    )]
    TooManyTransactions,
    /// A runtime action failed. The file **is** written, and the actions before this one are done.
    #[error(
        "{text}; HAProxy's file is written but the running HAProxy is not as it says, \
         so read it back and set the rest, or reload"
    )]
    ActionFailed {
        /// What the API says.
        text: String,
    },
    /// Runtime actions that do not go into a header. Nothing was sent.
    #[error("these {bytes} bytes of runtime actions do not go into one call ({why}); send fewer at once")]
    ActionsUnsendable {
        /// How many bytes.
        bytes: usize,
        /// Why not.
        why: &'static str,
    },
    /// A reload failed. The API put an older file back, perhaps without earlier live changes.
    #[error(
        "HAProxy was not reloaded: {text}; the API put the file of the last good reload back, \
         so look at HAProxy's log and write the whole configuration again"
    )]
    ReloadFailed {
        /// What the reload command says.
        text: String,
    },
    /// A reload did not end in time.
    #[error(
        "reload {id} did not end within {after:?}; look at the API's `reload_delay` and at HAProxy's log"
    )]
    ReloadUnfinished {
        /// Which one.
        id: ReloadId,
        /// How long was waited.
        after: Duration,
    },
    /// The configuration changed with each look.
    #[error("the configuration changed with each of {looks} looks; find out who writes it all the time")]
    Unsettled {
        /// How many.
        looks: usize,
    },
    /// Any other refusal.
    #[error("the API answers {status}: {text}; look at its log")]
    Server {
        /// The HTTP status.
        status: u16,
        /// What it says, shortened.
        text: String,
    },
    /// An answer that is no JSON.
    #[error(
        "the answer is not JSON but begins with {begins:?}; check that `url` is that of a Data Plane API"
    )]
    NotJson {
        /// How it begins.
        begins: String,
    },
    /// A web page, as proxies and login pages send.
    #[error(
        "a web page came with status {status} instead of an answer of the API; \
         check that `url` is that of a Data Plane API, and look at what stands between"
    )]
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// An answer that ends too early. What was asked may be done.
    #[error("the answer broke off after {got} bytes; read again what is there before the next change")]
    HalfBody {
        /// How many bytes came.
        got: usize,
    },
    /// An answer that is too long.
    #[error("the answer has more than {limit} bytes; check that `url` is that of a Data Plane API")]
    TooLarge {
        /// How many bytes are taken.
        limit: usize,
    },
    /// JSON of another kind.
    #[error(
        "the answer is not what this call gives: {what}; check that the API is a version Roster knows (2.9 or 3.x)"
    )]
    Unexpected {
        /// What is wrong.
        what: String,
    },
    /// No connection. Nothing was sent.
    #[error("no connection: {why}; check that the API runs there and that nothing blocks the way")]
    Unreachable {
        /// What the system says.
        why: String,
    },
    /// The connection ended before the answer. What was asked may be done.
    #[error(
        "the connection ended before an answer: {why}; the API was stopped or restarted, \
         so read again what is there before the next change"
    )]
    Lost {
        /// What the system says.
        why: String,
    },
    /// No answer in time. What was asked may be done.
    #[error("no answer within {after:?}; look at the load of the API's machine, or set a longer `timeout`")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The certificate is not trusted, or it is no TLS at all. Nothing was sent.
    #[error("{why}")]
    Tls {
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Why {
    /// The text that came from elsewhere, in which anything may stand.
    pub(super) fn text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::NotFound { what }
            | Self::NotRunning { what }
            | Self::Exists { what }
            | Self::Unexpected { what } => Some(what),
            Self::Refused { text }
            | Self::Rejected { text }
            | Self::TransactionDead { text }
            | Self::ActionFailed { text }
            | Self::ReloadFailed { text }
            | Self::Server { text, .. } => Some(text),
            Self::NotJson { begins } => Some(begins),
            Self::Unreachable { why } | Self::Lost { why } | Self::Tls { why } => Some(why),
            Self::Unauthorized
            | Self::NoApi
            | Self::WrongVersion { .. }
            | Self::StaleVersion { .. }
            | Self::TooManyTransactions
            | Self::ActionsUnsendable { .. }
            | Self::ReloadUnfinished { .. }
            | Self::Unsettled { .. }
            | Self::Html { .. }
            | Self::HalfBody { .. }
            | Self::TooLarge { .. }
            | Self::Timeout { .. } => None,
        }
    }
}

impl Call {
    pub(super) fn new(method: reqwest::Method, url: &reqwest::Url) -> Self {
        Self { method, url: url.as_str().into() }
    }

    pub(super) fn failed(&self, why: Why) -> ClientError {
        ClientError { at: self.clone(), why }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({self})")
    }
}

impl ClientError {
    /// Whether the same call may go well another time: nothing was wrong with what it said.
    pub fn is_for_another_try(&self) -> bool {
        matches!(
            self.why,
            Why::StaleVersion { .. }
                | Why::TooManyTransactions
                | Why::Unreachable { .. }
                | Why::Lost { .. }
                | Why::HalfBody { .. }
                | Why::Html { .. }
                | Why::Timeout { .. }
                | Why::Server { .. }
                | Why::Unauthorized
        )
    }

    /// True if the change may have been made all the same, wholly or in part: only reading again tells.
    pub fn may_be_done(&self) -> bool {
        match &self.why {
            Why::ActionFailed { .. }
            | Why::ReloadFailed { .. }
            | Why::ReloadUnfinished { .. }
            | Why::NotJson { .. }
            | Why::Html { .. }
            | Why::HalfBody { .. }
            | Why::TooLarge { .. }
            | Why::Unexpected { .. }
            | Why::Lost { .. }
            | Why::Timeout { .. } => true,
            Why::Server { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// True if the configuration changed meanwhile: a new reading and a new plan help.
    pub fn is_stale(&self) -> bool {
        matches!(self.why, Why::StaleVersion { .. })
    }
}

fn spoken(speaks: Option<ApiVersion>) -> String {
    speaks.map(|version| format!(" but {version}")).unwrap_or_default()
}

fn versions(given: Option<ConfigVersion>, current: Option<ConfigVersion>) -> String {
    match (given, current) {
        (Some(given), Some(current)) => format!(" from version {given} to {current}"),
        _ => String::new(),
    }
}
