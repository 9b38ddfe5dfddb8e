//! What can go wrong, and what to do about it.
//!
//! Invariant: no text holds a key, a token or a signature. AWS repeats what was signed when a signature does not match,
//! so of what it says of credentials only the code is shown.

mod refusal;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use roster_http::{ClientError, ProxyError};
use thiserror::Error;

pub(crate) use self::text::{host, shown, shown_long};
use self::text::{how_far, seconds, whose};
use crate::region::Region;

/// No complete list of machines, and why.
#[derive(Clone, Debug, Error)]
#[error("{api} in {region}{}: {why}", whose(.why, .principal.as_deref()))]
pub struct Error {
    /// What was asked.
    pub api: &'static str,
    /// The region that was asked.
    pub region: Region,
    /// The principal, once credentials were found.
    pub principal: Option<String>,
    /// What went wrong.
    pub why: Box<Why>,
}

/// Why a client cannot be made.
#[derive(Clone, Debug, Error)]
pub enum SettingsError {
    /// A file that AWS's configuration is read from is not one that can be read.
    #[error("{path} cannot be read: {why}; put a file there, or name another one by {variable}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        why: String,
        /// The variable that names the file.
        variable: &'static str,
    },
    /// The certificates are of no use.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The value of a variable is not the address of a proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// An address of a service that cannot be one.
    #[error(
        "{given:?} is no address of {service}; write one such as https://host:port, without a user or a query, \
             where it was set ({place})"
    )]
    Endpoint {
        /// The service, as AWS names it.
        service: &'static str,
        /// What was given, without what may be secret in it.
        given: String,
        /// Where it may have come from.
        place: &'static str,
    },
}

/// What went wrong.
#[derive(Clone, Debug, Error)]
pub enum Why {
    /// Nowhere are credentials.
    #[error(
        "no AWS credentials were found ({0}); give the machine or task a role, set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or name a profile that has some"
    )]
    NoCredentials(String),
    /// What gives credentials failed.
    #[error(
        "AWS credentials cannot be had ({0}); check the role, the profile or the service that gives them"
    )]
    CredentialsFailed(String),
    /// A key that cannot be one.
    #[error("the AWS {part} {whose} {how}; correct it where it is set")]
    OddKey {
        /// Which part of the credentials.
        part: &'static str,
        /// What is odd about it.
        how: &'static str,
        /// Where it comes from.
        whose: String,
    },
    /// A way to credentials that Roster does not know.
    #[error("{what}, a way to AWS credentials that Roster cannot go; {instead}")]
    UnknownWay {
        /// Where it is set, and what it is.
        what: String,
        /// What to do.
        instead: String,
    },
    /// AWS does not take the credentials.
    #[error(
        "AWS does not take the credentials ({code}); check the key and its secret, and that the account uses this region"
    )]
    BadCredentials {
        /// AWS's code.
        code: String,
    },
    /// They were good once.
    #[error(
        "the AWS credentials have expired ({code}); renew them (`aws sso login`, or a new session token), and check this \
         machine's clock"
    )]
    Expired {
        /// AWS's code.
        code: String,
    },
    /// The signature's time.
    #[error("this machine's clock is {}, so AWS refuses what it signs ({code}); set the clock, for example by NTP", how_far(*.off))]
    Clock {
        /// AWS's code.
        code: String,
        /// How far it is ahead of AWS's, if AWS's answer has a time.
        off: Option<SignedDuration>,
    },
    /// No permission.
    #[error(
        "not authorised ({code}): {message}; allow ec2:DescribeInstances and autoscaling:DescribeAutoScalingGroups in the \
         identity's policy"
    )]
    Denied {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// The account has not enabled the region.
    #[error(
        "the account cannot use this region ({code}); enable it in the account's settings, or correct `region`"
    )]
    RegionDisabled {
        /// AWS's code.
        code: String,
    },
    /// Too many calls, by all programs of the account.
    #[error(
        "AWS limits the account's calls ({code}); they are made again later; ask less often if it goes on, or find out who \
         else asks this much"
    )]
    Throttled {
        /// AWS's code, or the status.
        code: String,
        /// When it may be asked again, if AWS said so.
        after: Option<Duration>,
    },
    /// AWS's own trouble.
    #[error(
        "AWS answered {status} ({code}); it is asked again later; see AWS's health dashboard if it goes on"
    )]
    Server {
        /// The status.
        status: u16,
        /// AWS's code.
        code: String,
    },
    /// Anything else that AWS refuses.
    #[error(
        "AWS refused the call with {status} ({code}): {message}; correct what it names, or report it as a fault of roster"
    )]
    Refused {
        /// The status.
        status: u16,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// No answer in time.
    #[error("no answer within {}; check the way to {host}, or set a longer timeout", seconds(*.limit))]
    Timeout {
        /// The host that was asked.
        host: String,
        /// The longest time to wait.
        limit: Duration,
    },
    /// The name has no address.
    #[error("the host {host} is not known; check `region`, and that this machine resolves names")]
    NoSuchHost {
        /// The name.
        host: String,
    },
    /// No connection.
    #[error("{host} cannot be reached ({why}); check the network, and a VPC endpoint if there is one")]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// What the system or TLS says.
        why: String,
    },
    /// A proxy that gives no connection.
    #[error(
        "{host} cannot be reached through {proxy} ({why}); check the proxy, or name the host in NO_PROXY"
    )]
    Proxy {
        /// The host that was asked.
        host: String,
        /// The proxy, and the variable that names it.
        proxy: String,
        /// What the proxy or the system says.
        why: String,
    },
    /// A certificate of an authority that is not trusted, or of another host.
    #[error(
        "the certificate of {host} is not trusted ({why}); where a company's own authority signs it, name that authority's \
         certificates by AWS_CA_BUNDLE, or by ca_bundle of the profile"
    )]
    Certificate {
        /// The host that was asked.
        host: String,
        /// What TLS says.
        why: String,
    },
    /// A list that does not end.
    #[error(
        "the list is too long ({what}), so it is left off; check what answers at the endpoint, or ask for fewer machines by \
         `allow` or `filters`"
    )]
    TooLong {
        /// Which limit it has passed.
        what: String,
    },
    /// The answer broke off.
    #[error(
        "the answer broke off after {got} bytes; it is asked again later; check what stands between if it goes on"
    )]
    HalfAnswer {
        /// What came.
        got: usize,
    },
    /// The answer is none of AWS's.
    #[error("the answer is not AWS's ({what}); check what answers at {host}, such as a proxy")]
    NotAws {
        /// What it is instead.
        what: String,
        /// The host that was asked.
        host: String,
    },
    /// AWS's, but not as documented.
    #[error(
        "the answer is not as AWS documents it ({what}); it is asked again later; report it if it goes on"
    )]
    Unexpected {
        /// What is odd.
        what: String,
    },
}

/// Whether asking again helps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// It does, at the earliest after this time if AWS named one.
    Later {
        /// The time that AWS named.
        after: Option<Duration>,
    },
    /// Only once something was changed.
    WhenChanged,
}

impl Error {
    /// Whether asking again helps.
    pub fn retry(&self) -> Retry {
        self.why.retry()
    }

    /// What makes two errors the same one, without what differs each time.
    pub fn cause(&self) -> String {
        let why = match &*self.why {
            Why::Clock { code, .. } => format!("clock {code}"),
            Why::HalfAnswer { .. } => "half".to_owned(),
            Why::Throttled { code, .. } => format!("throttled {code}"),
            Why::Refused { status, code, .. } => format!("{status} {code}"),
            why => why.to_string(),
        };
        format!("{} {} {why}", self.api, self.principal.as_deref().unwrap_or_default())
    }
}

impl Why {
    /// Whether asking again helps.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { after, .. } => Retry::Later { after: *after },
            Self::Server { .. }
            | Self::Timeout { .. }
            | Self::NoSuchHost { .. }
            | Self::Unreachable { .. }
            | Self::Proxy { .. }
            | Self::HalfAnswer { .. }
            | Self::NotAws { .. }
            | Self::Unexpected { .. }
            | Self::CredentialsFailed(_) => Retry::Later { after: None },
            Self::NoCredentials(_)
            | Self::OddKey { .. }
            | Self::UnknownWay { .. }
            | Self::Certificate { .. }
            | Self::TooLong { .. }
            | Self::BadCredentials { .. }
            | Self::Expired { .. }
            | Self::Clock { .. }
            | Self::Denied { .. }
            | Self::RegionDisabled { .. }
            | Self::Refused { .. } => Retry::WhenChanged,
        }
    }

    /// Whether the same call is worth another attempt right away, within one listing.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Server { .. } | Self::HalfAnswer { .. })
    }

    /// Whether other credentials might do: those in use are then forgotten.
    pub(crate) fn is_of_credentials(&self) -> bool {
        matches!(self, Self::BadCredentials { .. } | Self::Expired { .. })
    }

    /// Whether the principal may be what is wrong.
    fn is_of_principal(&self) -> bool {
        self.is_of_credentials() || matches!(self, Self::Denied { .. } | Self::RegionDisabled { .. })
    }
}
