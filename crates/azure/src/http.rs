//! One call and its answer, and the same call again when that may help.
//!
//! Invariants: no redirect is followed, so a token goes only where it was meant for; `HTTP_PROXY` and its like are not
//! looked at; each call has a limit of time and of bytes; every call is told to the observer.

use std::error::Error as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::error::{Refusal, SettingsError, one_line};
use crate::observe::Observe;
use crate::retry::{Patience, retry_after};

/// Bytes of one answer; ARM's pages are below a few megabytes.
const LARGEST: usize = 64 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);

/// A call that has no whole answer.
#[derive(Clone, Debug, Error)]
pub enum Broken {
    /// Not in time.
    #[error("no answer within {after:?}; check the way to the server, or raise the timeout")]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// No connection, or no TLS.
    #[error("it cannot be reached: {why}; check the endpoint, DNS and the firewall")]
    Unreachable {
        /// What the system says.
        why: String,
    },
    /// The connection ended within the answer.
    #[error("the answer ended in the middle ({why}); nothing of it counts")]
    Lost {
        /// What the system says.
        why: String,
    },
    /// More than is taken.
    #[error("the answer has more than {limit} bytes; check what answers there")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// A whole answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// How long the calls of one listing have waited so far, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Waited(AtomicU64);

/// The connections, kept for the next call.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    timeout: Duration,
    patience: Patience,
    observer: Arc<dyn Observe>,
}

impl Http {
    /// `tls` says whether any address needs the system's certificates: a small container may have none.
    pub(crate) fn new(
        timeout: Duration,
        patience: Patience,
        observer: Arc<dyn Observe>,
        tls: bool,
    ) -> Result<Self, SettingsError> {
        // Taken by reqwest. An error says that the program has one already, which then is as good.
        let _had_one = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT.min(timeout))
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")));
        if !tls {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| SettingsError::Tls(root_cause(&error)))?;
        Ok(Self { client, timeout, patience, observer })
    }

    /// To make requests of.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn observer(&self) -> &dyn Observe {
        &*self.observer
    }

    /// Asks, and asks again as long as it may help and patience lasts. The last answer counts, whatever it says.
    pub(crate) async fn ask(
        &self,
        api: &'static str,
        request: &RequestBuilder,
        waited: &Waited,
        again: fn(u16) -> bool,
    ) -> Result<Reply, Broken> {
        let mut attempts = 0;
        loop {
            // Only a streamed body cannot be sent twice, and none here is one.
            let Some(request) = request.try_clone() else {
                return Err(Broken::Unreachable { why: "the request cannot be sent twice".to_owned() });
            };
            let outcome = self.once(api, request, self.timeout).await;
            attempts += 1;
            let asked = match &outcome {
                Ok(reply) if again(reply.status) => reply.retry_after,
                Err(Broken::Unreachable { .. } | Broken::Lost { .. }) => None,
                Ok(_) | Err(_) => return outcome,
            };
            let chance = u8::try_from(RandomState::new().hash_one(attempts) & 0xff).unwrap_or_default();
            match self.patience.wait(attempts, asked, waited.so_far(), chance) {
                Some(wait) => {
                    waited.add(wait);
                    sleep(wait).await;
                }
                None => return outcome,
            }
        }
    }

    /// Asks once.
    pub(crate) async fn once(
        &self,
        api: &'static str,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<Reply, Broken> {
        let began = Instant::now();
        let outcome = whole(request.timeout(timeout), timeout).await;
        let status;
        let code = match &outcome {
            Ok(reply) => {
                status = reply.status.to_string();
                status.as_str()
            }
            Err(Broken::Timeout { .. }) => "timeout",
            Err(Broken::Unreachable { .. }) => "unreachable",
            Err(Broken::Lost { .. } | Broken::TooLarge { .. }) => "lost",
        };
        self.observer.on_call(api, code, began.elapsed());
        outcome
    }
}

impl Waited {
    fn so_far(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, wait: Duration) {
        self.0.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Reply {
    /// The refusal, with the code and the words that its body holds.
    pub(crate) fn refusal(&self, code: &str, message: &str) -> Refusal {
        Refusal {
            status: self.status,
            code: one_line(code),
            message: one_line(message),
            request_id: self.request_id.clone(),
        }
    }

    /// What a body that is no JSON begins with, for people.
    pub(crate) fn begins(&self) -> String {
        let begin: Vec<u8> = self.body.iter().copied().take(120).collect();
        one_line(&String::from_utf8_lossy(&begin))
    }
}

/// Statuses after which the same call may go well.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

async fn whole(request: RequestBuilder, timeout: Duration) -> Result<Reply, Broken> {
    let response = request.send().await.map_err(|error| match () {
        () if error.is_timeout() => Broken::Timeout { after: timeout },
        () if error.is_connect() => Broken::Unreachable { why: root_cause(&error) },
        () => Broken::Lost { why: root_cause(&error) },
    })?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header("retry-after").and_then(retry_after);
    let request_id = header("x-ms-request-id").map(one_line);
    let status = response.status().as_u16();
    let body = body(response, timeout).await?;
    Ok(Reply { status, retry_after, request_id, body })
}

async fn body(mut response: Response, timeout: Duration) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                return Err(Broken::TooLarge { limit: LARGEST });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) if error.is_timeout() => return Err(Broken::Timeout { after: timeout }),
            Err(error) => return Err(Broken::Lost { why: root_cause(&error) }),
        }
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.last().map_or_else(|| "no reason given".to_owned(), |cause| one_line(&cause.to_string()))
}
