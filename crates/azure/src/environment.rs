//! What the environment says about identities, read once, before the client is made.

use std::collections::BTreeSet;
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
    /// `AZURE_TOKEN_CREDENTIALS`: which of the ways `default` may take.
    pub allowed: Option<String>,
    /// Variables that are set and that Roster only knows by name, as those of ways that it cannot take.
    pub others: BTreeSet<&'static str>,
    /// Variables that are set to what is no text.
    pub not_text: BTreeSet<&'static str>,
    /// `PATH`, in which `az` is looked for; none for the program's own.
    pub path: Option<OsString>,
}

impl Environment {
    pub(crate) const TENANT: &'static str = "AZURE_TENANT_ID";
    pub(crate) const CLIENT: &'static str = "AZURE_CLIENT_ID";
    pub(crate) const SECRET: &'static str = "AZURE_CLIENT_SECRET";
    pub(crate) const TOKEN_FILE: &'static str = "AZURE_FEDERATED_TOKEN_FILE";
    pub(crate) const IDENTITY_ENDPOINT: &'static str = "IDENTITY_ENDPOINT";
    pub(crate) const IDENTITY_HEADER: &'static str = "IDENTITY_HEADER";
    pub(crate) const ALLOWED: &'static str = "AZURE_TOKEN_CREDENTIALS";
    pub(crate) const CERTIFICATE: &'static str = "AZURE_CLIENT_CERTIFICATE_PATH";
    pub(crate) const USER: &'static str = "AZURE_USERNAME";
    pub(crate) const PASSWORD: &'static str = "AZURE_PASSWORD";
    pub(crate) const ARC: &'static str = "IMDS_ENDPOINT";
    pub(crate) const FABRIC: &'static str = "IDENTITY_SERVER_THUMBPRINT";
    pub(crate) const MSI: &'static str = "MSI_ENDPOINT";
    const OTHERS: [&'static str; 6] =
        [Self::CERTIFICATE, Self::USER, Self::PASSWORD, Self::ARC, Self::FABRIC, Self::MSI];

    /// What this lookup answers, such as `std::env::var_os`.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let raw = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut not_text = BTreeSet::new();
        let mut text = |name: &'static str| {
            let text = raw(name)?.into_string();
            if text.is_err() {
                not_text.insert(name);
            }
            text.ok()
        };
        Self {
            tenant: text(Self::TENANT),
            client: text(Self::CLIENT),
            secret: text(Self::SECRET).map(SecretString::from),
            token_file: raw(Self::TOKEN_FILE).map(PathBuf::from),
            authority: text("AZURE_AUTHORITY_HOST"),
            metadata: text("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            identity_endpoint: text(Self::IDENTITY_ENDPOINT),
            identity_header: text(Self::IDENTITY_HEADER).map(SecretString::from),
            allowed: text(Self::ALLOWED),
            others: Self::OTHERS.into_iter().filter(|name| raw(name).is_some()).collect(),
            not_text,
            path: raw("PATH"),
        }
    }

    pub(crate) fn has(&self, other: &str) -> bool {
        self.others.contains(other)
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
            .field("allowed", &self.allowed)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set_and_a_secret_is_not_shown() {
        let read = Environment::read(|name| match name {
            "AZURE_TENANT_ID" => Some("".into()),
            "AZURE_CLIENT_ID" => Some("client".into()),
            "AZURE_CLIENT_SECRET" | "IDENTITY_HEADER" | "AZURE_PASSWORD" => Some("hush".into()),
            _ => None,
        });
        assert_eq!((read.tenant.as_deref(), read.client.as_deref()), (None, Some("client")));
        assert!(read.secret.is_some() && read.has("AZURE_PASSWORD") && !read.has("AZURE_USERNAME"));
        assert!(!format!("{read:?}").contains("hush"), "{read:?}");
    }

    #[test]
    fn a_variable_that_is_no_text_is_told_apart_from_one_that_is_not_set() {
        let read =
            Environment::read(|name| (name == "AZURE_TENANT_ID").then(|| OsString::from_vec(vec![0xff])));
        assert_eq!((read.tenant, read.not_text), (None, BTreeSet::from(["AZURE_TENANT_ID"])));
    }
}
