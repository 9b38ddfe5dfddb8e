//! Where tokens come from: which way is taken, and the token that is kept until shortly before it expires.
//!
//! Invariant: a way that was found to work is kept; it never changes because of one bad answer.

mod choose;
mod cli;
mod entra;
mod error;
mod managed;
mod token;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::choose::{Candidates, Way};
use self::error::Absent;
pub use self::error::CredentialError;
use self::token::Token;
use crate::cloud::Cloud;
use crate::environment::Environment;
use crate::error::SettingsError;
use crate::http::{Http, Waited};

/// How to get tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CredentialKind {
    /// The first of the others that is there, in their order.
    #[default]
    Default,
    /// A service principal with a secret, from `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    Environment,
    /// A Kubernetes service account: `AZURE_FEDERATED_TOKEN_FILE` instead of the secret.
    WorkloadIdentity,
    /// The identity of the machine or the app that Roster runs on.
    ManagedIdentity,
    /// Whoever has logged in with `az login`.
    Cli,
}

/// Who answers for a managed identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdentitySource {
    /// The metadata service of a virtual machine.
    Metadata,
    /// The endpoint that App Service and its like put into the environment.
    AppService,
}

/// The way that was taken, to be logged once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Chosen {
    /// A service principal with a secret.
    Environment {
        /// Its client id.
        client: String,
    },
    /// A Kubernetes service account.
    WorkloadIdentity {
        /// The client id that it stands for.
        client: String,
    },
    /// A managed identity.
    ManagedIdentity {
        /// Who answers for it.
        source: IdentitySource,
        /// The one that the user assigned; none for the system's.
        client: Option<String>,
    },
    /// The Azure CLI.
    Cli,
}

/// Tokens for one cloud.
pub(crate) struct Credentials {
    http: Http,
    environment: Environment,
    client_id: Option<String>,
    authority: Url,
    audience: String,
    scope: String,
    kind: CredentialKind,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    way: Option<Way>,
    token: Option<Token>,
}

impl Credentials {
    pub(crate) fn new(
        http: Http,
        kind: CredentialKind,
        client_id: Option<String>,
        environment: Environment,
        cloud: &Cloud,
    ) -> Result<Self, SettingsError> {
        let authority = cloud.authority(environment.authority.as_deref())?;
        Ok(Self {
            http,
            client_id: client_id.or_else(|| environment.client.clone()),
            environment,
            authority,
            audience: cloud.audience().to_owned(),
            scope: cloud.scope(),
            kind,
            kept: Mutex::default(),
        })
    }

    /// The way that was taken, once there was a token.
    pub(crate) fn chosen(&self) -> Option<Chosen> {
        self.with(|kept| kept.way.as_ref().map(Way::chosen))
    }

    /// The token that is kept, or a new one some time before that one ends. While no new one is to be had, the one that
    /// is kept serves to its end.
    pub(crate) async fn token(&self, waited: &Waited) -> Result<SecretString, CredentialError> {
        let (way, kept) = self.with(|kept| (kept.way.clone(), kept.token.clone()));
        if let Some(token) = kept.as_ref().filter(|token| token.is_fresh(Instant::now())) {
            return Ok(token.secret.clone());
        }
        let outcome = match way {
            Some(way) => self.ask(&way, waited).await.map(|token| (way, token)).map_err(Absent::into_error),
            None => self.first(waited).await,
        };
        match (outcome, kept) {
            (Ok((way, token)), _) => {
                let secret = token.secret.clone();
                self.with(|kept| *kept = Kept { way: Some(way), token: Some(token) });
                Ok(secret)
            }
            (Err(_), Some(token)) if token.is_alive(Instant::now()) => Ok(token.secret),
            (Err(error), _) => Err(error),
        }
    }

    /// The server did not accept this token: the next call asks for another.
    pub(crate) fn forget(&self, refused: &SecretString) {
        self.with(|kept| {
            if kept
                .token
                .as_ref()
                .is_some_and(|token| token.secret.expose_secret() == refused.expose_secret())
            {
                kept.token = None;
            }
        });
    }

    /// Goes through what there is until one gives a token. Only a way that is not there at all is passed over: one that
    /// is there and fails is the one that was meant.
    async fn first(&self, waited: &Waited) -> Result<(Way, Token), CredentialError> {
        let Candidates { ways, mut passed } =
            choose::candidates(self.kind, &self.environment, self.client_id.as_deref())?;
        for way in ways {
            match self.ask(&way, waited).await {
                Ok(token) => return Ok((way, token)),
                Err(Absent::Failed(error)) => return Err(error),
                Err(Absent::NotThere(error)) if self.kind != CredentialKind::Default => return Err(error),
                Err(Absent::NotThere(error)) => passed.push(error.to_string()),
            }
        }
        Err(CredentialError::None { tried: passed })
    }

    async fn ask(&self, way: &Way, waited: &Waited) -> Result<Token, Absent> {
        match way {
            Way::Secret { tenant, client, secret } => {
                let proof = entra::Proof::Secret(secret.clone());
                entra::token(&self.http, waited, &self.authority, tenant, client, &self.scope, proof).await
            }
            Way::TokenFile { tenant, client, file } => {
                let proof = entra::Proof::read(file).await?;
                entra::token(&self.http, waited, &self.authority, tenant, client, &self.scope, proof).await
            }
            Way::Metadata { base, client } => {
                managed::metadata(&self.http, waited, base.as_deref(), &self.audience, client.as_deref())
                    .await
            }
            Way::AppService { endpoint, header, client } => {
                managed::app_service(&self.http, waited, endpoint, header, &self.audience, client.as_deref())
                    .await
            }
            Way::Cli { path } => cli::token(self.http.observer(), path.as_deref(), &self.audience).await,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::WorkloadIdentity => "workload_identity",
            Self::ManagedIdentity => "managed_identity",
            Self::Cli => "cli",
        })
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { client } => write!(f, "environment (client {client})"),
            Self::WorkloadIdentity { client } => write!(f, "workload_identity (client {client})"),
            Self::ManagedIdentity { source, client } => {
                let source = match source {
                    IdentitySource::Metadata => "metadata service",
                    IdentitySource::AppService => "IDENTITY_ENDPOINT",
                };
                write!(f, "managed_identity ({source}, {})", client.as_deref().unwrap_or("system-assigned"))
            }
            Self::Cli => f.write_str("cli"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use roster_testkit::{OrFail, dead_port};
    use serde_json::json;

    use super::token::Granted;
    use super::*;
    use crate::observe::Silent;
    use crate::retry::Patience;

    /// Credentials that were given a token of an hour so many seconds ago, and get no other.
    fn after(seconds: u64) -> Credentials {
        let patience = Patience { attempts: 1, ..Patience::default() };
        let http = Http::new(Duration::from_secs(5), patience, Arc::new(Silent), false).unwrap();
        let metadata = Some(format!("http://127.0.0.1:{}", dead_port().or_fail()));
        let environment = Environment { metadata, ..Environment::default() };
        let cloud = Cloud::at("http://127.0.0.1:1", None).unwrap();
        let kind = CredentialKind::ManagedIdentity;
        let credentials = Credentials::new(http, kind, None, environment.clone(), &cloud).unwrap();
        let asked = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let granted = json!({"access_token": "t", "expires_in": 3600});
        let granted: Granted = serde_json::from_value(granted).unwrap();
        let token = Some(granted.token(asked, jiff::Timestamp::now()));
        let way = Some(Way::Metadata { base: environment.metadata, client: None });
        credentials.with(|kept| *kept = Kept { way, token });
        credentials
    }

    #[tokio::test]
    async fn a_token_serves_to_its_end_while_no_other_is_to_be_had() {
        let waited = Waited::default();
        for seconds in [0, 3299, 3400] {
            let token = after(seconds).token(&waited).await.unwrap();
            assert_eq!(token.expose_secret(), "t", "{seconds}");
        }
        after(3601).token(&waited).await.unwrap_err();
        let forgotten = after(3400);
        forgotten.forget(&SecretString::from("t"));
        forgotten.token(&waited).await.unwrap_err();
    }
}
