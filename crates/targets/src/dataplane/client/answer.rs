//! One answer of the API, and which failure it tells of. Pure: bytes in, value or [`Why`] out.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Why;
use super::settings::ApiVersion;
use super::{ConfigVersion, ReloadId, TransactionId};

/// How much of a foreign text an error repeats.
const SHOWN: usize = 500;
/// What stands before a path of which the API knows nothing.
const NO_SUCH_PATH: &str = "was not found";

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Configuration-Version`: with each answer, also with those that refuse.
    pub(super) version: Option<ConfigVersion>,
    /// `Reload-ID`: with those that had a reload scheduled.
    pub(super) reload: Option<ReloadId>,
    /// True if it says that it is JSON.
    pub(super) json: bool,
    pub(super) body: Vec<u8>,
}

/// What a refusal says, and the transaction that it left behind.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) why: Why,
    /// A refused file stays as a failed transaction until somebody deletes it.
    pub(super) left: Option<TransactionId>,
}

impl From<Why> for Denial {
    fn from(why: Why) -> Self {
        Self { why, left: None }
    }
}

impl Answer {
    /// The answer itself if it tells of success.
    pub(super) fn accepted(self) -> Result<Self, Denial> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.denial()) }
    }

    /// The version of the configuration when it was sent.
    pub(super) fn version(&self) -> Result<ConfigVersion, Why> {
        self.version.ok_or_else(|| Why::Unexpected { what: "it has no Configuration-Version".to_owned() })
    }

    /// Its JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Why> {
        serde_json::from_slice(&self.body).map_err(|error| {
            if error.is_eof() && !self.body.is_empty() {
                Why::HalfBody { got: self.body.len() }
            } else if error.is_data() {
                Why::Unexpected { what: error.to_string() }
            } else if self.is_html() {
                Why::Html { status: self.status }
            } else {
                Why::NotJson { begins: self.text(60) }
            }
        })
    }

    /// What was asked for: version 2 wraps it as `{"_version":N,"data":…}`, version 3 does not.
    pub(super) fn data<T: DeserializeOwned>(&self, api: ApiVersion) -> Result<T, Why> {
        let mut value: Value = self.json()?;
        if api == ApiVersion::V2 {
            let Some(data) = value.get_mut("data") else {
                return Err(Why::Unexpected { what: "it has no `data`".to_owned() });
            };
            value = data.take();
        }
        serde_json::from_value(value).map_err(|error| Why::Unexpected { what: error.to_string() })
    }

    /// True if this is the API's own word that it has no such path: then it speaks another version.
    pub(super) fn is_no_such_path(&self) -> bool {
        self.status == 404 && {
            let message = self.message();
            message.starts_with("path /") && message.ends_with(NO_SUCH_PATH)
        }
    }

    fn is_html(&self) -> bool {
        let begins = self.text(100).to_ascii_lowercase();
        begins.starts_with("<!doctype") || begins.starts_with("<html")
    }

    /// The beginning of the body, with what is no text replaced.
    fn text(&self, limit: usize) -> String {
        let begins: Vec<u8> = self.body.iter().copied().take(limit * 4).collect();
        String::from_utf8_lossy(&begins).trim().chars().take(limit).collect()
    }

    /// What it says: `{"code":…,"message":…}` (version 3 sends it as text/plain now and then), the statistics' list of
    /// errors, or plain text.
    fn message(&self) -> String {
        let said = |value: &Value| {
            let text = value.get("message").or_else(|| value.get("error")).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let value: Option<Value> = serde_json::from_slice(&self.body).ok();
        let found = value.as_ref().and_then(|value| match value {
            Value::Array(list) => list.iter().find_map(said),
            Value::String(text) => Some(text.clone()),
            other => said(other),
        });
        found.unwrap_or_else(|| self.text(SHOWN))
    }

    fn denial(&self) -> Denial {
        if matches!(self.status, 401 | 403) {
            // 2.9 repeats the password here, so nothing of it is.
            return Why::Unauthorized.into();
        }
        if self.is_html() {
            return Why::Html { status: self.status }.into();
        }
        let text = self.message();
        let why = match self.status {
            400 => return bad_request(text),
            404 => Why::NotFound { what: text },
            406 if text.starts_with("transaction ") => Why::TransactionDead { text },
            409 if text.starts_with("version mismatch") => self.stale(&text),
            409 if text.to_ascii_lowercase().contains("already exist") => Why::Exists { what: text },
            422 => Why::Rejected { text },
            429 => Why::TooManyTransactions,
            431 => Why::Rejected { text: format!("{text} (the runtime actions are too long)") },
            500 if text.starts_with("cannot execute ") => Why::ActionFailed { text },
            500 if text.starts_with("no data for ") => Why::NotFound { what: text },
            status => Why::Server { status, text: text.chars().take(SHOWN).collect() },
        };
        why.into()
    }

    fn stale(&self, text: &str) -> Why {
        let number = |behind: &str| {
            let (_, rest) = text.split_once(behind)?;
            let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok().map(ConfigVersion)
        };
        let given = number("given version is").or_else(|| number("transaction version:"));
        let current = number("in configuration file is").or_else(|| number("configured version:"));
        Why::StaleVersion { given, current: current.or(self.version) }
    }
}

fn bad_request(text: String) -> Denial {
    let why = if let Some(said) = text.strip_prefix("validation error: ") {
        return Denial { why: Why::Refused { text: cleaned(said) }, left: transaction(said) };
    } else if let Some(said) = text.strip_prefix("Reload failed: ") {
        Why::ReloadFailed { text: said.trim().to_owned() }
    } else if text.starts_with("missing parent: ") {
        Why::NotFound { what: text }
    } else if text.starts_with("transaction does not exist") {
        Why::TransactionDead { text }
    } else if text.contains("HTTP request to an HTTPS server") {
        // What Go's HTTP server answers before it knows who asks.
        Why::Tls { why: "the API listens with TLS there; write https:// in `url`".to_owned() }
    } else {
        Why::Rejected { text }
    };
    why.into()
}

/// The transaction that `haproxy -c` was asked for: `… err transactionId=<id> …`.
fn transaction(said: &str) -> Option<TransactionId> {
    let (_, rest) = said.split_once("transactionId=")?;
    rest.split_whitespace().next().and_then(TransactionId::new)
}

/// What HAProxy says, without the API's own words, the temporary file and the lines that are always there.
fn cleaned(said: &str) -> String {
    const ALWAYS: [&str; 2] = ["Error(s) found in configuration file", "Fatal errors found in configuration"];
    let lines = said.split("msg=\"").skip(1).map(|line| {
        let line = line.trim_end();
        let line = line.strip_suffix('"').unwrap_or(line).replace("\\\"", "\"");
        line.strip_prefix("config ").map_or(line.clone(), str::to_owned)
    });
    let lines = lines.filter(|line| !ALWAYS.iter().any(|always| line.starts_with(always)));
    let told: Vec<String> = lines.map(|line| with_line_number(&line)).collect();
    if told.is_empty() {
        "it gives no reason (2.9 gives none when it only checks)".to_owned()
    } else {
        told.join("; ")
    }
}

/// `parsing [/tmp/file:35]: text` and `[/tmp/file:35] text` as `line 35: text`.
fn with_line_number(line: &str) -> String {
    let place = line.strip_prefix("parsing ").unwrap_or(line).strip_prefix('[');
    let found = place.and_then(|place| {
        let (place, text) = place.split_once(']')?;
        let (_, number) = place.rsplit_once(':')?;
        number
            .parse::<u32>()
            .ok()
            .map(|number| format!("line {number}: {}", text.trim_start_matches([':', ' '])))
    });
    found.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(status: u16, body: &str) -> Why {
        let answer = Answer { status, version: None, reload: None, json: true, body: body.into() };
        answer.accepted().unwrap_err().why
    }

    #[test]
    fn what_haproxy_says_is_told_by_line_without_temporary_files() {
        let said = "exit status 1: err transactionId=47f5 \nmsg=\"config parsing [/t/haproxy.cfg.47f5:35] unknown \
                    keyword \\\"x\\\"\"\nmsg=\"config [/t/haproxy.cfg.47f5:33] 'server app/s1' could not resolve\"\n\
                    msg=\"config parsing [/var/tmp/only1:35]: Missing LF\"\nmsg=\"config Proxy 'fe': no backend.\"\n\
                    msg=\"config Error(s) found in configuration file /t/haproxy.cfg.47f5\"\n\
                    msg=\"config Fatal errors found in configuration.\"";
        assert_eq!(
            cleaned(said),
            "line 35: unknown keyword \"x\"; line 33: 'server app/s1' could not resolve; line 35: Missing LF; \
             Proxy 'fe': no backend."
        );
        assert_eq!(transaction(said), TransactionId::new("47f5"));
        assert_eq!(cleaned("exit status 1"), "it gives no reason (2.9 gives none when it only checks)");
        assert_eq!(transaction("exit status 1"), None);
    }

    #[test]
    fn both_ways_to_say_stale_are_read() {
        for (text, given, current) in [
            ("version mismatch: version in configuration file is 244, given version is 243", 243, 244),
            ("version mismatch: version mismatch, transaction version: 7, configured version: 8", 7, 8),
        ] {
            let why = denial(409, &format!(r#"{{"code":409,"message":"{text}"}}"#));
            let Why::StaleVersion { given: Some(a), current: Some(b) } = why else { panic!("{why:?}") };
            assert_eq!((a, b), (ConfigVersion(given), ConfigVersion(current)));
        }
    }

    #[test]
    fn an_error_in_a_list_of_statistics_is_told() {
        let why = denial(500, r#"[{"stats":[]},{"error":"dial unix: refused","runtimeAPI":"/s"}]"#);
        assert!(matches!(&why, Why::Server { status: 500, text } if text == "dial unix: refused"), "{why:?}");
    }

    #[test]
    fn a_page_of_a_proxy_is_no_answer_of_the_api() {
        assert!(matches!(denial(502, "<!DOCTYPE html>\n<p>Bad gateway"), Why::Html { status: 502 }));
        let why = denial(503, "  <html><body>503 Service Unavailable");
        assert!(matches!(why, Why::Html { status: 503 }), "{why:?}");
    }

    #[test]
    fn foreign_bytes_are_shown_short_and_as_text() {
        let answer =
            Answer { status: 500, version: None, reload: None, json: false, body: vec![0xff; 10_000] };
        let Why::Server { text, .. } = answer.accepted().unwrap_err().why else { panic!() };
        assert_eq!(text.chars().count(), SHOWN);
    }
}
