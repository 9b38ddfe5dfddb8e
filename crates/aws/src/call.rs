//! One question for one page, with as many attempts as it is worth.

use std::fmt;
use std::time::Instant;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_types::service_config::ServiceConfigKey;
use reqwest::Url;

use crate::error::{Error, SettingsError, Why, host};
use crate::http::{self, Answer};
use crate::identity::{Identity, configuration};
use crate::question::Question;
use crate::region::{Region, Service, Variant};
use crate::settings::{Call, CallEnd, Observer, Patience, Settings};
use crate::smithy::ThroughReqwest;
use crate::wire::{self, Page, WireError};

/// What a chunk of ids is refused with when EC2 has forgotten some of them (EC2's "Error codes").
const GONE: &str = "InvalidInstanceID.NotFound";

/// Both services of one region, and who asks them.
pub(crate) struct Caller {
    region: Region,
    ec2: Url,
    auto_scaling: Url,
    http: reqwest::Client,
    identity: Identity,
    timeout: std::time::Duration,
    patience: Patience,
    observer: Box<dyn Observer>,
}

/// A call that failed, with all that AWS said.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: Why,
    said: String,
}

impl From<Why> for Failed {
    fn from(why: Why) -> Self {
        Self { why, said: String::new() }
    }
}

impl Failed {
    /// AWS's words, if they are that ids are gone.
    pub(crate) fn gone(&self) -> Option<&str> {
        matches!(&self.why, Why::Refused { code, .. } if code == GONE).then_some(self.said.as_str())
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Caller");
        all.field("region", &self.region).field("ec2", &self.ec2.as_str());
        all.field("auto_scaling", &self.auto_scaling.as_str()).finish_non_exhaustive()
    }
}

impl Caller {
    pub(crate) async fn new(settings: Settings, observer: Box<dyn Observer>) -> Result<Self, SettingsError> {
        let http = http::client()?;
        let through = ThroughReqwest(http.clone());
        let config = configuration(&settings, &through).await;
        Ok(Self {
            region: settings.region.clone(),
            ec2: address(Service::Ec2, &settings, &config)?,
            auto_scaling: address(Service::AutoScaling, &settings, &config)?,
            http,
            timeout: settings.timeout,
            patience: settings.patience,
            identity: Identity::new(settings, through, &config),
            observer,
        })
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn error(&self, question: &Question, why: Why) -> Error {
        Error { api: question.api(), region: self.region.clone(), why }
    }

    /// A page, whole and read.
    pub(crate) async fn ask<T>(
        &self,
        question: &Question,
        page: Option<&str>,
        read: fn(&str) -> Result<Page<T>, WireError>,
    ) -> Result<Page<T>, Failed> {
        let form = question.form(page);
        let mut credentials = self.identity.credentials().await?;
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(question, &form, &credentials, read).await {
                Ok(page) => return Ok(page),
                Err(failed) => failed,
            };
            if failed.why.is_of_credentials() && !renewed {
                renewed = true;
                let Some(others) = self.identity.others(&credentials).await else { return Err(failed) };
                credentials = others;
                continue;
            }
            let named = if let Why::Throttled { after, .. } = &failed.why { *after } else { None };
            let pause = self.patience.pause(attempt, named, fastrand::f64());
            let Some(pause) = pause.filter(|_| failed.why.is_passing()) else { return Err(failed) };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<T>(
        &self,
        question: &Question,
        form: &str,
        credentials: &Credentials,
        read: fn(&str) -> Result<Page<T>, WireError>,
    ) -> Result<Page<T>, Failed> {
        let service = question.service();
        let url = match service {
            Service::Ec2 => &self.ec2,
            Service::AutoScaling => &self.auto_scaling,
        };
        let headers = http::signed(service, &self.region, url, form, credentials, self.identity.now())?;
        let begun = Instant::now();
        let answer = http::post(&self.http, url, headers, form.to_owned(), self.timeout).await;
        let end = match &answer {
            Ok(answer) => CallEnd::Status(answer.status),
            Err(why) => CallEnd::Failed(name(why)),
        };
        self.observer.on_call(Call { api: question.api(), end, took: begun.elapsed() });
        let Answer { status, after, body } = answer?;
        if status == 200 {
            return read(&body).map_err(|error| unreadable(&error, &body, url).into());
        }
        let refusal = wire::refusal(&body);
        let said = refusal.as_ref().map(|refusal| refusal.message.clone()).unwrap_or_default();
        Err(Failed { why: Why::refused(status, refusal, after, url), said })
    }
}

fn unreadable(error: &WireError, body: &str, url: &Url) -> Why {
    match error {
        WireError::Cut => Why::HalfAnswer { got: body.len() },
        WireError::NotXml(_) | WireError::Other { .. } => {
            Why::NotAws { what: error.to_string(), host: host(url) }
        }
        WireError::Missing { .. } => Why::Unexpected { what: error.to_string() },
    }
}

fn name(why: &Why) -> &'static str {
    match why {
        Why::Timeout { .. } => "timeout",
        Why::NoSuchHost { .. } => "dns",
        Why::Unreachable { .. } => "connect",
        _ => "broken",
    }
}

/// Where a service answers: the settings' word, then the environment's and the profile's for this service, then theirs for
/// all services, then AWS's own address.
fn address(service: Service, settings: &Settings, config: &SdkConfig) -> Result<Url, SettingsError> {
    if let Some(url) = &settings.endpoint {
        return checked(service, url.as_str(), "endpoint");
    }
    let key = ServiceConfigKey::builder()
        .service_id(service.id())
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    if let Some(given) = own.as_deref().or(config.endpoint_url()) {
        return checked(service, given, "AWS_ENDPOINT_URL, or endpoint_url of the profile");
    }
    let variant = Variant {
        fips: config.use_fips().unwrap_or_default(),
        dual_stack: config.use_dual_stack().unwrap_or_default(),
    };
    let host = service.host(&settings.region, variant);
    service.url(&settings.region, variant).ok_or_else(|| refused(service, &host, "region"))
}

fn checked(service: Service, given: &str, place: &'static str) -> Result<Url, SettingsError> {
    let url = Url::parse(given).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        plain && matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    });
    url.ok_or_else(|| refused(service, given, place))
}

/// Only what stands behind a user and before a query is shown: either may be a secret.
fn refused(service: Service, given: &str, place: &'static str) -> SettingsError {
    let behind_user = given.rsplit_once('@').map_or(given, |(_, rest)| rest);
    let before_query = behind_user.split(['?', '#']).next().unwrap_or_default();
    SettingsError::Endpoint { service: service.id(), given: crate::error::shown(before_query), place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_user_is_refused_without_its_password() {
        let error =
            checked(Service::Ec2, "https://me:hunter2@host/?token=x", "endpoint").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("token"), "{error}");
        for wrong in ["", "host:80", "ftp://host", "https://host/?a=b", "https://host/#a"] {
            assert!(checked(Service::Ec2, wrong, "endpoint").is_err(), "{wrong}");
        }
        assert!(checked(Service::Ec2, "http://127.0.0.1:5000/aws", "endpoint").is_ok());
    }
}
