//! Lets aws-config get credentials (IMDS, ECS, STS, SSO) through the HTTP client that everything else uses.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::Method;
use roster_http::causes;

use crate::error::shown;
use crate::identity::Learned;

/// Where aws-config names no limit.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the instance metadata service has the credentials of the machine's role, followed by the role's name.
const ROLES: &str = "/meta-data/iam/security-credentials/";
/// Where it gives a token first.
const TOKEN: &str = "/latest/api/token";

/// reqwest as aws-config wants it.
#[derive(Clone)]
pub(crate) struct ThroughReqwest {
    pub(crate) client: reqwest::Client,
    /// Learns the name of the role whose credentials the machine asks for.
    pub(crate) role: Option<Learned>,
}

struct Connector {
    through: ThroughReqwest,
    limit: Duration,
}

// An error of reqwest names its address, and IMDS's and SSO's have nothing secret; still nothing more is shown than needed.
impl fmt::Debug for ThroughReqwest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThroughReqwest")
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl HttpClient for ThroughReqwest {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // reqwest's limit for connecting belongs to the client, so here is one for both together.
        let limits = [settings.connect_timeout(), settings.read_timeout()];
        let limit = limits.into_iter().flatten().reduce(|a, b| a + b).unwrap_or(LIMIT);
        SharedHttpConnector::new(Connector { through: self.clone(), limit })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some((role, name)) = self.through.role.as_ref().zip(request.uri().split_once(ROLES)) {
            let name = name.1.trim_matches('/');
            if !name.is_empty() {
                *role.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown(name));
            }
        }
        HttpConnectorFuture::new(exchange(self.through.client.clone(), request, self.limit))
    }
}

async fn exchange(
    client: reqwest::Client,
    request: HttpRequest,
    limit: Duration,
) -> Result<HttpResponse, ConnectorError> {
    let user = |what: &'static str| ConnectorError::user(what.into());
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| user("no HTTP method"))?;
    let body = request.body().bytes().ok_or(user("a body that is a stream"))?.to_vec();
    let mut out = client.request(method, request.uri()).timeout(limit).body(body);
    for (name, value) in request.headers() {
        out = out.header(name, value);
    }
    let asks_for_token = request.uri().ends_with(TOKEN);
    let answer = out.send().await.map_err(|error| failed(error, asks_for_token))?;
    let status = StatusCode::try_from(answer.status().as_u16()).map_err(|_| user("no HTTP status"))?;
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(|error| failed(error, false))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

/// Without the address, which for STS by web identity may hold a token.
fn failed(error: reqwest::Error, asks_for_token: bool) -> ConnectorError {
    let error = error.without_url();
    let mut text = causes(&error);
    // The answer with the token goes no further than the machine's limit of hops, and a container is one hop more.
    if asks_for_token && error.is_timeout() && !error.is_connect() {
        text.push_str(
            "; in a container the machine's metadata options need a hop limit of 2 or more (HttpPutResponseHopLimit)",
        );
    }
    if error.is_timeout() { ConnectorError::timeout(text.into()) } else { ConnectorError::io(text.into()) }
}
