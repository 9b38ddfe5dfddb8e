//! One signed call and its answer.
//!
//! Invariants: no redirect is followed, so a signed call goes nowhere but to the address that was chosen, through the proxy
//! that this machine has for the address; each call has a limit of time and of bytes; dropping its future ends it.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use roster_http::{Limits, Proxies, Trust, causes};

use crate::error::{SettingsError, Why, host, shown_long};
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
    /// When it was written, by the server's clock.
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: String,
}

/// What makes calls to AWS.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    proxies: Proxies,
    timeout: Duration,
}

impl Http {
    pub(crate) fn new(trust: &Trust, proxies: Proxies, timeout: Duration) -> Result<Self, SettingsError> {
        let limits = Limits { connect: CONNECT, idle: IDLE };
        Ok(Self { client: roster_http::client(trust, &proxies, limits)?, proxies, timeout })
    }

    /// POSTs a signed form and reads the whole answer.
    pub(crate) async fn post(&self, url: &Url, headers: HeaderMap, form: String) -> Result<Answer, Why> {
        let request = self.client.post(url.clone()).timeout(self.timeout).headers(headers).body(form);
        let response = request.send().await.map_err(|error| self.broken(&error, url))?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let date = header(DATE).and_then(|value| rfc2822::parse(value).ok()).map(|date| date.timestamp());
        let body = read(response, url, self.timeout).await?;
        Ok(Answer { status, after: after.map(Duration::from_secs), date, body })
    }

    fn broken(&self, error: &reqwest::Error, url: &Url) -> Why {
        let host = host(url);
        let causes_of = || std::iter::successors(error.source(), |&error| error.source());
        let why = causes_of().last().map_or_else(|| "no reason given".to_owned(), ToString::to_string);
        match () {
            () if error.is_timeout() && !error.is_connect() => Why::Timeout { host, limit: self.timeout },
            // TLS's own words; what wraps them has no type for it.
            () if why.contains("invalid peer certificate") => Why::Certificate { host, why },
            () if error.is_connect()
                && let Some(proxy) = self.proxies.of(url) =>
            {
                // The client's own words come first and say only that it could not connect.
                let why = causes_of().nth(1).map_or(why, |error| shown_long(&causes(error)));
                Why::Proxy { host, proxy: proxy.to_string(), why }
            }
            // The connector's own words, likewise.
            () if error.is_connect() && causes_of().any(|cause| cause.to_string() == "dns error") => {
                Why::NoSuchHost { host }
            }
            () if error.is_timeout() => Why::Timeout { host, limit: self.timeout },
            () if error.is_connect() => Why::Unreachable { host, why },
            // The connection was there and ended before any byte of an answer.
            () => Why::HalfAnswer { got: 0 },
        }
    }
}

/// How far this machine's clock is ahead of the one that wrote an answer.
pub(crate) fn ahead(now: SystemTime, date: Option<Timestamp>) -> Option<SignedDuration> {
    Some(Timestamp::try_from(now).ok()?.duration_since(date?))
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
