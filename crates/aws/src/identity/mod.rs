//! Credentials by AWS's own rules, kept until shortly before they end, and the principal that they are of.
//!
//! Invariants: credentials that were refused are never used again unless they are all there is; what gives credentials
//! may be away as long as those in hand are good; no lock is held while something is awaited.

mod chain;
mod kept;
mod key;
mod process;
mod profile;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_smithy_async::time::SharedTimeSource;
use secrecy::ExposeSecret;

pub(crate) use chain::Learned;
use chain::{Chain, Found};
use kept::Kept;

use crate::error::Why;
use crate::settings::{self, Observer, Settings};
use crate::shared::Shared;
use crate::smithy::ThroughReqwest;

/// Added to the limit, so that a way that keeps the limit itself says what took so long.
const GRACE: Duration = Duration::from_secs(1);

/// Credentials, and where more come from.
pub(crate) struct Identity {
    source: Source,
    timeout: Duration,
    clock: SharedTimeSource,
    observer: Arc<dyn Observer>,
    /// The principal that was last reported to the observer.
    reported: Arc<Mutex<Option<String>>>,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
enum Source {
    /// These, whatever the machine says.
    Keys(Credentials),
    /// The first way that is there. It is made anew after each failure, for the library keeps what it has read.
    Chain { make: Box<Ways>, made: Mutex<Option<Arc<Chain>>> },
}

/// What the ways are made of.
#[derive(Debug)]
struct Ways {
    settings: Arc<Settings>,
    shared: Shared,
    outside: ProviderConfig,
    direct: ProviderConfig,
    role: Learned,
}

/// The clients that ask for credentials.
#[derive(Clone, Debug)]
pub(crate) struct CredentialClients {
    /// For STS and SSO.
    pub(crate) outside: ThroughReqwest,
    /// For what is on the machine itself.
    pub(crate) direct: ThroughReqwest,
    /// The name of the machine's role, once its credentials were asked for.
    pub(crate) role: Learned,
}

impl Identity {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        shared: &Shared,
        clients: CredentialClients,
        observer: Arc<dyn Observer>,
        reported: Arc<Mutex<Option<String>>>,
    ) -> Self {
        let config = |client: ThroughReqwest| {
            ProviderConfig::without_region()
                .with_region(Some(aws_config::Region::new(settings.region.as_str().to_owned())))
                .with_http_client(client)
                .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        };
        let source = match &settings.credentials {
            settings::Credentials::Keys { id, secret, session } => {
                let session = session.as_ref().map(|session| session.expose_secret().to_owned());
                Source::Keys(Credentials::new(id, secret.expose_secret(), session, None, "settings"))
            }
            settings::Credentials::Chain | settings::Credentials::Profile(_) => {
                let make = Ways {
                    settings: Arc::clone(settings),
                    shared: shared.clone(),
                    outside: config(clients.outside),
                    direct: config(clients.direct),
                    role: clients.role,
                };
                Source::Chain { make: Box::new(make), made: Mutex::default() }
            }
        };
        Self {
            source,
            timeout: settings.timeout,
            clock: SharedTimeSource::default(),
            observer,
            reported,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The principal, once credentials were found.
    pub(crate) fn principal(&self) -> Option<String> {
        lock(&self.reported).clone()
    }

    /// Credentials that are good for now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Why> {
        let now = Instant::now();
        let kept = lock(&self.kept).clone();
        if let Some(fresh) = kept.as_ref().and_then(|kept| kept.fresh(now)) {
            return Ok(fresh.clone());
        }
        match self.load().await {
            Ok(credentials) => Ok(credentials),
            Err(why) => {
                self.source.forget();
                kept.as_ref().and_then(|kept| kept.alive(now)).cloned().ok_or(why)
            }
        }
    }

    /// Others than those that AWS refused, if there are.
    pub(crate) async fn others(&self, refused: &Credentials) -> Option<Credentials> {
        self.source.forget();
        *lock(&self.kept) = None;
        let found = self.load().await.ok()?;
        let same = found.access_key_id() == refused.access_key_id()
            && found.secret_access_key() == refused.secret_access_key()
            && found.session_token() == refused.session_token();
        (!same).then_some(found)
    }

    async fn load(&self) -> Result<Credentials, Why> {
        let late = |_| Why::CredentialsFailed(format!("none within {} s", self.timeout.as_secs_f64()));
        let found = tokio::time::timeout(self.timeout + GRACE, self.source.find()).await.map_err(late)??;
        let Found { credentials, principal } = found;
        self.report(&principal);
        *lock(&self.kept) = Some(Kept::new(credentials.clone(), self.now(), Instant::now()));
        Ok(credentials)
    }

    /// Reports the principal, if it is another one than before.
    fn report(&self, principal: &str) {
        let news = {
            let mut reported = lock(&self.reported);
            let news = reported.as_deref() != Some(principal);
            *reported = Some(principal.to_owned());
            news
        };
        if news {
            self.observer.on_principal(principal);
        }
    }
}

impl Source {
    async fn find(&self) -> Result<Found, Why> {
        match self {
            Self::Keys(keys) => {
                let principal = format!("access key {}", keys.access_key_id());
                key::checked(keys, &principal).map(|()| Found { credentials: keys.clone(), principal })
            }
            Self::Chain { make, made } => {
                let chain = Arc::clone(lock(made).get_or_insert_with(|| Arc::new(make.chain())));
                chain.find().await
            }
        }
    }

    /// The next try reads the files anew.
    fn forget(&self) {
        if let Self::Chain { made, .. } = self {
            *lock(made) = None;
        }
    }
}

impl Ways {
    fn chain(&self) -> Chain {
        Chain::new(&self.settings, &self.shared, &self.outside, &self.direct, &self.role)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("principal", &self.principal()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
