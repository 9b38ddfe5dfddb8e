//! One request and its answer, over connections that are kept for the next.
//!
//! Invariants:
//! - The password goes into the `Authorization` header and nowhere else: every text of every failure is masked here.
//! - No redirect is followed and a write is sent once, to the address that was configured. A question whose connection
//!   ended without an answer is asked once more: the API may have closed one that was kept just when it was to be used.
//! - `HTTP_PROXY` and its like are not looked at: the address is reached as it is written.
//! - Each exchange has a limit of time and of bytes, and dropping its future closes its connection.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Response, Url, redirect, retry};
use roster_files::{Kind, ReadError};
use rustls::CertificateError;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::answer::Answer;
use super::error::{Call, ClientError, Why};
use super::settings::{Endpoint, Settings};
use super::{ConfigVersion, ReloadId};

/// Bytes of an answer. The configuration of tens of thousands of servers is a few megabytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// A healthy API takes a connection in milliseconds.
const CONNECT: Duration = Duration::from_secs(10);
/// The API closes an idle connection after three minutes unless told otherwise.
const IDLE: Duration = Duration::from_secs(60);
const HIDDEN: &str = "(hidden)";
const RUNTIME_ACTIONS: HeaderName = HeaderName::from_static("x-runtime-actions");

/// Settings that no client can be made of.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A colon ends the user's name in the `Authorization` header.
    #[error(
        "`username` has a colon in it, which HTTP's basic authentication cannot carry; name another user"
    )]
    Username,
    /// The file of authorities cannot be read.
    #[error(
        "the certificates in {path:?} cannot be read ({why}); check that the file is there and may be read"
    )]
    CaUnreadable {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        why: ReadError,
    },
    /// No certificate in it.
    #[error("{0:?} holds no certificate as PEM; `ca_file` wants those of the authorities to trust")]
    CaEmpty(std::path::PathBuf),
    /// The certificates are of no use.
    #[error("TLS cannot be set up: {0}; install the system's CA certificates, or set `ca_file`")]
    Tls(String),
}

/// What to ask.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) route: Route,
    pub(super) body: Body,
    pub(super) actions: Option<HeaderValue>,
}

/// Where to ask it.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
}

/// What to send along.
#[derive(Debug)]
pub(super) enum Body {
    None,
    Text(String),
    Json(Vec<u8>),
}

/// Connections to one API.
pub(super) struct Transport {
    pub(super) endpoint: Endpoint,
    pub(super) username: String,
    http: reqwest::Client,
    authorization: HeaderValue,
    /// What no text may hold.
    secrets: Vec<SecretString>,
    pub(super) timeout: Duration,
}

impl Question {
    pub(super) fn new(method: Method, route: Route) -> Self {
        Self { method, route, body: Body::None, actions: None }
    }

    pub(super) fn get(route: Route) -> Self {
        Self::new(Method::GET, route)
    }

    pub(super) fn text(self, text: String) -> Self {
        Self { body: Body::Text(text), ..self }
    }

    pub(super) fn json(self, value: &serde_json::Value) -> Self {
        Self { body: Body::Json(value.to_string().into_bytes()), ..self }
    }
}

impl Route {
    /// The route with one more piece of its path.
    pub(super) fn at(mut self, segment: impl Into<String>) -> Self {
        self.segments.push(segment.into());
        self
    }

    /// The route with these pieces, which stand apart by a slash.
    pub(super) fn path(mut self, path: &str) -> Self {
        self.segments.extend(path.split('/').map(str::to_owned));
        self
    }

    /// The route with one more parameter.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// A piece that HTTP takes for a step within the path, and would so lead elsewhere.
    fn misleading(&self) -> Option<&str> {
        self.segments.iter().map(String::as_str).find(|segment| matches!(*segment, "" | "." | ".."))
    }

    fn url(&self, endpoint: &Endpoint) -> Url {
        let mut url = endpoint.join(self.segments.iter().map(String::as_str));
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.username.contains(':') {
            return Err(SettingsError::Username);
        }
        // Taken by reqwest. An error says that the program has one already, which then is as good.
        let _had_one = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(!settings.tls.verify);
        if let Some(certificates) = authorities(&settings)? {
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|error| SettingsError::Tls(root_cause(&error)))?;
        let Settings { url: endpoint, username, password, timeout, .. } = settings;
        let authorization = authorization(&http, &endpoint, &username, &password);
        let mut secrets = vec![password];
        let encoded = authorization.to_str().ok().and_then(|text| text.strip_prefix("Basic "));
        secrets.extend(encoded.map(|text| SecretString::from(text.to_owned())));
        Ok(Self { endpoint, username, http, authorization, secrets, timeout })
    }

    /// How a failure names this question.
    pub(super) fn call(&self, question: &Question) -> Call {
        Call::new(question.method.clone(), &question.route.url(&self.endpoint))
    }

    /// Asks and reads the whole answer, whatever it says.
    pub(super) async fn exchange(&self, question: Question) -> Result<(Call, Answer), ClientError> {
        let url = question.route.url(&self.endpoint);
        let call = Call::new(question.method.clone(), &url);
        if let Some(segment) = question.route.misleading() {
            let text = format!("the name {segment:?} cannot stand in an address");
            return Err(self.failed(&call, Why::Rejected { text }));
        }
        let again = (question.method == Method::GET).then(|| Question::get(question.route.clone()));
        let answer = match (self.answer(question, url.clone()).await, again) {
            (Err(Why::Lost { .. }), Some(again)) => self.answer(again, url).await,
            (answer, _) => answer,
        };
        match answer {
            Ok(answer) => {
                tracing::trace!(%call, status = answer.status, bytes = answer.body.len(), "the API answered");
                Ok((call, answer))
            }
            Err(why) => {
                tracing::trace!(%call, "the API did not answer");
                Err(self.failed(&call, why))
            }
        }
    }

    /// The failure of a call, with every secret taken out.
    pub(super) fn failed(&self, call: &Call, mut why: Why) -> ClientError {
        if let Some(text) = why.text_mut() {
            let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
            for secret in secrets.filter(|secret| !secret.is_empty()) {
                *text = text.replace(secret, HIDDEN);
            }
        }
        call.failed(why)
    }

    async fn answer(&self, question: Question, url: Url) -> Result<Answer, Why> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(actions) = question.actions {
            headers.insert(RUNTIME_ACTIONS, actions);
        }
        let request = self.http.request(question.method, url).timeout(self.timeout).headers(headers);
        let request = match question.body {
            Body::None => request,
            Body::Text(text) => request.header(CONTENT_TYPE, "text/plain").body(text),
            Body::Json(bytes) => request.header(CONTENT_TYPE, "application/json").body(bytes),
        };
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let headers = response.headers();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let version = header("configuration-version").and_then(|text| text.parse().ok()).map(ConfigVersion);
        let reload = header("reload-id").and_then(ReloadId::new);
        let json = header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        Ok(Answer { status, version, reload, json, body })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Why> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                    return Err(Why::TooLarge { limit: LARGEST });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) if error.is_timeout() => return Err(Why::Timeout { after: self.timeout }),
                Err(_) => return Err(Why::HalfBody { got: body.len() }),
            }
        }
    }

    fn broken(&self, error: &reqwest::Error) -> Why {
        if let Some(tls) = tls_error(error) {
            return Why::Tls { why: tls_reason(tls) };
        }
        let why = root_cause(error);
        match () {
            () if error.is_connect() => Why::Unreachable { why },
            () if error.is_timeout() => Why::Timeout { after: self.timeout },
            () => Why::Lost { why },
        }
    }
}

/// The only ones to trust; none for the system's.
fn authorities(settings: &Settings) -> Result<Option<Vec<Certificate>>, SettingsError> {
    if !settings.url.is_tls() || !settings.tls.verify {
        // Without TLS none is needed, and a small container may have none.
        return Ok(Some(Vec::new()));
    }
    let Some(path) = &settings.tls.ca_file else { return Ok(None) };
    let unreadable = |why| SettingsError::CaUnreadable { path: path.clone(), why };
    let pem = roster_files::read(path, Kind::Authorities).map_err(unreadable)?;
    let certificates = Certificate::from_pem_bundle(&pem.bytes).unwrap_or_default();
    if certificates.is_empty() {
        return Err(SettingsError::CaEmpty(path.clone()));
    }
    Ok(Some(certificates))
}

/// As reqwest writes it; it marks the value as secret, so that it stands in no `Debug`.
fn authorization(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    username: &str,
    password: &SecretString,
) -> HeaderValue {
    let request = http.get(endpoint.join([])).basic_auth(username, Some(password.expose_secret())).build();
    let header = request.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned());
    header.unwrap_or_else(|| HeaderValue::from_static("Basic Og=="))
}

fn root_cause(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

/// `io::Error` does not name what it wraps as its source, and TLS's comes wrapped in two of them.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(within) => tls_error(within),
        None => error.source().and_then(tls_error),
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    use rustls::Error::{InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the API's certificate comes from no authority that is trusted; \
             set `ca_file` to its authority's certificate"
                .to_owned()
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the API's certificate is for another name ({error}); use its name in `url`"),
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the API's certificate is expired; renew it".to_owned()
        }
        InvalidMessage(_) => {
            "what listens there does not speak TLS; write http:// in `url`, or let the API listen with TLS"
                .to_owned()
        }
        other => format!("TLS failed: {other}; check the API's certificate and TLS settings"),
    }
}
