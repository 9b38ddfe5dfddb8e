//! Which ways there are, from the environment alone. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::SecretString;

use super::{Chosen, CredentialError, CredentialKind, IdentitySource};
use crate::environment::Environment;

/// One way to get a token, with all that it needs.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Secret { tenant: String, client: String, secret: SecretString },
    TokenFile { tenant: String, client: String, file: PathBuf },
    Metadata { base: Option<String>, client: Option<String> },
    AppService { endpoint: String, header: SecretString, client: Option<String> },
    Cli { path: Option<OsString> },
}

/// What to try, in this order, and why the others are not tried.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) ways: Vec<Way>,
    pub(super) passed: Vec<String>,
}

impl Way {
    pub(super) fn chosen(&self) -> Chosen {
        match self {
            Self::Secret { client, .. } => Chosen::Environment { client: client.clone() },
            Self::TokenFile { client, .. } => Chosen::WorkloadIdentity { client: client.clone() },
            Self::Metadata { client, .. } => {
                Chosen::ManagedIdentity { source: IdentitySource::Metadata, client: client.clone() }
            }
            Self::AppService { client, .. } => {
                Chosen::ManagedIdentity { source: IdentitySource::AppService, client: client.clone() }
            }
            Self::Cli { .. } => Chosen::Cli,
        }
    }
}

/// The ways of this kind. By default the first that the environment speaks for, or else the machine's identity and then
/// the CLI.
pub(super) fn candidates(
    kind: CredentialKind,
    environment: &Environment,
    client: Option<&str>,
) -> Result<Candidates, CredentialError> {
    let only = |way| Ok(Candidates { ways: vec![way], passed: Vec::new() });
    match kind {
        CredentialKind::Environment => only(secret(environment, client)?),
        CredentialKind::WorkloadIdentity => only(token_file(environment, client)?),
        CredentialKind::ManagedIdentity => only(managed(environment, client)),
        CredentialKind::Cli => only(cli(environment)),
        CredentialKind::Default => {
            let mut found = Candidates::default();
            for way in [secret(environment, client), token_file(environment, client)] {
                match way {
                    Ok(way) => return Ok(Candidates { ways: vec![way], ..found }),
                    Err(error) => found.passed.push(error.to_string()),
                }
            }
            found.ways.push(managed(environment, client));
            if environment.identity_endpoint.is_none() {
                found.ways.push(cli(environment));
            }
            Ok(found)
        }
    }
}

fn secret(environment: &Environment, client: Option<&str>) -> Result<Way, CredentialError> {
    match (&environment.tenant, client, &environment.secret) {
        (Some(tenant), Some(client), Some(secret)) => {
            Ok(Way::Secret { tenant: tenant.clone(), client: client.to_owned(), secret: secret.clone() })
        }
        (tenant, client, secret) => Err(missing(
            CredentialKind::Environment,
            [
                ("AZURE_TENANT_ID", tenant.is_some()),
                ("AZURE_CLIENT_ID", client.is_some()),
                ("AZURE_CLIENT_SECRET", secret.is_some()),
            ],
        )),
    }
}

fn token_file(environment: &Environment, client: Option<&str>) -> Result<Way, CredentialError> {
    match (&environment.tenant, client, &environment.token_file) {
        (Some(tenant), Some(client), Some(file)) => {
            Ok(Way::TokenFile { tenant: tenant.clone(), client: client.to_owned(), file: file.clone() })
        }
        (tenant, client, file) => Err(missing(
            CredentialKind::WorkloadIdentity,
            [
                ("AZURE_TENANT_ID", tenant.is_some()),
                ("AZURE_CLIENT_ID", client.is_some()),
                ("AZURE_FEDERATED_TOKEN_FILE", file.is_some()),
            ],
        )),
    }
}

fn managed(environment: &Environment, client: Option<&str>) -> Way {
    let client = client.map(str::to_owned);
    match (&environment.identity_endpoint, &environment.identity_header) {
        (Some(endpoint), header) => {
            Way::AppService { endpoint: endpoint.clone(), header: header.clone().unwrap_or_default(), client }
        }
        (None, _) => Way::Metadata { base: environment.metadata.clone(), client },
    }
}

fn cli(environment: &Environment) -> Way {
    Way::Cli { path: environment.path.clone() }
}

fn missing(kind: CredentialKind, variables: [(&'static str, bool); 3]) -> CredentialError {
    let missing = variables.into_iter().filter(|(_, set)| !set).map(|(name, _)| name).collect();
    CredentialError::Missing { kind, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(environment: &Environment) -> Vec<Chosen> {
        let client = environment.client.as_deref();
        candidates(CredentialKind::Default, environment, client)
            .unwrap()
            .ways
            .iter()
            .map(Way::chosen)
            .collect()
    }

    fn principal() -> Environment {
        Environment { tenant: Some("t".into()), client: Some("c".into()), ..Environment::default() }
    }

    #[test]
    fn by_default_a_secret_comes_before_a_service_account_and_that_before_the_machine() {
        let secret = Environment { secret: Some("s".into()), token_file: Some("/f".into()), ..principal() };
        assert_eq!(found(&secret), [Chosen::Environment { client: "c".into() }]);
        let account = Environment { token_file: Some("/f".into()), ..principal() };
        assert_eq!(found(&account), [Chosen::WorkloadIdentity { client: "c".into() }]);
        let machine = Chosen::ManagedIdentity { source: IdentitySource::Metadata, client: None };
        assert_eq!(found(&Environment::default()), [machine, Chosen::Cli]);
    }

    #[test]
    fn an_endpoint_in_the_environment_is_meant_and_nothing_else_is_tried() {
        let app = Environment {
            identity_endpoint: Some("http://127.0.0.1:1/msi".into()),
            ..Environment::default()
        };
        assert_eq!(
            found(&app),
            [Chosen::ManagedIdentity { source: IdentitySource::AppService, client: None }]
        );
    }

    #[test]
    fn a_kind_asked_for_by_name_names_the_variables_that_it_lacks() {
        let error = candidates(CredentialKind::WorkloadIdentity, &principal(), Some("c")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "credential workload_identity needs AZURE_FEDERATED_TOKEN_FILE, not set in the environment; \
             set it, or choose another credential"
        );
    }
}
