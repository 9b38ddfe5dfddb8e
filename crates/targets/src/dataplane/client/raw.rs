//! HAProxy's file as a whole: read, checked, and written with or without a reload.

use std::fmt;

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::error::{Call, ClientError, Why};
use super::reload::Reload;
use super::settings::ApiVersion;
use super::transport::{Question, Route};
use super::{Client, ConfigVersion, Outcome, TransactionId, Versioned, View, Write, services};

/// The API's server takes 1,000,000 bytes of headers and a little more.
const LONGEST_ACTIONS: usize = 990_000;
/// How often a file that changes is looked at.
const LOOKS: usize = 4;

/// HAProxy's file as the API holds it, with its `# _md5hash=` and `# _version=` lines if it wrote any.
#[derive(Clone, Eq, PartialEq)]
pub struct RawConfig {
    /// The file. It may hold passwords, so it is not in `Debug`.
    pub text: String,
    /// The version to name when it is written back.
    pub version: ConfigVersion,
}

/// A file that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The file as the API wrote it: sorted its own way.
    pub config: RawConfig,
    /// Whether HAProxy is reloaded for it.
    pub reload: Reload,
}

impl RawConfig {
    /// The version in the text's own `# _version=` line. After a failed reload it is older than
    /// [`version`](Self::version): the file was put back, the API's memory was not.
    pub fn written_as(&self) -> Option<ConfigVersion> {
        // The first lines are the API's; one further down is anybody's comment.
        let mut head = self.text.lines().take_while(|line| line.starts_with("# _"));
        head.find_map(|line| line.strip_prefix("# _version=")?.trim().parse().ok()).map(ConfigVersion)
    }

    /// True if text and version surely belong together: one that the API never wrote counts as 1.
    fn is_settled(&self) -> bool {
        self.written_as().unwrap_or(ConfigVersion(1)) == self.version
    }
}

impl fmt::Debug for RawConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConfig")
            .field("text", &format_args!("({} bytes)", self.text.len()))
            .field("version", &self.version)
            .finish()
    }
}

impl Written {
    /// The version and the reload alone.
    pub fn outcome(&self) -> Outcome {
        Outcome { version: self.config.version, reload: self.reload.clone() }
    }
}

impl Client {
    /// HAProxy's file and its version.
    ///
    /// The API reads the file first and looks its version up later, so a write in between would pair an old text with a new
    /// version. Where the text's own line says otherwise, it is read again until two readings agree.
    pub async fn raw(&self) -> Result<RawConfig, ClientError> {
        let (mut call, mut config) = self.look().await?;
        for _ in 1..LOOKS {
            if config.is_settled() {
                break;
            }
            let (at, again) = self.look().await?;
            if again == config {
                return Ok(again);
            }
            (call, config) = (at, again);
        }
        if config.is_settled() { Ok(config) } else { Err(call.failed(Why::Unsettled { looks: LOOKS })) }
    }

    /// Has HAProxy check a text. It needs its last newline; 2.9 does not say what is wrong.
    pub async fn validate(&self, text: String) -> Result<(), ClientError> {
        let route = raw(self.api().await?).with("only_validate", "true");
        self.ask(Question::new(Method::POST, route).text(text)).await?;
        Ok(())
    }

    /// Writes the file without a reload, and then carries runtime actions out (`X-Runtime-Actions`: separated by `;`
    /// without a blank, parameters by one blank).
    ///
    /// Success does not prove that HAProxy is as the file says: actions with an unknown name or a wrong address pass as
    /// well. A failing one is [`Why::ActionFailed`], with the file written.
    pub async fn write_live(
        &self,
        text: String,
        version: ConfigVersion,
        actions: &str,
    ) -> Result<Written, ClientError> {
        let write = Write::At(version);
        let route = write.by(raw(self.api().await?)).with("skip_reload", "true");
        let mut question = Question::new(Method::POST, route).text(text);
        if !actions.is_empty() {
            let unsent = |why| self.inner.transport.call(&question).failed(why);
            question.actions = Some(header(actions).map_err(unsent)?);
        }
        self.write(question, write).await
    }

    /// Writes the file and reloads HAProxy: before the answer if `force`, else as the API schedules it.
    pub async fn write_reload(
        &self,
        text: String,
        version: ConfigVersion,
        force: bool,
    ) -> Result<Written, ClientError> {
        let write = if force { Write::Reloading(version) } else { Write::At(version) };
        let route = write.by(raw(self.api().await?));
        self.write(Question::new(Method::POST, route).text(text), write).await
    }

    /// The file as a transaction would make it.
    pub async fn raw_within(&self, transaction: &TransactionId) -> Result<String, ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(View::Within(transaction).of(raw(api)))).await?;
        self.read(&reply, |answer| text(answer, api))
    }

    async fn look(&self) -> Result<(Call, RawConfig), ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(raw(api))).await?;
        let Versioned { value, version } = self.read_versioned(&reply, |answer| text(answer, api))?;
        Ok((reply.call, RawConfig { text: value, version }))
    }

    async fn write(&self, question: Question, write: Write<'_>) -> Result<Written, ClientError> {
        let reply = self.ask(question).await?;
        let Outcome { version, reload } = self.outcome(&reply, write)?;
        let text = self.read(&reply, |answer| text(answer, ApiVersion::V3))?;
        Ok(Written { config: RawConfig { text, version }, reload })
    }
}

fn raw(api: ApiVersion) -> Route {
    services(api).path("configuration/raw")
}

/// The file: bare as text, or as a JSON string; version 2 wraps it when it is read.
fn text(answer: &Answer, api: ApiVersion) -> Result<String, Why> {
    #[derive(Deserialize)]
    struct Wrapped {
        data: String,
    }
    if !answer.json {
        let text = String::from_utf8(answer.body.clone());
        return text.map_err(|_| Why::Unexpected { what: "HAProxy's file is not UTF-8".to_owned() });
    }
    match answer.json()? {
        Value::String(text) => Ok(text),
        wrapped if api == ApiVersion::V2 => {
            let wrapped: Result<Wrapped, _> = serde_json::from_value(wrapped);
            wrapped.map(|wrapped| wrapped.data).map_err(|error| Why::Unexpected { what: error.to_string() })
        }
        _ => Err(Why::Unexpected { what: "it is not HAProxy's file".to_owned() }),
    }
}

fn header(actions: &str) -> Result<HeaderValue, Why> {
    let bytes = actions.len();
    if bytes > LONGEST_ACTIONS {
        return Err(Why::ActionsUnsendable { bytes, why: "the API takes about a million" });
    }
    HeaderValue::from_str(actions)
        .map_err(|_| Why::ActionsUnsendable { bytes, why: "one has a byte that no header may have" })
}
