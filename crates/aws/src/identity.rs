//! Who asks: credentials by AWS's own rules, kept until shortly before they end.
//!
//! Invariants: credentials that were refused are never used again unless they are all there is; what gives credentials
//! may be away as long as those in hand are good; no lock is held while something is awaited.

use std::error::Error as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::time::SharedTimeSource;
use secrecy::ExposeSecret;

use crate::error::{Why, shown};
use crate::settings::{self, Settings};
use crate::smithy::ThroughReqwest;

/// Renewed this long before their end.
const EARLY: Duration = Duration::from_secs(300);
/// Looked up again after this long if they name no end: a file may have been changed.
const KEPT: Duration = Duration::from_secs(900);

/// Credentials, and where more come from.
#[derive(Debug)]
pub(crate) struct Identity {
    client: ThroughReqwest,
    settings: Settings,
    clock: SharedTimeSource,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    provider: Option<SharedCredentialsProvider>,
    kept: Option<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    credentials: Credentials,
    renew: SystemTime,
}

/// AWS's configuration of this process for the settings: environment and shared files, with the profile that is named.
pub(crate) async fn configuration(settings: &Settings, client: &ThroughReqwest) -> SdkConfig {
    let region = aws_config::Region::new(settings.region.as_str().to_owned());
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(client.clone());
    match &settings.credentials {
        settings::Credentials::Chain => loader,
        settings::Credentials::Profile(name) => {
            // The chain would put the environment before a profile that somebody named on purpose.
            let config = ProviderConfig::without_region()
                .with_region(Some(region))
                .with_http_client(client.clone())
                .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new());
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&config)
                .profile_name(name.clone())
                .build();
            loader.profile_name(name.clone()).credentials_provider(provider)
        }
        settings::Credentials::Keys { id, secret, session } => {
            let session = session.as_ref().map(|session| session.expose_secret().to_owned());
            let keys = Credentials::new(id, secret.expose_secret(), session, None, "settings");
            loader.credentials_provider(keys)
        }
    }
    .load()
    .await
}

impl Identity {
    pub(crate) fn new(settings: Settings, client: ThroughReqwest, config: &SdkConfig) -> Self {
        let state = State { provider: config.credentials_provider(), kept: None };
        Self { client, settings, clock: config.time_source().unwrap_or_default(), state: Mutex::new(state) }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Credentials that are good for now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Why> {
        let now = self.now();
        let kept = self.state().kept.clone();
        if let Some(kept) = kept.as_ref().filter(|kept| now < kept.renew) {
            return Ok(kept.credentials.clone());
        }
        match self.load(now).await {
            Ok(credentials) => Ok(credentials),
            Err(why) => {
                // The next try is to read the files anew.
                self.state().provider = None;
                let good = kept.filter(|kept| kept.credentials.expiry().is_none_or(|end| now < end));
                good.map(|kept| kept.credentials).ok_or(why)
            }
        }
    }

    /// Others than those that AWS refused, if there are.
    pub(crate) async fn others(&self, refused: &Credentials) -> Option<Credentials> {
        *self.state() = State::default();
        let found = self.load(self.now()).await.ok()?;
        let same = found.access_key_id() == refused.access_key_id()
            && found.secret_access_key() == refused.secret_access_key()
            && found.session_token() == refused.session_token();
        (!same).then_some(found)
    }

    async fn load(&self, now: SystemTime) -> Result<Credentials, Why> {
        let found = tokio::time::timeout(self.settings.timeout, async {
            let provider = self.provider().await?;
            provider.provide_credentials().await.map_err(|error| failed(&error, &self.settings.credentials))
        });
        let late =
            |_| Why::CredentialsFailed(format!("none within {} s", self.settings.timeout.as_secs_f64()));
        let credentials = found.await.map_err(late)??;
        let renew = credentials.expiry().map_or(now + KEPT, |end| end.checked_sub(EARLY).unwrap_or(now));
        self.state().kept = Some(Kept { credentials: credentials.clone(), renew });
        Ok(credentials)
    }

    async fn provider(&self) -> Result<SharedCredentialsProvider, Why> {
        let known = self.state().provider.clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let config = configuration(&self.settings, &self.client).await;
        let provider =
            config.credentials_provider().ok_or(Why::NoCredentials("nothing gives any".to_owned()))?;
        self.state().provider = Some(provider.clone());
        Ok(provider)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: &CredentialsError, from: &settings::Credentials) -> Why {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    let told = causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"));
    let told = match from {
        settings::Credentials::Profile(name) => format!("profile {name:?}: {told}"),
        settings::Credentials::Chain | settings::Credentials::Keys { .. } => told,
    };
    match error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Why::NoCredentials(shown(&told))
        }
        _ => Why::CredentialsFailed(shown(&told)),
    }
}
