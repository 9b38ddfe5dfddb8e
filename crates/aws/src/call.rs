//! One question for one page, with as many attempts as it is worth.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use reqwest::Url;
use roster_http::{Proxies, Trust};

use crate::endpoint::address;
use crate::error::{Error, SettingsError, Why, host};
use crate::http::{self, Answer, Http};
use crate::identity::{CredentialClients, Identity};
use crate::question::Question;
use crate::region::{Region, Service};
use crate::settings::{Call, CallEnd, Observer, Patience, Settings};
use crate::shared::{self, Shared, Stamp};
use crate::smithy::ThroughReqwest;
use crate::wire::{self, Page, WireError};

/// What a chunk of ids is refused with when EC2 has forgotten some of them (EC2's "Error codes").
const GONE: &str = "InvalidInstanceID.NotFound";

/// Both services of one region, and the identity that they are asked as.
pub(crate) struct Caller {
    region: Region,
    ec2: Url,
    auto_scaling: Url,
    http: Http,
    identity: Identity,
    patience: Patience,
    observer: Arc<dyn Observer>,
    /// The files that all of this was read from.
    files: Stamp,
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
    /// Reads the environment's and the shared files' word. `reported` is the principal that was last reported.
    pub(crate) async fn new(
        settings: &Arc<Settings>,
        observer: Arc<dyn Observer>,
        reported: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, SettingsError> {
        let environment = &settings.environment;
        let mut files = shared::paths(environment).to_vec();
        let before = Stamp::of(files.clone());
        shared::check(environment).await?;
        let shared = Shared::read(settings).await;
        let bundle = environment.bundle(shared.get("ca_bundle"));
        let trust = match bundle {
            Some(bundle) => {
                files.push(bundle.path.clone());
                Trust::Only(bundle)
            }
            None => Trust::System,
        };
        let http = Http::new(&trust, environment.proxies.clone()?, settings.timeout)?;
        // What is on the machine itself needs neither.
        let direct = Http::new(&Trust::Nobody, Proxies::default(), settings.timeout)?;
        let outside = ThroughReqwest { client: http.client.clone(), role: None };
        let role = Arc::default();
        let direct = ThroughReqwest { client: direct.client, role: Some(Arc::clone(&role)) };
        let config = configuration(settings, &outside, &shared).await;
        let identity = Identity::new(
            settings,
            &shared,
            CredentialClients { outside, direct, role },
            Arc::clone(&observer),
            reported,
        );
        // A file that was changed while it was read is read again at the next listing.
        let files = if before.is_old() { before } else { Stamp::of(files) };
        Ok(Self {
            region: settings.region.clone(),
            ec2: address(Service::Ec2, settings, &shared, &config)?,
            auto_scaling: address(Service::AutoScaling, settings, &shared, &config)?,
            http,
            identity,
            patience: settings.patience,
            observer,
            files,
        })
    }

    /// Whether a file has changed from which this was made.
    pub(crate) fn is_old(&self) -> bool {
        self.files.is_old()
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn error(&self, question: &Question, why: Why) -> Error {
        Error {
            api: question.api(),
            region: self.region.clone(),
            principal: self.identity.principal(),
            why: Box::new(why),
        }
    }

    /// A page, whole and read, and how many bytes it had.
    pub(crate) async fn ask<T>(
        &self,
        question: &Question,
        page: Option<&str>,
        read: &impl Fn(&str) -> Result<Page<T>, WireError>,
    ) -> Result<(Page<T>, usize), Failed> {
        let form = question.form(page);
        let mut credentials = self.identity.credentials().await?;
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(question, &form, &credentials, read).await {
                Ok(answer) => return Ok(answer),
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
        read: &impl Fn(&str) -> Result<Page<T>, WireError>,
    ) -> Result<(Page<T>, usize), Failed> {
        let service = question.service();
        let url = match service {
            Service::Ec2 => &self.ec2,
            Service::AutoScaling => &self.auto_scaling,
        };
        let headers = http::signed(service, &self.region, url, form, credentials, self.identity.now())?;
        let begun = Instant::now();
        let answer = self.http.post(url, headers, form.to_owned()).await;
        let end = match &answer {
            Ok(answer) => CallEnd::Status(answer.status),
            Err(why) => CallEnd::Failed(name(why)),
        };
        self.observer.on_call(Call { api: question.api(), end, took: begun.elapsed() });
        let Answer { status, after, date, body } = answer?;
        if status == 200 {
            let page = read(&body).map_err(|error| Failed::from(unreadable(&error, &body, url)))?;
            return Ok((page, body.len()));
        }
        let off = http::ahead(self.identity.now(), date);
        let refusal = wire::refusal(&body);
        let said = refusal.as_ref().map(|refusal| refusal.message.clone()).unwrap_or_default();
        Err(Failed { why: Why::refused(status, refusal, after, off, url), said })
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
        Why::Unreachable { .. } | Why::Proxy { .. } | Why::Certificate { .. } => "connect",
        _ => "broken",
    }
}

/// AWS's configuration of this process for the settings: environment and shared files, with the profile that is named.
async fn configuration(settings: &Settings, client: &ThroughReqwest, shared: &Shared) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new(settings.region.as_str().to_owned()))
        .no_credentials()
        .http_client(client.clone());
    match &shared.named {
        Some(name) => loader.profile_name(name.clone()),
        None => loader,
    }
    .load()
    .await
}
