//! What AWS means by an answer of a status other than 200.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::Why;
use super::text::{host, shown};
use crate::wire::Refusal;

/// How far a clock may be off before that is what is wrong. AWS takes five minutes.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(4);

impl Why {
    /// What an answer of a status other than 200 means. Codes are those of EC2's and Auto Scaling's "Common errors". `off` is
    /// how far this machine's clock is ahead of the answer's time.
    pub(crate) fn refused(
        status: u16,
        refusal: Option<Refusal>,
        after: Option<Duration>,
        off: Option<SignedDuration>,
        url: &Url,
    ) -> Self {
        let Some(Refusal { code, message }) = refusal else {
            let code = status.to_string();
            return match status {
                429 | 503 => Self::Throttled { code, after },
                500.. => Self::Server { status, code: "no code".to_owned() },
                _ => Self::NotAws { what: format!("status {status} without AWS's XML"), host: host(url) },
            };
        };
        let code = shown(&code);
        if is_of_signature(&code) && (is_far(off) || says_clock(&message)) {
            return Self::Clock { code, off: off.filter(|_| is_far(off)) };
        }
        match code.as_str() {
            "AuthFailure"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "InvalidAccessKeyId" => Self::BadCredentials { code },
            "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" | "CredentialsExpired" => {
                Self::Expired { code }
            }
            "RequestTimeTooSkewed" | "RequestInTheFuture" => Self::Clock { code, off: None },
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

/// Codes that EC2 and Auto Scaling refuse a signature with whose time is wrong, though most also mean something else.
fn is_of_signature(code: &str) -> bool {
    matches!(
        code,
        "AuthFailure"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "RequestTimeTooSkewed"
            | "RequestInTheFuture"
    )
}

fn is_far(off: Option<SignedDuration>) -> bool {
    off.is_some_and(|off| off.abs() >= CLOCK_OFF)
}

/// AWS's words for a signature of another time.
fn says_clock(message: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|words| message.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Retry, shown_long};
    use crate::region::Region;

    fn why(status: u16, code: &str, message: &str) -> Why {
        off_by(None, status, code, message)
    }

    fn off_by(minutes: Option<i64>, status: u16, code: &str, message: &str) -> Why {
        let url = Url::parse("https://ec2.us-east-1.amazonaws.com/").unwrap();
        let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
        let off = minutes.map(SignedDuration::from_mins);
        Why::refused(status, (!code.is_empty()).then_some(refusal), None, off, &url)
    }

    #[test]
    fn a_signature_that_is_refused_by_a_clock_minutes_off_is_the_clocks_fault() {
        for code in ["AuthFailure", "RequestExpired", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
            for (minutes, says) in [
                (-6, "6 min behind AWS's"),
                (5, "5 min ahead of AWS's"),
                (-300, "5 h behind"),
                (1_000_000, "694 days ahead"),
            ] {
                let told = off_by(Some(minutes), 401, code, "").to_string();
                assert!(
                    told.contains(says) && told.contains(code) && told.contains("set the clock"),
                    "{told}"
                );
            }
        }
        let told =
            why(403, "SignatureDoesNotMatch", "Signature expired: 20120210T023040Z is now earlier than …")
                .to_string();
        assert!(told.contains("clock is wrong"), "{told}");
        let told = why(403, "SignatureDoesNotMatch", "Signature not yet current: …").to_string();
        assert!(told.contains("clock is wrong"), "{told}");
        assert!(matches!(off_by(Some(1), 401, "AuthFailure", ""), Why::BadCredentials { .. }));
        assert!(matches!(off_by(Some(0), 400, "RequestExpired", ""), Why::Expired { .. }));
        assert!(matches!(off_by(Some(60), 403, "UnauthorizedOperation", "no"), Why::Denied { .. }));
    }

    #[test]
    fn what_is_left_out_of_a_long_chain_is_never_its_end() {
        let text = format!("{}: {}the true cause", "the first words", "and so on: ".repeat(100));
        let told = shown_long(&text);
        assert!(
            told.starts_with("the first words") && told.ends_with("the true cause") && told.len() < 720,
            "{told}"
        );
        assert_eq!(shown_long("short\nline "), "short line");
    }

    #[test]
    fn who_asked_is_named_where_that_may_be_what_is_wrong() {
        let error = |why| {
            let region = Region::new("us-east-1").unwrap();
            Error {
                api: "DescribeInstances",
                region,
                principal: Some("role lb of this machine".to_owned()),
                why: Box::new(why),
            }
            .to_string()
        };
        let told = error(why(403, "UnauthorizedOperation", "no"));
        assert!(
            told.starts_with(
                "DescribeInstances in us-east-1, asked as role lb of this machine: not authorised"
            ),
            "{told}"
        );
        assert!(!error(why(500, "InternalError", "")).contains("asked as"));
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
