//! What the environment says, read once at the border by the caller that makes the client.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use roster_http::{Bundle, Proxies, ProxyError};

/// The variables that are looked at here. AWS's own library reads more of them itself.
const VARIABLES: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_AUTO_SCALING",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "HOME",
    CA_BUNDLE,
];
/// AWS's own variable for a bundle of certificates.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
/// That of the HTTP library under boto3, which counts after the profile's `ca_bundle`.
const LIBRARY_BUNDLE: &str = "REQUESTS_CA_BUNDLE";

/// What the environment says.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<&'static str, OsString>,
    library_bundle: Option<Bundle>,
    pub(crate) proxies: Result<Proxies, ProxyError>,
}

impl Default for Environment {
    fn default() -> Self {
        Self::read(|_| None)
    }
}

impl Environment {
    /// What this lookup answers, such as `std::env::var_os`. A variable that is empty counts as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &'static str| Some((name, lookup(name).filter(|value| !value.is_empty())?));
        Self {
            variables: VARIABLES.into_iter().filter_map(set).collect(),
            library_bundle: Bundle::named(&[LIBRARY_BUNDLE], &lookup),
            proxies: Proxies::read(&lookup),
        }
    }

    /// A variable that is set and is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// A variable that says yes or no.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Where a file is: where its variable says, or in the home folder.
    pub(crate) fn file(&self, variable: &str, default: &str) -> PathBuf {
        let home = || PathBuf::from(self.variables.get("HOME").cloned().unwrap_or_default());
        match self.variables.get(variable).map(PathBuf::from) {
            Some(path) => path.strip_prefix("~").map_or_else(|_| path.clone(), |rest| home().join(rest)),
            None => home().join(default),
        }
    }

    /// The bundle of certificates to trust: AWS's variable, the profile's key, the variable of boto3's HTTP library.
    pub(crate) fn bundle(&self, of_profile: Option<&str>) -> Option<Bundle> {
        let own = Bundle::named(&[CA_BUNDLE], |name| self.variables.get(name).cloned());
        let of_profile = of_profile.filter(|path| !path.is_empty());
        let of_profile =
            of_profile.map(|path| Bundle { path: path.into(), named_by: "ca_bundle of the profile" });
        own.or(of_profile).or_else(|| self.library_bundle.clone())
    }
}

// Keys and a proxy's password are among them.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&&str> = self.variables.keys().collect();
        f.debug_struct("Environment").field("set", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn the_bundle_is_awss_then_the_profiles_then_the_librarys() {
        let both = [("AWS_CA_BUNDLE", "/a"), ("REQUESTS_CA_BUNDLE", "/r")];
        let path = |environment: &Environment, profile| environment.bundle(profile).map(|bundle| bundle.path);
        assert_eq!(path(&environment(&both), Some("/p")), Some("/a".into()));
        assert_eq!(path(&environment(&both[1..]), Some("/p")), Some("/p".into()));
        assert_eq!(path(&environment(&both[1..]), None), Some("/r".into()));
        assert_eq!(path(&environment(&[("AWS_CA_BUNDLE", "")]), None), None);
    }

    #[test]
    fn a_file_is_where_its_variable_says_or_in_the_home_folder() {
        let set = [("HOME", "/home/lb"), ("AWS_CONFIG_FILE", "~/other")];
        assert_eq!(environment(&set).file("AWS_CONFIG_FILE", ".aws/config"), PathBuf::from("/home/lb/other"));
        assert_eq!(
            environment(&set[..1]).file("AWS_CONFIG_FILE", ".aws/config"),
            PathBuf::from("/home/lb/.aws/config")
        );
    }

    #[test]
    fn no_value_stands_in_a_debug_print() {
        let secret = environment(&[("AWS_SECRET_ACCESS_KEY", "hush"), ("HTTPS_PROXY", "http://u:hush@p")]);
        assert!(!format!("{secret:?}").contains("hush"), "{secret:?}");
    }
}
