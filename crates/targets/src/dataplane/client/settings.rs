//! What a client is made of, in types that a password cannot leak from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use thiserror::Error;

/// How to reach one Data Plane API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub url: Endpoint,
    /// Which version it is asked in.
    pub version: VersionChoice,
    /// The user of the API's userlist.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
    /// What to trust of an `https` address.
    pub tls: Tls,
    /// The limit of one call, from connecting to the answer's last byte. Each write has HAProxy check the whole file.
    pub timeout: Duration,
}

/// An address without the version's path: `http://127.0.0.1:5555`. It holds no credentials, so it may be shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint(Url);

/// A text that is no such address. It is not repeated, since credentials may stand in it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidEndpoint {
    /// Not an address at all.
    #[error("the url of the Data Plane API is no address; write one such as http://127.0.0.1:5555")]
    NotAUrl,
    /// Another scheme.
    #[error("the url of the Data Plane API has to begin with http:// or https://")]
    Scheme,
    /// A user or a password in it.
    #[error("the url of the Data Plane API has credentials in it; set `username` and `password` instead")]
    Credentials,
    /// A question or a fragment.
    #[error("the url of the Data Plane API has a `?` or a `#` in it; leave out what follows")]
    Query,
    /// The path of a version.
    #[error("the url of the Data Plane API ends in the path of a version; leave that out and set `version`")]
    Version,
}

/// Which version of the API to speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VersionChoice {
    /// The one that answers: 3 is asked first.
    #[default]
    Auto,
    /// Version 2, of 2.x.
    V2,
    /// Version 3, of 3.x.
    V3,
}

/// A version of the API. A server speaks one of them only.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ApiVersion {
    /// Version 2, of 2.x.
    V2,
    /// Version 3, of 3.x.
    V3,
}

/// What to trust of an `https` address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// False takes any certificate: whoever is on the way can read the password.
    pub verify: bool,
    /// The authorities to trust, as PEM, in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, ca_file: None }
    }
}

impl Endpoint {
    /// The address with these pieces of a path behind it.
    pub(super) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // An http address always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// True if it is to be reached by TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;
    fn from_str(given: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(given.trim()).map_err(|_| InvalidEndpoint::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEndpoint::Query);
        }
        if ["/v1", "/v2", "/v3"].iter().any(|end| url.path().trim_end_matches('/').ends_with(end)) {
            return Err(InvalidEndpoint::Version);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl ApiVersion {
    /// The first piece of each path.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_without_credentials_or_version() {
        for (given, shown) in [
            ("http://127.0.0.1:5555", "http://127.0.0.1:5555"),
            (" http://localhost:5555/ ", "http://localhost:5555"),
            ("https://[::1]:6443/behind/a/proxy/", "https://[::1]:6443/behind/a/proxy"),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for (given, wrong) in [
            ("localhost", InvalidEndpoint::NotAUrl),
            ("localhost:5555", InvalidEndpoint::Scheme),
            ("unix:///run/dataplane.sock", InvalidEndpoint::Scheme),
            ("ftp://localhost", InvalidEndpoint::Scheme),
            ("http://admin:hunter2@localhost", InvalidEndpoint::Credentials),
            ("http://admin@localhost", InvalidEndpoint::Credentials),
            ("http://localhost/?password=hunter2", InvalidEndpoint::Query),
            ("http://localhost/#x", InvalidEndpoint::Query),
            ("http://localhost:5555/v2", InvalidEndpoint::Version),
            ("http://localhost:5555/v3/", InvalidEndpoint::Version),
        ] {
            let error = given.parse::<Endpoint>().unwrap_err();
            assert_eq!(error, wrong, "{given}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_piece_of_a_path_stays_one_piece() {
        let at: Endpoint = "http://localhost/p/".parse().unwrap();
        let url = at.join(["v3", "a/b", "c d", "e?f#g", "ü", "%2f"]);
        assert_eq!(url.as_str(), "http://localhost/p/v3/a%2Fb/c%20d/e%3Ff%23g/%C3%BC/%252f");
    }
}
