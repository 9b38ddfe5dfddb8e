//! Which ways there are, from the environment alone. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::SecretString;

use super::text::{fit, fit_secret};
use super::{CredentialError, CredentialKind};
use crate::environment::Environment;
use crate::error::one_line;

/// One way to get a token, with all that it needs.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Secret { tenant: String, client: String, secret: SecretString },
    TokenFile { tenant: String, client: String, file: PathBuf },
    Metadata { base: Option<String>, client: Option<ClientId> },
    AppService { endpoint: String, header: SecretString, client: Option<ClientId> },
    Cli { path: Option<OsString> },
}

/// A managed identity's client id, and what names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ClientId {
    pub(super) id: String,
    pub(super) named_by: &'static str,
}

/// What to try, in this order, and why the others are not tried.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) ways: Vec<Way>,
    pub(super) passed: Vec<String>,
}

/// The environment, and the client id of the configuration.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) environment: &'a Environment,
    pub(super) client_id: Option<&'a str>,
}

/// The ways of this kind. `default` is the first that the environment speaks for, or else the machine's identity and then
/// the CLI, as azure-identity's `DefaultAzureCredential` has them.
pub(super) fn candidates(kind: CredentialKind, given: Given<'_>) -> Result<Candidates, CredentialError> {
    let only = |way| Ok(Candidates { ways: vec![way], passed: Vec::new() });
    match kind {
        CredentialKind::Environment => only(given.secret()?),
        CredentialKind::WorkloadIdentity => only(given.token_file()?),
        CredentialKind::ManagedIdentity => only(given.managed()?),
        CredentialKind::Cli => only(given.cli()),
        CredentialKind::Default => given.by_default(),
    }
}

impl Given<'_> {
    fn by_default(self) -> Result<Candidates, CredentialError> {
        let allowed = allowed(self.environment.allowed.as_deref())?;
        let mut found = Candidates::default();
        let first = [
            (CredentialKind::Environment, self.secret()),
            (CredentialKind::WorkloadIdentity, self.token_file()),
        ];
        for (kind, way) in first {
            match way {
                _ if !allowed.contains(&kind) => {}
                Ok(way) => return Ok(Candidates { ways: vec![way], ..found }),
                Err(error @ CredentialError::Missing { .. }) => found.passed.push(error.to_string()),
                // What is set is meant, also where it is of no use.
                Err(error) => return Err(error),
            }
        }
        let managed = allowed.contains(&CredentialKind::ManagedIdentity);
        if managed {
            found.ways.push(self.managed()?);
        }
        // An app has no login of a person.
        let app = managed && self.environment.identity_endpoint.is_some();
        if allowed.contains(&CredentialKind::Cli) && !app {
            found.ways.push(self.cli());
        }
        Ok(found)
    }

    fn secret(self) -> Result<Way, CredentialError> {
        let Environment { tenant, secret, .. } = self.environment;
        match (self.tenant()?, self.client()?, secret) {
            (Some(tenant), Some(client), Some(secret)) => {
                fit_secret(Environment::SECRET, secret)?;
                Ok(Way::Secret { tenant, client: client.id, secret: secret.clone() })
            }
            (had, client, _) => {
                self.is_text(Environment::SECRET)?;
                self.other_principal(had.is_some(), client.is_some())?;
                Err(missing(
                    CredentialKind::Environment,
                    [
                        (Environment::TENANT, tenant.is_some()),
                        (Environment::CLIENT, client.is_some()),
                        (Environment::SECRET, secret.is_some()),
                    ],
                ))
            }
        }
    }

    /// Kinds of service principals that azure-identity takes from the environment and Roster cannot.
    fn other_principal(self, tenant: bool, client: bool) -> Result<(), CredentialError> {
        let has = |variable| self.environment.has(variable);
        let unsupported =
            |variable, what: &str| Err(CredentialError::Unsupported { variable, what: what.to_owned() });
        match () {
            () if self.environment.secret.is_some() => Ok(()),
            () if tenant && client && has(Environment::CERTIFICATE) => {
                unsupported(Environment::CERTIFICATE, "the certificate of a service principal")
            }
            () if client && has(Environment::USER) && has(Environment::PASSWORD) => {
                unsupported(Environment::USER, "a user with a password")
            }
            () => Ok(()),
        }
    }

    fn token_file(self) -> Result<Way, CredentialError> {
        let file = &self.environment.token_file;
        match (self.tenant()?, self.client()?, file) {
            (Some(tenant), Some(client), Some(file)) => {
                Ok(Way::TokenFile { tenant, client: client.id, file: file.clone() })
            }
            (tenant, client, file) => Err(missing(
                CredentialKind::WorkloadIdentity,
                [
                    (Environment::TENANT, tenant.is_some()),
                    (Environment::CLIENT, client.is_some()),
                    (Environment::TOKEN_FILE, file.is_some()),
                ],
            )),
        }
    }

    fn managed(self) -> Result<Way, CredentialError> {
        let Environment { identity_endpoint, identity_header, metadata, .. } = self.environment;
        let has = |variable| self.environment.has(variable);
        let client = self.client()?;
        self.is_text(Environment::IDENTITY_HEADER)?;
        let (variable, what) = match (identity_endpoint, identity_header) {
            (Some(_), Some(_)) if has(Environment::FABRIC) => {
                (Environment::FABRIC, "the identity of Service Fabric")
            }
            (Some(endpoint), Some(header)) => {
                fit_secret(Environment::IDENTITY_HEADER, header)?;
                return Ok(Way::AppService { endpoint: endpoint.clone(), header: header.clone(), client });
            }
            (Some(_), None) if has(Environment::ARC) => (Environment::ARC, "the identity of Azure Arc"),
            (Some(_), None) => {
                let missing = vec![Environment::IDENTITY_HEADER];
                return Err(CredentialError::Missing { kind: CredentialKind::ManagedIdentity, missing });
            }
            (None, _) if has(Environment::MSI) => {
                (Environment::MSI, "the identity of Cloud Shell or Azure Machine Learning")
            }
            (None, _) => return Ok(Way::Metadata { base: metadata.clone(), client }),
        };
        Err(CredentialError::Unsupported { variable, what: what.to_owned() })
    }

    fn cli(self) -> Way {
        Way::Cli { path: self.environment.path.clone() }
    }

    fn tenant(self) -> Result<Option<String>, CredentialError> {
        self.is_text(Environment::TENANT)?;
        let Some(tenant) = &self.environment.tenant else { return Ok(None) };
        fit(Environment::TENANT, tenant, |char| char.is_ascii_alphanumeric() || "-.".contains(char))?;
        Ok(Some(tenant.clone()))
    }

    fn client(self) -> Result<Option<ClientId>, CredentialError> {
        let (id, named_by) = match (self.client_id, &self.environment.client) {
            (Some(id), _) => (id, "`client_id`"),
            (None, Some(id)) => (id.as_str(), Environment::CLIENT),
            (None, None) => {
                self.is_text(Environment::CLIENT)?;
                return Ok(None);
            }
        };
        fit(named_by, id, |char| char.is_ascii_graphic())?;
        Ok(Some(ClientId { id: id.to_owned(), named_by }))
    }

    fn is_text(self, variable: &'static str) -> Result<(), CredentialError> {
        if self.environment.not_text.contains(variable) {
            return Err(CredentialError::Text { what: variable, why: "is no UTF-8 text" });
        }
        Ok(())
    }
}

/// What `AZURE_TOKEN_CREDENTIALS` leaves of the ways of `default`. The words are those of azure-identity, in any case.
fn allowed(given: Option<&str>) -> Result<&'static [CredentialKind], CredentialError> {
    use CredentialKind::{Cli, Environment, ManagedIdentity, WorkloadIdentity};
    let word = given.unwrap_or_default().trim().to_ascii_lowercase();
    Ok(match word.as_str() {
        "" => &[Environment, WorkloadIdentity, ManagedIdentity, Cli],
        "prod" => &[Environment, WorkloadIdentity, ManagedIdentity],
        "dev" | "azureclicredential" => &[Cli],
        "environmentcredential" => &[Environment],
        "workloadidentitycredential" => &[WorkloadIdentity],
        "managedidentitycredential" => &[ManagedIdentity],
        _ => {
            let (variable, what) = (crate::environment::Environment::ALLOWED, one_line(&word));
            return Err(CredentialError::Unsupported { variable, what });
        }
    })
}

fn missing(kind: CredentialKind, variables: [(&'static str, bool); 3]) -> CredentialError {
    let missing = variables.into_iter().filter(|(_, set)| !set).map(|(name, _)| name).collect();
    CredentialError::Missing { kind, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Chosen, IdentitySource};

    fn ways(environment: &Environment) -> Result<Vec<Chosen>, String> {
        let given = Given { environment, client_id: None };
        let found = candidates(CredentialKind::Default, given).map_err(|error| error.to_string())?;
        Ok(found.ways.iter().map(|way| way.chosen(None)).collect())
    }

    fn principal() -> Environment {
        Environment { tenant: Some("t".into()), client: Some("c".into()), ..Environment::default() }
    }

    fn secret() -> Environment {
        Environment { secret: Some("s".into()), ..principal() }
    }

    fn app() -> Environment {
        Environment {
            identity_endpoint: Some("http://127.0.0.1:1/msi".into()),
            identity_header: Some("h".into()),
            ..Environment::default()
        }
    }

    fn with(others: &[&'static str], environment: Environment) -> Environment {
        Environment { others: others.iter().copied().collect(), ..environment }
    }

    const METADATA: &str = "http://169.254.169.254";

    fn metadata() -> Chosen {
        Chosen::ManagedIdentity {
            source: IdentitySource::Metadata(METADATA.into()),
            client: None,
            named_by: None,
        }
    }

    #[test]
    fn by_default_a_secret_comes_before_a_service_account_and_that_before_the_machine() {
        let account = Environment { token_file: Some("/f".into()), ..principal() };
        let (tenant, client) = ("t".to_owned(), "c".to_owned());
        assert_eq!(
            ways(&Environment { token_file: Some("/f".into()), ..secret() }).unwrap(),
            [Chosen::Environment { tenant: tenant.clone(), client: client.clone() }]
        );
        let file = "/f".into();
        assert_eq!(ways(&account).unwrap(), [Chosen::WorkloadIdentity { tenant, client, file }]);
        assert_eq!(ways(&Environment::default()).unwrap(), [metadata(), Chosen::Cli]);
    }

    #[test]
    fn an_endpoint_in_the_environment_is_meant_and_nothing_else_is_tried() {
        let found = ways(&app()).unwrap();
        assert!(
            matches!(&found[..], [Chosen::ManagedIdentity { source: IdentitySource::AppService, .. }]),
            "{found:?}"
        );
        let error = ways(&Environment { identity_header: None, ..app() }).unwrap_err();
        assert!(error.contains("IDENTITY_HEADER"), "{error}");
    }

    #[test]
    fn a_kind_asked_for_by_name_names_the_variables_that_it_lacks() {
        let environment = principal();
        let given = Given { environment: &environment, client_id: None };
        assert_eq!(
            candidates(CredentialKind::WorkloadIdentity, given).unwrap_err().to_string(),
            "credential workload_identity needs AZURE_FEDERATED_TOKEN_FILE, not set in the environment; \
             set it, or choose another credential"
        );
    }

    #[test]
    fn a_way_that_roster_cannot_take_is_named_and_not_passed_over() {
        for (environment, variable, what) in [
            (
                with(&["AZURE_CLIENT_CERTIFICATE_PATH"], principal()),
                "AZURE_CLIENT_CERTIFICATE_PATH",
                "certificate",
            ),
            (
                with(&["AZURE_USERNAME", "AZURE_PASSWORD"], principal()),
                "AZURE_USERNAME",
                "a user with a password",
            ),
            (
                with(&["IMDS_ENDPOINT"], Environment { identity_header: None, ..app() }),
                "IMDS_ENDPOINT",
                "Azure Arc",
            ),
            (with(&["IDENTITY_SERVER_THUMBPRINT"], app()), "IDENTITY_SERVER_THUMBPRINT", "Service Fabric"),
            (with(&["MSI_ENDPOINT"], Environment::default()), "MSI_ENDPOINT", "Cloud Shell"),
            (
                Environment { allowed: Some("AzurePowerShellCredential".into()), ..secret() },
                "AZURE_TOKEN_CREDENTIALS",
                "azurepowershellcredential",
            ),
        ] {
            let error = ways(&environment).unwrap_err();
            assert!(error.starts_with(variable) && error.contains(what), "{error}");
        }
        // What is complete comes first, and what is half is not meant.
        assert!(ways(&with(&["AZURE_CLIENT_CERTIFICATE_PATH"], secret())).is_ok());
        assert!(ways(&with(&["AZURE_USERNAME"], principal())).is_ok());
    }

    #[test]
    fn the_ways_of_default_can_be_narrowed_as_azures_own_clients_narrow_them() {
        let of = |word: &str, environment: Environment| {
            ways(&Environment { allowed: Some(word.into()), ..environment }).unwrap()
        };
        assert_eq!(of("prod", Environment::default()), [metadata()]);
        let named = of("ManagedIdentityCredential", secret());
        assert!(
            matches!(&named[..], [Chosen::ManagedIdentity { client: Some(client), .. }] if client == "c")
        );
        assert_eq!(of(" Dev ", secret()), [Chosen::Cli]);
        assert_eq!(of("AzureCliCredential", app()), [Chosen::Cli]);
        assert!(of("EnvironmentCredential", Environment::default()).is_empty());
    }

    #[test]
    fn a_text_with_a_line_break_is_named_by_its_place_alone() {
        let broken = |environment: Environment| ways(&environment).unwrap_err();
        for (error, place) in [
            (
                broken(Environment { secret: Some("hush\n".into()), ..secret() }),
                "AZURE_CLIENT_SECRET has a line break",
            ),
            (
                broken(Environment { secret: Some("hush ".into()), ..secret() }),
                "AZURE_CLIENT_SECRET has a blank",
            ),
            (
                broken(Environment { secret: Some("hush\u{7}x".into()), ..secret() }),
                "AZURE_CLIENT_SECRET has a character",
            ),
            (
                broken(Environment { tenant: Some("hush\r\n".into()), ..secret() }),
                "AZURE_TENANT_ID has a line break",
            ),
            (
                broken(Environment { tenant: Some("hush/..".into()), ..secret() }),
                "AZURE_TENANT_ID has a character",
            ),
            (
                broken(Environment { client: Some("hush\n".into()), ..Environment::default() }),
                "AZURE_CLIENT_ID has",
            ),
            (
                broken(Environment { identity_header: Some("hush\n".into()), ..app() }),
                "IDENTITY_HEADER has a line break",
            ),
            (
                broken(Environment { not_text: ["AZURE_CLIENT_SECRET"].into(), ..principal() }),
                "AZURE_CLIENT_SECRET is no",
            ),
        ] {
            assert!(error.starts_with(place) && !error.contains("hush"), "{error}");
        }
        let environment = Environment::default();
        let given = Given { environment: &environment, client_id: Some("a\n") };
        let error = candidates(CredentialKind::ManagedIdentity, given).unwrap_err().to_string();
        assert!(error.starts_with("`client_id` has a line break"), "{error}");
    }
}
