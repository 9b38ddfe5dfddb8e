//! Reloads that the API schedules, and how they ended.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::Answer;
use super::error::{Call, ClientError, Why};
use super::transport::Question;
use super::{Client, ProcessInfo, services};

/// The first look comes soon, since `reload_delay` may be about to end; later ones are rarer.
const SOONEST: Duration = Duration::from_millis(50);
const RAREST: Duration = Duration::from_millis(500);
/// How long after one another the process is asked for that is about to serve.
const PAUSE: Duration = Duration::from_millis(5);

/// The name of a scheduled reload: `2026-11-21-4`, the day and a count since the API's start.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReloadId(Box<str>);

/// Whether a change reloads HAProxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reload {
    /// No: it is live, or only in a transaction.
    None,
    /// It was reloaded before the answer.
    Done,
    /// It will be, within the API's `reload_delay`. Changes of that time share one reload.
    Scheduled(ReloadId),
}

/// How far a scheduled reload is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReloadState {
    /// Not done yet.
    InProgress,
    /// The reload command returned success. With a signal that says nothing of HAProxy itself.
    Succeeded,
    /// It failed, and the API put the file of the last good reload back.
    Failed(String),
}

impl ReloadId {
    /// Letters, digits and dashes.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        fits.then(|| Self(text.into()))
    }
}

impl fmt::Display for ReloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Client {
    /// Waits, so long at most, for another process than before, and answers whether one came. The API answers once HAProxy
    /// was told to reload; until the next process serves, the former one shows itself.
    pub async fn until_another_serves(
        &self,
        longest: Duration,
        is_another: impl Fn(&ProcessInfo) -> bool + Send,
    ) -> bool {
        let end = Instant::now() + longest;
        loop {
            match self.process().await {
                Ok(process) if is_another(&process) => return true,
                _ if Instant::now() >= end => return false,
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// How far a reload is. An API that was restarted knows no earlier one: [`Why::NotFound`].
    pub async fn reload(&self, id: &ReloadId) -> Result<ReloadState, ClientError> {
        self.look_at(id).await.map(|(_, state)| state)
    }

    /// Waits until a reload is done, for so long. That it failed is [`Why::ReloadFailed`].
    ///
    /// Where the API is a `program` of HAProxy's own file a reload restarts it, so that it is away for a moment and then
    /// knows no reload: [`Why::NotFound`] then says that it happened, not how it ended.
    pub async fn wait_reload(&self, id: &ReloadId, limit: Duration) -> Result<(), ClientError> {
        let end = Instant::now() + limit;
        let mut pause = SOONEST;
        loop {
            let call = match self.look_at(id).await {
                Ok((_, ReloadState::Succeeded)) => return Ok(()),
                Ok((call, ReloadState::Failed(text))) => {
                    return Err(self.inner.transport.failed(&call, Why::ReloadFailed { text }));
                }
                Ok((call, ReloadState::InProgress)) => call,
                Err(ClientError { at, why: Why::Unreachable { .. } | Why::Lost { .. } }) => at,
                Err(error) => return Err(error),
            };
            if Instant::now() >= end {
                return Err(call.failed(Why::ReloadUnfinished { id: id.clone(), after: limit }));
            }
            sleep_until(end.min(Instant::now() + pause)).await;
            pause = RAREST.min(pause * 2);
        }
    }

    async fn look_at(&self, id: &ReloadId) -> Result<(Call, ReloadState), ClientError> {
        let route = services(self.api().await?).at("reloads").at(id.to_string());
        let reply = self.ask(Question::get(route)).await?;
        let state = self.read(&reply, state)?;
        Ok((reply.call, state))
    }
}

fn state(answer: &Answer) -> Result<ReloadState, Why> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        InProgress,
        Succeeded,
        Failed,
    }
    #[derive(Deserialize)]
    struct Body {
        status: Status,
        #[serde(default)]
        response: String,
    }
    let Body { status, response } = answer.json()?;
    Ok(match status {
        Status::InProgress => ReloadState::InProgress,
        Status::Succeeded => ReloadState::Succeeded,
        Status::Failed => ReloadState::Failed(response.trim().to_owned()),
    })
}
