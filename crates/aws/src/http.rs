//! One signed call and its answer.
//!
//! Invariants: no redirect is followed and no proxy of the environment is used, so a signed call goes nowhere but to the
//! address that was chosen; each call has a limit of time and of bytes; dropping its future ends it.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url, redirect, retry};

use crate::error::{SettingsError, Why, host};
use crate::region::{Region, Service};

/// Bytes of an answer. A thousand instances with many interfaces and tags are a few megabytes.
const LARGEST: usize = 64 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(50);
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// What came back, whatever it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// From `Retry-After`, in seconds; its form as a date is not used by AWS.
    pub(crate) after: Option<Duration>,
    pub(crate) body: String,
}

/// A client for AWS and for what gives credentials.
pub(crate) fn client() -> Result<reqwest::Client, SettingsError> {
    // Taken by reqwest. An error says that the program has one already, which then is as good.
    let _had_one = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SettingsError::Tls(root_cause(&error)))
}

/// The headers that sign a form for a service, those of the session among them.
pub(crate) fn signed(
    service: Service,
    region: &Region,
    url: &Url,
    form: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<HeaderMap, Why> {
    let odd = |what: String| Why::Unexpected { what: format!("the call cannot be signed: {what}") };
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name(service.name())
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| odd(error.to_string()))?;
    let headers = [(CONTENT_TYPE.as_str(), FORM)].into_iter();
    let request = SignableRequest::new("POST", url.as_str(), headers, SignableBody::Bytes(form.as_bytes()))
        .map_err(|error| odd(error.to_string()))?;
    let (instructions, _) =
        sign(request, &params.into()).map_err(|error| odd(error.to_string()))?.into_parts();
    let mut all = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM))]);
    for (name, value) in instructions.headers() {
        let name = HeaderName::try_from(name).map_err(|error| odd(error.to_string()))?;
        let mut value = HeaderValue::try_from(value).map_err(|error| odd(error.to_string()))?;
        value.set_sensitive(true);
        all.insert(name, value);
    }
    Ok(all)
}

/// POSTs a signed form and reads the whole answer.
pub(crate) async fn post(
    client: &reqwest::Client,
    url: &Url,
    headers: HeaderMap,
    form: String,
    limit: Duration,
) -> Result<Answer, Why> {
    let request = client.post(url.clone()).timeout(limit).headers(headers).body(form);
    let response = request.send().await.map_err(|error| broken(&error, url, limit))?;
    let status = response.status().as_u16();
    let after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = read(response, url, limit).await?;
    Ok(Answer { status, after: after.map(Duration::from_secs), body })
}

async fn read(mut response: Response, url: &Url, limit: Duration) -> Result<String, Why> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                return Err(Why::Unexpected { what: format!("it is longer than {LARGEST} bytes") });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) if error.is_timeout() => return Err(Why::Timeout { host: host(url), limit }),
            Err(_) => return Err(Why::HalfAnswer { got: body.len() }),
        }
    }
    String::from_utf8(body)
        .map_err(|_| Why::NotAws { what: "bytes that are no text".to_owned(), host: host(url) })
}

fn broken(error: &reqwest::Error, url: &Url, limit: Duration) -> Why {
    let host = host(url);
    let mut causes = std::iter::successors(error.source(), |&error| error.source());
    match () {
        // The connector's own words; it has no type for it.
        () if error.is_connect() && causes.any(|cause| cause.to_string() == "dns error") => {
            Why::NoSuchHost { host }
        }
        () if error.is_timeout() => Why::Timeout { host, limit },
        () if error.is_connect() => Why::Unreachable { host, why: root_cause(error) },
        // The connection was there and ended before any byte of an answer.
        () => Why::HalfAnswer { got: 0 },
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_service_region_and_session_and_stands_in_no_debug() {
        let credentials = Credentials::new("AKIDEXAMPLE", "SECRETKEY", Some("SESSION".into()), None, "test");
        let region = Region::new("eu-central-1").unwrap();
        let url = Service::Ec2.url(&region, crate::region::Variant::default()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let headers =
            signed(Service::Ec2, &region, &url, "Action=DescribeInstances", &credentials, now).unwrap();
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(
            authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/ec2/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
            ),
            "{authorization}"
        );
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(headers["x-amz-security-token"], "SESSION");
        let shown = format!("{headers:?}{credentials:?}");
        assert!(!shown.contains("SESSION") && !shown.contains("SECRETKEY"), "{shown}");
    }
}
