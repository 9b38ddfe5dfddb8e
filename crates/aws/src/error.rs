//! What can go wrong, and what to do about it.
//!
//! Invariant: no text holds a key, a token or a signature. AWS repeats what was signed when a signature does not match,
//! so nothing that it says of credentials is told but its code.

use std::time::Duration;

use reqwest::Url;
use thiserror::Error;

use crate::region::Region;
use crate::wire::Refusal;

/// Characters of AWS's own words that are told.
const SHOWN: usize = 300;

/// No complete list of machines, and why.
#[derive(Clone, Debug, Error)]
#[error("{api} in {region}: {why}")]
pub struct Error {
    /// What was asked.
    pub api: &'static str,
    /// The region that was asked.
    pub region: Region,
    /// What went wrong.
    pub why: Why,
}

/// Why a client cannot be made.
#[derive(Clone, Debug, Error)]
pub enum SettingsError {
    /// The certificates are of no use.
    #[error("TLS cannot be set up: {0}; install the system's CA certificates")]
    Tls(String),
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
        "the AWS credentials have expired ({code}); renew them (`aws sso login`, or a new session token)"
    )]
    Expired {
        /// AWS's code.
        code: String,
    },
    /// The signature's time.
    #[error("AWS says that this machine's clock is wrong ({code}); set it, for example by NTP")]
    Clock {
        /// AWS's code.
        code: String,
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
    /// Too many calls, by whoever makes them in the account.
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
        /// Who was asked.
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
        /// Who was asked.
        host: String,
        /// What the system or TLS says.
        why: String,
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
        /// Who was asked.
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
    /// Only once somebody has changed something.
    WhenChanged,
}

impl Error {
    /// Whether asking again helps.
    pub fn retry(&self) -> Retry {
        self.why.retry()
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
            | Self::HalfAnswer { .. }
            | Self::NotAws { .. }
            | Self::Unexpected { .. }
            | Self::CredentialsFailed(_) => Retry::Later { after: None },
            Self::NoCredentials(_)
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

    /// What an answer of a status other than 200 means. Codes are those of EC2's and Auto Scaling's "Common errors".
    pub(crate) fn refused(status: u16, refusal: Option<Refusal>, after: Option<Duration>, url: &Url) -> Self {
        let Some(Refusal { code, message }) = refusal else {
            let code = status.to_string();
            return match status {
                429 | 503 => Self::Throttled { code, after },
                500.. => Self::Server { status, code: "no code".to_owned() },
                _ => Self::NotAws { what: format!("status {status} without AWS's XML"), host: host(url) },
            };
        };
        let code = shown(&code);
        match code.as_str() {
            "AuthFailure"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "InvalidAccessKeyId" => Self::BadCredentials { code },
            "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" | "CredentialsExpired" => {
                Self::Expired { code }
            }
            "RequestTimeTooSkewed" | "RequestInTheFuture" => Self::Clock { code },
            "OptInRequired" | "Blocked" | "PendingVerification" | "SubscriptionRequiredException" => {
                Self::RegionDisabled { code }
            }
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "UnauthorizedAccess" => {
                Self::Denied { code, message: permission(&message) }
            }
            _ if throttles(&code) || matches!(status, 429 | 503) => Self::Throttled { code, after },
            _ if status >= 500 => Self::Server { status, code },
            _ if status == 403 => Self::Denied { code, message: permission(&message) },
            _ => Self::Refused { status, code, message: shown(&message) },
        }
    }
}

fn throttles(code: &str) -> bool {
    code.starts_with("Throttl")
        || matches!(
            code,
            "RequestLimitExceeded"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "TooManyRequestsException"
                | "BandwidthLimitExceeded"
                | "PriorRequestNotComplete"
                | "SlowDown"
                | "EC2ThrottledException"
        )
}

/// AWS's words without the encoded message, which is long and for `aws sts decode-authorization-message` only.
fn permission(message: &str) -> String {
    let words = message.split(" Encoded authorization failure message").next().unwrap_or_default();
    shown(words.trim_end_matches(['.', ' ']))
}

/// A text of AWS's for one line.
pub(crate) fn shown(text: &str) -> String {
    let line = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    line.take(SHOWN).collect::<String>().trim().to_owned()
}

pub(crate) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(status: u16, code: &str, message: &str) -> Why {
        let url = Url::parse("https://ec2.us-east-1.amazonaws.com/").unwrap();
        let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
        Why::refused(status, (!code.is_empty()).then_some(refusal), None, &url)
    }

    #[test]
    fn each_code_of_aws_has_its_meaning() {
        assert!(matches!(why(401, "AuthFailure", ""), Why::BadCredentials { .. }));
        assert!(matches!(why(400, "RequestExpired", ""), Why::Expired { .. }));
        assert!(matches!(why(403, "ExpiredToken", ""), Why::Expired { .. }));
        assert!(matches!(why(403, "UnauthorizedOperation", "no"), Why::Denied { .. }));
        assert!(matches!(why(400, "OptInRequired", ""), Why::RegionDisabled { .. }));
        assert!(matches!(why(400, "Throttling", ""), Why::Throttled { .. }));
        assert!(matches!(why(503, "RequestLimitExceeded", ""), Why::Throttled { .. }));
        assert!(matches!(why(503, "Unavailable", ""), Why::Throttled { .. }));
        assert!(matches!(why(503, "", ""), Why::Throttled { .. }));
        assert!(matches!(why(500, "InternalError", ""), Why::Server { status: 500, .. }));
        assert!(matches!(why(502, "", ""), Why::Server { status: 502, .. }));
        assert!(matches!(why(400, "InvalidParameterValue", "x"), Why::Refused { .. }));
        assert!(matches!(why(404, "", ""), Why::NotAws { .. }));
    }

    #[test]
    fn what_was_signed_is_not_repeated() {
        let said = "The canonical string should have been 'x-amz-security-token:SECRET'";
        let text = why(403, "SignatureDoesNotMatch", said).to_string();
        assert!(!text.contains("SECRET") && text.contains("SignatureDoesNotMatch"), "{text}");
    }

    #[test]
    fn a_denial_says_who_may_not_do_what_and_which_permissions_to_give() {
        let said = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/lb is not authorized to \
                    perform: ec2:DescribeInstances. Encoded authorization failure message: AAAA";
        let text = why(403, "UnauthorizedOperation", said).to_string();
        assert!(text.contains("user/lb is not authorized to perform: ec2:DescribeInstances;"), "{text}");
        assert!(text.contains("allow ec2:DescribeInstances") && !text.contains("AAAA"), "{text}");
    }

    #[test]
    fn what_an_operator_must_change_is_not_asked_again() {
        assert_eq!(why(403, "UnauthorizedOperation", "").retry(), Retry::WhenChanged);
        assert_eq!(why(400, "Throttling", "").retry(), Retry::Later { after: None });
        assert!(why(502, "", "").is_passing() && !why(401, "AuthFailure", "").is_passing());
    }
}
