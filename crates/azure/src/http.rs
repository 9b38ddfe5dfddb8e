//! One call and its answer, and the same call again when that may help.
//!
//! Invariants: no redirect is followed, so a token goes only where it was meant for; what goes without TLS, which is to this
//! machine or its own link, never goes through a proxy; each call has a limit of time and of bytes, and so has a listing;
//! every call is reported to the observer.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Request, RequestBuilder, Response, Url};
use roster_http::{Limits, Proxies, Trust};
use tokio::time::{Instant, sleep};

use crate::broken::Broken;
use crate::error::{Refusal, SettingsError, one_line};
use crate::observe::Observe;
use crate::outbound::Outbound;
use crate::retry::{Patience, retry_after};

/// Bytes of one answer; ARM's pages are below a few megabytes.
const LARGEST: usize = 64 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
/// Load balancers in front of Azure close an unused connection after a minute and more.
const IDLE: Duration = Duration::from_secs(50);

/// A whole answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What one listing has used up.
#[derive(Debug)]
pub(crate) struct Spent {
    began: Instant,
    waited: AtomicU64,
    bytes: AtomicU64,
}

/// When a call is made again.
#[derive(Clone, Copy)]
pub(crate) struct Again {
    /// After these statuses.
    pub(crate) status: fn(u16) -> bool,
    /// Whether after there was no connection.
    pub(crate) unreached: bool,
}

/// Makes calls.
#[derive(Clone)]
pub(crate) struct Http {
    /// For servers with TLS, wherever they are.
    far: Client,
    /// For what has no TLS: this machine itself, and the services of its own link.
    near: Client,
    proxies: Proxies,
    connect: Connect,
    timeout: Duration,
    patience: Patience,
    observer: Arc<dyn Observe>,
}

/// The limits for a connection.
#[derive(Clone, Copy)]
struct Connect {
    far: Duration,
    near: Duration,
}

/// What every call of a client has in common.
pub(crate) struct Common {
    pub(crate) timeout: Duration,
    /// The limit for a connection to what has no TLS.
    pub(crate) near: Duration,
    pub(crate) patience: Patience,
    pub(crate) observer: Arc<dyn Observe>,
}

impl Http {
    /// `tls` says whether any address needs certificates: a small container may have none.
    pub(crate) fn new(common: Common, outbound: &Outbound, tls: bool) -> Result<Self, SettingsError> {
        let Common { timeout, near, patience, observer } = common;
        let connect = Connect { far: CONNECT.min(timeout), near: near.min(timeout) };
        let proxies = outbound.proxies()?;
        let limits = |connect| Limits { connect, idle: IDLE };
        let trust = if tls { outbound.trust() } else { Trust::Nobody };
        Ok(Self {
            far: roster_http::client(&trust, &proxies, limits(connect.far))?,
            near: roster_http::client(&Trust::Nobody, &Proxies::default(), limits(connect.near))?,
            proxies,
            connect,
            timeout,
            patience,
            observer,
        })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client(&url).get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client(&url).post(url)
    }

    pub(crate) fn observer(&self) -> &dyn Observe {
        &*self.observer
    }

    /// The longest that one call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks, and asks again as long as that may help and patience lasts. The last answer counts, whatever it says.
    pub(crate) async fn ask(
        &self,
        api: &'static str,
        request: RequestBuilder,
        spent: &Spent,
        again: Again,
    ) -> Result<Reply, Broken> {
        let (client, request) = request.build_split();
        let unsendable = |why: String| Broken::Unsendable { why };
        let request = request.map_err(|error| unsendable(one_line(&roster_http::causes(&error))))?;
        let mut attempts = 0;
        loop {
            // Only a streamed body cannot be sent twice, and none here is one.
            let request =
                request.try_clone().ok_or_else(|| unsendable("it cannot be sent twice".to_owned()))?;
            let outcome = self.once(api, &client, request).await;
            attempts += 1;
            let asked = match &outcome {
                Ok(reply) if (again.status)(reply.status) => reply.retry_after,
                Err(broken) if broken.passes() && (again.unreached || !broken.is_unreached()) => None,
                Ok(_) | Err(_) => return outcome,
            };
            let chance = u8::try_from(RandomState::new().hash_one(attempts) & 0xff).unwrap_or_default();
            match self.patience.wait(attempts, asked, spent.waited(), chance) {
                Some(wait) => {
                    spent.wait(wait);
                    sleep(wait).await;
                }
                None => return outcome,
            }
        }
    }

    async fn once(&self, api: &'static str, client: &Client, mut request: Request) -> Result<Reply, Broken> {
        *request.timeout_mut() = Some(self.timeout);
        let began = Instant::now();
        let outcome = self.whole(client, request).await;
        let status;
        let code = match &outcome {
            Ok(reply) => {
                status = reply.status.to_string();
                status.as_str()
            }
            Err(broken) => broken.code(),
        };
        self.observer.on_call(api, code, began.elapsed());
        outcome
    }

    async fn whole(&self, client: &Client, request: Request) -> Result<Reply, Broken> {
        let url = request.url().clone();
        let (proxy, connect) = match url.scheme() {
            "http" => (None, self.connect.near),
            _ => (self.proxies.of(&url), self.connect.far),
        };
        let broken = |error: reqwest::Error| Broken::of(&error, host(&url), proxy, connect, self.timeout);
        let response = client.execute(request).await.map_err(broken)?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = retry_after(header);
        let request_id = header("x-ms-request-id").map(one_line);
        let status = response.status().as_u16();
        let too_large = || Broken::TooLarge { host: host(&url), limit: LARGEST };
        let body = body(response).await.map_err(broken)?.ok_or_else(too_large)?;
        Ok(Reply { status, retry_after, request_id, body })
    }

    fn client(&self, url: &Url) -> &Client {
        if url.scheme() == "http" { &self.near } else { &self.far }
    }
}

impl Again {
    /// After what may pass by itself.
    pub(crate) fn passing() -> Self {
        Self { status: passes, unreached: true }
    }
}

impl Spent {
    /// Nothing, from now on.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), waited: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn waited(&self) -> Duration {
        Duration::from_millis(self.waited.load(Ordering::Relaxed))
    }

    fn wait(&self, wait: Duration) {
        self.waited.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Adds the bytes of an answer to the others, and gives the sum.
    pub(crate) fn read(&self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    pub(crate) fn time(&self) -> Duration {
        self.began.elapsed()
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

/// All of a body; none if it is too large.
async fn body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
