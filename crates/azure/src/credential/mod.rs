//! Where tokens come from: which way is taken, and the token that is kept until shortly before it expires.
//!
//! Invariants:
//! - Whenever a token is needed, the ways are gone through from the first one, so that what was taken for want of a better
//!   one does not last.
//! - Only a way that is not there at all is passed over, and never one that has worked before: no bad answer turns one
//!   identity into another.

mod choose;
mod chosen;
mod cli;
mod entra;
mod error;
mod managed;
mod text;
mod token;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::choose::{Candidates, Given, Way};
pub use self::chosen::{Chosen, IdentitySource};
use self::error::Absent;
pub use self::error::CredentialError;
use self::token::Token;
use crate::cloud::Cloud;
use crate::environment::Environment;
use crate::error::SettingsError;
use crate::http::{Http, Spent};

/// How long a connection to the metadata service may take where there is another way: without such a service nothing
/// answers at its address.
const THERE: Duration = Duration::from_secs(2);

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
    /// The user of `az login`.
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
    /// Which of the ways gave the last token, counted from the first.
    way: Option<usize>,
    token: Option<Token>,
    chosen: Option<Chosen>,
}

impl CredentialKind {
    /// How long a connection to the metadata service may take, if a call may take so long.
    pub(crate) fn near(self, timeout: Duration) -> Duration {
        if self == Self::Default { THERE } else { timeout }
    }
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
        let (audience, scope) = (cloud.audience().to_owned(), cloud.scope());
        let kept = Mutex::default();
        Ok(Self { http, environment, client_id, authority, audience, scope, kind, kept })
    }

    /// The identity of the last token. None before the first one.
    pub(crate) fn chosen(&self) -> Option<Chosen> {
        self.with(|kept| kept.chosen.clone())
    }

    /// The token that is kept, or a new one some time before that one ends. While no new one is to be had, the one that
    /// is kept serves to its end.
    pub(crate) async fn token(&self, spent: &Spent) -> Result<SecretString, CredentialError> {
        let (way, kept) = self.with(|kept| (kept.way, kept.token.clone()));
        if let Some(token) = kept.as_ref().filter(|token| token.is_fresh(Instant::now())) {
            return Ok(token.secret.clone());
        }
        match (self.first(way, spent).await, kept) {
            (Ok((way, chosen, token)), _) => {
                let secret = token.secret.clone();
                self.with(|kept| *kept = Kept { way: Some(way), token: Some(token), chosen: Some(chosen) });
                Ok(secret)
            }
            (Err(_), Some(token)) if token.is_alive(Instant::now()) => Ok(token.secret),
            (Err(error), _) => Err(error),
        }
    }

    /// The server did not accept this token: the next call asks for another.
    pub(crate) fn forget(&self, refused: &SecretString) {
        let is_it = |token: &Token| token.secret.expose_secret() == refused.expose_secret();
        self.with(|kept| {
            kept.token.take_if(|token| is_it(token));
        });
    }

    /// Goes through what there is until one gives a token. `before` is the way that gave the last one.
    async fn first(
        &self,
        before: Option<usize>,
        spent: &Spent,
    ) -> Result<(usize, Chosen, Token), CredentialError> {
        let given = Given { environment: &self.environment, client_id: self.client_id.as_deref() };
        let Candidates { ways, mut passed } = choose::candidates(self.kind, given)?;
        for (at, way) in ways.iter().enumerate() {
            let is_last = self.kind != CredentialKind::Default || before == Some(at);
            match self.ask(way, !is_last, spent).await {
                Ok(token) => return Ok((at, way.chosen(token.client.as_deref()), token)),
                Err(Absent::NotThere(error)) if !is_last => passed.push(error.to_string()),
                Err(Absent::NotThere(error) | Absent::Failed(error)) => return Err(error),
            }
        }
        Err(CredentialError::None { tried: passed })
    }

    async fn ask(&self, way: &Way, passing_over: bool, spent: &Spent) -> Result<Token, Absent> {
        let Self { http, authority, audience, scope, .. } = self;
        match way {
            Way::Secret { tenant, client, secret } => {
                let proof = entra::Proof::Secret(secret.clone());
                entra::token(http, spent, authority, tenant, client, scope, proof).await
            }
            Way::TokenFile { tenant, client, file } => {
                let proof = entra::Proof::read(file).await?;
                entra::token(http, spent, authority, tenant, client, scope, proof).await
            }
            Way::Metadata { base, client } => {
                managed::metadata(http, spent, base.as_deref(), audience, client.as_ref(), passing_over).await
            }
            Way::AppService { endpoint, header, client } => {
                managed::app_service(http, spent, endpoint, header, audience, client.as_ref()).await
            }
            Way::Cli { path } => cli::token(http.observer(), path.as_deref(), audience, http.timeout()).await,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roster_testkit::{OrFail, dead_port};
    use serde_json::json;

    use super::token::Granted;
    use super::*;
    use crate::http::Common;
    use crate::observe::Silent;
    use crate::outbound::Outbound;
    use crate::retry::Patience;

    /// Credentials that were given a token of an hour so many seconds ago, and get no other.
    fn after(seconds: u64) -> Credentials {
        let patience = Patience { attempts: 1, ..Patience::default() };
        let timeout = Duration::from_secs(5);
        let common = Common { timeout, near: timeout, patience, observer: Arc::new(Silent) };
        let http = Http::new(common, &Outbound::default(), false).unwrap();
        let metadata = Some(format!("http://127.0.0.1:{}", dead_port().or_fail()));
        let environment = Environment { metadata, ..Environment::default() };
        let cloud = Cloud::at("http://127.0.0.1:1", None).unwrap();
        let kind = CredentialKind::ManagedIdentity;
        let credentials = Credentials::new(http, kind, None, environment, &cloud).unwrap();
        let asked = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let granted = json!({"access_token": "t", "expires_in": 3600});
        let granted: Granted = serde_json::from_value(granted).unwrap();
        let token = Some(granted.token(asked, roster_clock::wall()).unwrap());
        credentials.with(|kept| *kept = Kept { way: Some(0), token, chosen: None });
        credentials
    }

    #[tokio::test]
    async fn a_token_serves_to_its_end_while_no_other_is_to_be_had() {
        let spent = Spent::new();
        for seconds in [0, 3299, 3400] {
            let token = after(seconds).token(&spent).await.unwrap();
            assert_eq!(token.expose_secret(), "t", "{seconds}");
        }
        after(3601).token(&spent).await.unwrap_err();
        let forgotten = after(3400);
        forgotten.forget(&SecretString::from("t"));
        forgotten.token(&spent).await.unwrap_err();
    }
}
