//! The ways to credentials, one after the other.
//!
//! The order is that of AWS's own programs: the environment, the shared files, a web identity, the container, the machine. The
//! first way that is there decides: if it fails, none of the later ones is asked instead, so that no other identity is used by chance.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use roster_http::causes;

use super::process::Process;
use super::profile::{Base, chain};
use crate::error::{Why, shown_long};
use crate::settings::Settings;
use crate::shared::Shared;

/// What an overlaid profile calls the program of a profile.
const PROCESS: &str = "roster-credential-process";
/// A way that AWS's own command line can open to programs that do not know it.
const EXPORT: &str = "aws configure export-credentials --format process --profile";

/// The ways that there are.
#[derive(Debug)]
pub(super) struct Chain(Vec<Way>);

/// Credentials, and their principal in words.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) credentials: Credentials,
    pub(super) principal: String,
}

/// One way to credentials.
#[derive(Debug)]
struct Way {
    provider: Provider,
    /// Whose they are, without the key.
    principal: Principal,
    /// Added to why it failed.
    hint: String,
}

#[derive(Debug)]
enum Provider {
    Ask(SharedCredentialsProvider),
    /// It cannot be asked.
    Refused(Why),
}

#[derive(Debug)]
enum Principal {
    /// What is asked as has no name but its key's.
    Key(String),
    Named(String),
    /// The name is learned while asking.
    Learned(Learned, String),
}

/// A name that is learned from the calls of a provider.
pub(crate) type Learned = Arc<Mutex<Option<String>>>;

impl Chain {
    /// `direct` asks what is on the machine itself, without a proxy; its client learns the name of the machine's role.
    pub(super) fn new(
        settings: &Settings,
        shared: &Shared,
        outside: &ProviderConfig,
        direct: &ProviderConfig,
        role: &Learned,
    ) -> Self {
        let environment = &settings.environment;
        let mut ways = Vec::new();
        let by_name = matches!(settings.credentials, crate::settings::Credentials::Profile(_));
        if !by_name && (environment.has("AWS_ACCESS_KEY_ID") || environment.has("AWS_SECRET_ACCESS_KEY")) {
            ways.push(of_environment(settings));
        }
        if let Some(way) = of_profile(shared, outside, direct, by_name, settings.timeout) {
            ways.push(way);
        }
        if by_name {
            return Self(ways);
        }
        if environment.has("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let provider = WebIdentityTokenCredentialsProvider::builder().configure(outside).build();
            let role = environment.text("AWS_ROLE_ARN").unwrap_or("that AWS_ROLE_ARN should name");
            ways.push(Way::new(provider, Principal::Named(format!("role {role}, by web identity"))));
        }
        let of_container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if let Some(variable) = of_container.into_iter().find(|variable| environment.has(variable)) {
            let provider = EcsCredentialsProvider::builder().configure(direct).build();
            ways.push(Way::new(
                provider,
                Principal::Named(format!("the role of the container ({variable})")),
            ));
        }
        if !environment.says("AWS_EC2_METADATA_DISABLED") {
            let provider = ImdsCredentialsProvider::builder().configure(direct).build();
            let told = "of this machine, by the instance metadata service".to_owned();
            ways.push(Way::new(provider, Principal::Learned(Arc::clone(role), told)));
        }
        Self(ways)
    }

    /// What the first way that is there gives.
    pub(super) async fn find(&self) -> Result<Found, Why> {
        let mut missing = Vec::new();
        for way in &self.0 {
            let provider = match &way.provider {
                Provider::Ask(provider) => provider,
                Provider::Refused(why) => return Err(why.clone()),
            };
            match provider.provide_credentials().await {
                Ok(credentials) => {
                    let principal = way.principal.shown(&credentials);
                    return super::key::checked(&credentials, &principal)
                        .map(|()| Found { credentials, principal });
                }
                Err(CredentialsError::CredentialsNotLoaded(context)) => {
                    missing.push(
                        format!(
                            "{}{}",
                            way.principal.place(),
                            causes(&CredentialsError::CredentialsNotLoaded(context))
                        ) + &way.hint,
                    );
                }
                Err(error @ CredentialsError::InvalidConfiguration(_)) => {
                    return Err(Why::NoCredentials(way.failed(&error)));
                }
                Err(error) => return Err(Why::CredentialsFailed(way.failed(&error))),
            }
        }
        if missing.is_empty() {
            missing.push("no variable, shared file, container or metadata service has any".to_owned());
        }
        Err(Why::NoCredentials(shown_long(&missing.join("; "))))
    }
}

impl Way {
    fn new(provider: impl ProvideCredentials + 'static, principal: Principal) -> Self {
        Self {
            provider: Provider::Ask(SharedCredentialsProvider::new(provider)),
            principal,
            hint: String::new(),
        }
    }

    fn failed(&self, error: &CredentialsError) -> String {
        shown_long(&format!("{}{}{}", self.principal.place(), causes(error), self.hint))
    }
}

impl Principal {
    fn shown(&self, credentials: &Credentials) -> String {
        match self {
            // A session's key is another one each time, though the principal is the same.
            Self::Key(place) if credentials.session_token().is_some() => format!("a session {place}"),
            Self::Key(place) => format!("access key {} {place}", credentials.access_key_id()),
            Self::Named(name) => name.clone(),
            Self::Learned(role, place) => {
                let role = role.lock().unwrap_or_else(PoisonError::into_inner);
                format!("role {} {place}", role.as_deref().unwrap_or_default())
            }
        }
    }

    /// Where it was looked, before what was wrong there.
    fn place(&self) -> String {
        match self {
            Self::Key(place) => format!("{}: ", place.trim_start_matches("of ").trim_start_matches("from ")),
            Self::Named(name) => format!("{name}: "),
            Self::Learned(..) => "the instance metadata service: ".to_owned(),
        }
    }
}

fn of_environment(settings: &Settings) -> Way {
    let way = Way::new(
        EnvironmentVariableCredentialsProvider::new(),
        Principal::Key("of the environment".to_owned()),
    );
    let halves = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let Some(missing) = halves.into_iter().find(|half| !settings.environment.has(half)) else { return way };
    let [one, two] = halves;
    let set = if missing == one { two } else { one };
    let why = Why::NoCredentials(format!("{set} is set and {missing} is not"));
    Way { provider: Provider::Refused(why), ..way }
}

/// None if nothing is said of a profile and there is no `default`.
fn of_profile(
    shared: &Shared,
    config: &ProviderConfig,
    direct: &ProviderConfig,
    by_name: bool,
    limit: Duration,
) -> Option<Way> {
    let name = shared.named.as_deref().unwrap_or("default");
    let wanted = by_name || shared.named.is_some();
    let profiles = match &shared.profiles {
        Ok(profiles) => profiles,
        Err(why) => {
            let why = Why::NoCredentials(shown_long(&format!("the shared files cannot be read: {why}")));
            return Some(Way {
                provider: Provider::Refused(why),
                principal: Principal::Named(String::new()),
                hint: String::new(),
            });
        }
    };
    if profiles.get_profile(name).is_none() && !wanted {
        return None;
    }
    let found = chain(profiles, name);
    let mut builder = ProfileFileCredentialsProvider::builder()
        .configure(config)
        .profile_name(name)
        .with_custom_provider(
            "Ec2InstanceMetadata",
            ImdsCredentialsProvider::builder().configure(direct).build(),
        )
        .with_custom_provider("EcsContainer", EcsCredentialsProvider::builder().configure(direct).build());
    if let Base::Process { profile, command } = &found.base {
        // The library's own way to run a program leaves the program behind when it takes too long.
        let overlay = format!("[{profile}]\ncredential_source = {PROCESS}\n");
        let files = EnvConfigFiles::builder()
            .include_default_config_file(true)
            .include_default_credentials_file(true);
        builder = builder
            .profile_files(files.with_contents(EnvConfigFileKind::Credentials, overlay).build())
            .with_custom_provider(
                PROCESS,
                Process { profile: profile.clone(), command: command.clone(), limit },
            );
    }
    let mut way = Way::new(builder.build(), principal(name, &found.base, found.role.as_deref()));
    if let Some(why) = refused(&found.base, found.mfa.as_deref()) {
        way.provider = Provider::Refused(why);
    }
    if let Base::Sso { profile, .. } = &found.base {
        way.hint = format!("; log in by `aws sso login --profile {profile}`");
    }
    Some(way)
}

fn principal(name: &str, base: &Base, role: Option<&str>) -> Principal {
    match (base, role) {
        (_, Some(role)) => Principal::Named(format!("role {role}, by profile {name:?}")),
        (Base::Sso { role, .. }, None) => {
            Principal::Named(format!("role {role}, by SSO of profile {name:?}"))
        }
        (Base::WebIdentity { role }, None) => {
            Principal::Named(format!("role {role}, by web identity of profile {name:?}"))
        }
        (Base::Process { .. }, None) => {
            Principal::Key(format!("from the credential_process of profile {name:?}"))
        }
        _ => Principal::Key(format!("of profile {name:?}")),
    }
}

/// Ways that Roster cannot go.
fn refused(base: &Base, mfa: Option<&str>) -> Option<Why> {
    if let Base::Login(profile) = base {
        let what = format!("profile {profile:?} has login_session, which `aws login` makes");
        return Some(Why::UnknownWay {
            what,
            instead: format!("give it credential_process = {EXPORT} with a profile that has logged in"),
        });
    }
    mfa.map(|profile| Why::UnknownWay {
        what: format!("profile {profile:?} has mfa_serial, so a person must type a code"),
        instead: "take a role that needs none, or a credential_process that asks for the code".to_owned(),
    })
}
