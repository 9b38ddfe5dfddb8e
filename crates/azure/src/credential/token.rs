//! A token and how long it may be used. Pure: the time comes in as a value.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

/// So long before its end a token is replaced, as azure-identity does.
const EARLY: Duration = Duration::from_secs(300);
/// For answers that do not say when their token ends, as those of `az` before 2.54 in a form without a time zone. No
/// token is handed out with less than five minutes left.
const UNSAID: Duration = Duration::from_secs(240);
/// A day is longer than any token lives; an absurd number must not overflow the clock.
const LONGEST: Duration = Duration::from_hours(24);

/// A token that was handed out.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    /// Whose it is, where that was said.
    pub(super) client: Option<String>,
    fresh_until: Instant,
    ends: Instant,
}

/// The answers of all token endpoints. Numbers come as numbers or as text, differently from each.
#[derive(Deserialize)]
pub(super) struct Granted {
    #[serde(alias = "accessToken")]
    access_token: SecretText,
    expires_in: Option<Value>,
    expires_on: Option<Value>,
    /// Whose it is, where the endpoint says so.
    client_id: Option<String>,
}

/// Text that goes straight into a secret.
#[derive(Deserialize)]
#[serde(from = "String")]
struct SecretText(SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl Granted {
    /// The token; not one that no header can hold.
    pub(super) fn token(self, asked: Instant, now: Timestamp) -> Result<Token, &'static str> {
        let secret = self.access_token.0;
        match secret.expose_secret() {
            "" => return Err("an empty token"),
            text if text.bytes().any(|byte| !byte.is_ascii_graphic()) => {
                return Err("a token with a blank, a line break or another character that no token has");
            }
            _ => {}
        }
        let life = number(self.expires_in.as_ref())
            .or_else(|| number(self.expires_on.as_ref()).map(|end| end - now.as_second()))
            .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        let (fresh, life) = life.map_or((UNSAID, EARLY), |life| {
            let life = life.min(LONGEST);
            (life.saturating_sub(EARLY.min(life / 2)), life)
        });
        Ok(Token { secret, client: self.client_id, fresh_until: asked + fresh, ends: asked + life })
    }
}

impl Token {
    /// Whether there is no need for another one yet.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }

    /// Whether it is still good, if there is no other.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        now < self.ends
    }
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fresh_for(answer: Value) -> u64 {
        let (asked, now) = (Instant::now(), Timestamp::from_second(1_000_000).unwrap());
        let token = serde_json::from_value::<Granted>(answer).unwrap().token(asked, now).unwrap();
        assert_eq!(token.secret.expose_secret(), "t");
        token.fresh_until.duration_since(asked).as_secs()
    }

    #[test]
    fn a_token_is_replaced_five_minutes_before_its_end_however_the_end_is_written() {
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_in": 3599})), 3299);
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_in": "3599", "expires_on": "1"})), 3299);
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_on": "1003600"})), 3300);
        assert_eq!(fresh_for(json!({"accessToken": "t", "expires_on": 1_003_600})), 3300);
    }

    #[test]
    fn a_token_with_an_odd_end_is_used_for_a_short_time_only() {
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_in": 100})), 50);
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_on": 5})), 0, "it has ended");
        assert_eq!(fresh_for(json!({"accessToken": "t", "expiresOn": "2026-11-21 05:00:00.000000"})), 240);
        assert_eq!(fresh_for(json!({"access_token": "t", "expires_in": i64::MAX})), 86_100);
    }

    #[test]
    fn a_token_lives_on_for_a_while_after_it_should_have_been_replaced() {
        let (asked, now) = (Instant::now(), Timestamp::from_second(0).unwrap());
        let granted = json!({"access_token": "t", "expires_in": 3600});
        let token = serde_json::from_value::<Granted>(granted).unwrap().token(asked, now).unwrap();
        let after = |seconds| asked + Duration::from_secs(seconds);
        assert!(token.is_fresh(after(3299)) && !token.is_fresh(after(3300)));
        assert!(token.is_alive(after(3599)) && !token.is_alive(after(3600)));
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_none() {
        let now = Timestamp::from_second(0).unwrap();
        for odd in ["", "hush\n", "hu sh", "h\u{fc}sh"] {
            let granted: Granted = serde_json::from_value(json!({ "access_token": odd })).unwrap();
            let why = granted.token(Instant::now(), now).unwrap_err();
            assert!(!why.contains("sh"), "{why}");
        }
    }

    #[test]
    fn a_token_is_in_no_debug_text() {
        let now = Timestamp::from_second(0).unwrap();
        let token = serde_json::from_value::<Granted>(json!({"access_token": "hush"})).unwrap();
        assert!(!format!("{:?}", token.token(Instant::now(), now).unwrap()).contains("hush"));
    }
}
