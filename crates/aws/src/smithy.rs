//! Lets aws-config get credentials (IMDS, ECS, STS, SSO) through the HTTP client that everything else uses.

use std::error::Error as _;
use std::fmt;
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

/// Where aws-config names no limit.
const LIMIT: Duration = Duration::from_secs(30);

/// reqwest as aws-config wants it.
#[derive(Clone)]
pub(crate) struct ThroughReqwest(pub(crate) reqwest::Client);

struct Connector {
    client: reqwest::Client,
    limit: Duration,
}

// An error of reqwest names its address, and IMDS's and SSO's have nothing secret; still nothing more is told than needed.
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
        SharedHttpConnector::new(Connector { client: self.0.clone(), limit })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(exchange(client, request, limit))
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
    let answer = out.send().await.map_err(failed)?;
    let status = StatusCode::try_from(answer.status().as_u16()).map_err(|_| user("no HTTP status"))?;
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(failed)?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

/// Without the address, which for STS by web identity may hold a token.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    let cause =
        std::iter::successors(error.source(), |&error| error.source()).last().map(ToString::to_string);
    let text = cause.unwrap_or_else(|| error.to_string());
    if error.is_timeout() { ConnectorError::timeout(text.into()) } else { ConnectorError::io(text.into()) }
}
