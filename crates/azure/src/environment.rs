//! What the environment says about identities, read once at the border by whoever makes the client.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

/// The variables that Azure's own clients look at (azure-identity). One that is empty counts as not set.
#[derive(Clone, Default)]
pub struct Environment {
    /// `AZURE_TENANT_ID`.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`; for a managed identity the one that the user assigned.
    pub client: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`.
    pub authority: Option<String>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`: another address of the metadata service.
    pub metadata: Option<String>,
    /// `IDENTITY_ENDPOINT`: the token endpoint of App Service, Functions and Container Apps.
    pub identity_endpoint: Option<String>,
    /// `IDENTITY_HEADER`, which that endpoint wants to see.
    pub identity_header: Option<SecretString>,
    /// `PATH`, in which `az` is looked for; none for the program's own.
    pub path: Option<OsString>,
}

impl Environment {
    /// What this lookup answers, such as `std::env::var_os`.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let raw = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &str| raw(name).and_then(|value| value.into_string().ok());
        let secret = |name: &str| text(name).map(SecretString::from);
        Self {
            tenant: text("AZURE_TENANT_ID"),
            client: text("AZURE_CLIENT_ID"),
            secret: secret("AZURE_CLIENT_SECRET"),
            token_file: raw("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            authority: text("AZURE_AUTHORITY_HOST"),
            metadata: text("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            identity_endpoint: text("IDENTITY_ENDPOINT"),
            identity_header: secret("IDENTITY_HEADER"),
            path: raw("PATH"),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("tenant", &self.tenant)
            .field("client", &self.client)
            .field("has_secret", &self.secret.is_some())
            .field("token_file", &self.token_file)
            .field("authority", &self.authority)
            .field("metadata", &self.metadata)
            .field("identity_endpoint", &self.identity_endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set_and_a_secret_is_not_shown() {
        let read = Environment::read(|name| match name {
            "AZURE_TENANT_ID" => Some("".into()),
            "AZURE_CLIENT_ID" => Some("client".into()),
            "AZURE_CLIENT_SECRET" | "IDENTITY_HEADER" => Some("hush".into()),
            _ => None,
        });
        assert_eq!((read.tenant.as_deref(), read.client.as_deref()), (None, Some("client")));
        assert!(read.secret.is_some() && !format!("{read:?}").contains("hush"), "{read:?}");
    }
}
