//! Where ARM and its tokens are: the public cloud, a sovereign one, or addresses of one's own.
//!
//! Invariant: a bearer token or a secret goes over TLS, or to this machine itself.

use reqwest::Url;
use thiserror::Error;

/// One cloud: its ARM, where its tokens come from, and what they are for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cloud {
    /// Where ARM is reached.
    arm: Url,
    /// ARM's own address, which its links name wherever it is reached.
    own: Url,
    authority: Option<Url>,
    default_authority: Url,
    audience: String,
}

/// Addresses that cannot be a cloud.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CloudError {
    /// Not one of those that have a name.
    #[error(
        "{0:?} is not the name of a cloud; use AzureCloud, AzureChinaCloud or AzureUSGovernment, or give the cloud's own addresses"
    )]
    Name(String),
    /// Not a URL of that kind.
    #[error("{what} {given:?} is not an https:// address of a server ({why}); write it as https://HOST")]
    Address {
        /// Which one.
        what: &'static str,
        /// As it was given, without a user and a query.
        given: String,
        /// What is wrong.
        why: String,
    },
    /// A token would go in the clear.
    #[error(
        "{what} {given:?} would get tokens without TLS; write https://. http:// is allowed for an address of this machine only"
    )]
    Clear {
        /// Which one.
        what: &'static str,
        /// As it was given, without a user and a query.
        given: String,
    },
}

impl Cloud {
    /// The cloud of this name, as `az cloud list` spells it, in any case. Addresses as in azure-mgmt-core's
    /// `get_arm_endpoints`.
    pub fn named(name: &str) -> Result<Self, CloudError> {
        let (arm, authority, audience) = match name.to_ascii_lowercase().as_str() {
            "azurecloud" => (
                "https://management.azure.com",
                "https://login.microsoftonline.com",
                "https://management.azure.com",
            ),
            "azurechinacloud" => (
                "https://management.chinacloudapi.cn",
                "https://login.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
            ),
            "azureusgovernment" => (
                "https://management.usgovcloudapi.net",
                "https://login.microsoftonline.us",
                "https://management.core.usgovcloudapi.net",
            ),
            _ => return Err(CloudError::Name(name.to_owned())),
        };
        let mut cloud = Self::at(arm, Some(audience))?;
        cloud.default_authority = address("the authority", authority)?;
        Ok(cloud)
    }

    /// The public cloud.
    pub fn public() -> Result<Self, CloudError> {
        Self::named("AzureCloud")
    }

    /// The ARM at this address. Tokens are for the audience, or for the address itself when none is given.
    pub fn at(arm: &str, audience: Option<&str>) -> Result<Self, CloudError> {
        let url = address("the ARM endpoint", arm)?;
        let audience = audience.unwrap_or(arm).trim_end_matches('/').to_owned();
        let default_authority = address("the authority", "https://login.microsoftonline.com")?;
        Ok(Self { own: url.clone(), arm: url, authority: None, default_authority, audience })
    }

    /// The same cloud, whose ARM is reached at this address: tokens are for what they were for, and come from where they came.
    pub fn reached_at(self, arm: &str) -> Result<Self, CloudError> {
        Ok(Self { arm: address("the ARM endpoint", arm)?, ..self })
    }

    /// Tokens come from here, whatever the environment says.
    pub fn with_authority(mut self, authority: &str) -> Result<Self, CloudError> {
        self.authority = Some(address("the authority", authority)?);
        Ok(self)
    }

    /// Where ARM answers.
    pub(crate) fn arm(&self) -> &Url {
        &self.arm
    }

    /// Where the next page of a list is asked for: always at the endpoint, so the token goes nowhere else.
    ///
    /// A service that is reached at a private address still names its public one in its links (Azure/azure-sdk-for-python
    /// 29940), and some name only what differs from the page's own address.
    pub(crate) fn next_page(&self, page: &Url, link: &str) -> Result<Url, NoPage> {
        let mut next = page.join(link).map_err(|error| NoPage::NoAddress(error.to_string()))?;
        let foreign = |url: &Url| NoPage::Foreign(url.origin().ascii_serialization());
        if !next.username().is_empty() || next.password().is_some() {
            return Err(foreign(&next));
        }
        if next.origin() != self.arm.origin() {
            if !self.names_own(&next) {
                return Err(foreign(&next));
            }
            let mut there = self.arm.clone();
            there.set_path(next.path());
            there.set_query(next.query());
            next = there;
        }
        self.below_endpoint(&mut next);
        next.set_fragment(None);
        Ok(next)
    }

    /// Whether a link names the cloud's own ARM, or that of one of its regions (`eastus.management.azure.com`).
    fn names_own(&self, link: &Url) -> bool {
        let (Some(own), Some(host)) = (self.own.host_str(), link.host_str()) else { return false };
        let same = host.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        same && link.port() == self.own.port() && matches!(link.scheme(), "https" | "http")
    }

    /// An endpoint below a path, as behind a gateway, has ARM's own paths below that.
    fn below_endpoint(&self, url: &mut Url) {
        let base = self.arm.path().trim_end_matches('/');
        let arm = url.path().get(..15).is_some_and(|begin| begin.eq_ignore_ascii_case("/subscriptions/"));
        if !base.is_empty() && arm {
            url.set_path(&format!("{base}{}", url.path()));
        }
    }

    /// Where tokens come from: what was set, else `AZURE_AUTHORITY_HOST`, else the cloud's own.
    pub(crate) fn authority(&self, environment: Option<&str>) -> Result<Url, CloudError> {
        match (&self.authority, environment) {
            (Some(set), _) => Ok(set.clone()),
            (None, Some(host)) if host.contains("://") => address("AZURE_AUTHORITY_HOST", host),
            (None, Some(host)) => address("AZURE_AUTHORITY_HOST", &format!("https://{host}")),
            (None, None) => Ok(self.default_authority.clone()),
        }
    }

    /// What tokens are for, as the first version of the token endpoints names it (`resource`).
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// What tokens are for, as the second version names it.
    pub(crate) fn scope(&self) -> String {
        format!("{}/.default", self.audience)
    }
}

/// Why a link leads to no page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NoPage {
    /// It is no address.
    NoAddress(String),
    /// It leads to this other server.
    Foreign(String),
}

/// A server's address that a secret may be sent to.
pub(crate) fn address(what: &'static str, given: &str) -> Result<Url, CloudError> {
    let wrong = |why: &str| CloudError::Address { what, given: shown(given), why: why.to_owned() };
    let url = Url::parse(given).map_err(|error| wrong(&error.to_string()))?;
    let Some(host) = url.host_str() else { return Err(wrong("it names no host")) };
    if url.username() != "" || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a user, a query or a fragment does not belong there"));
    }
    let local = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        "http" => Err(CloudError::Clear { what, given: shown(given) }),
        _ => Err(wrong("its scheme is not https")),
    }
}

/// An address as it may stand in a log: without a user, a password and a query.
fn shown(given: &str) -> String {
    let (user, rest) = given.rsplit_once('@').map_or(("", given), |(_, rest)| ("…@", rest));
    let address = rest.split(['?', '#']).next().unwrap_or_default();
    let query = if address.len() < rest.len() { "?…" } else { "" };
    format!("{user}{address}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sovereign_cloud_has_its_own_endpoint_authority_and_token_scope() {
        let gov = Cloud::named("azureusgovernment").unwrap();
        assert_eq!(gov.arm().as_str(), "https://management.usgovcloudapi.net/");
        assert_eq!(gov.authority(None).unwrap().as_str(), "https://login.microsoftonline.us/");
        assert_eq!(gov.scope(), "https://management.core.usgovcloudapi.net/.default");
        let china = Cloud::named("AzureChinaCloud").unwrap();
        assert_eq!(china.authority(None).unwrap().as_str(), "https://login.chinacloudapi.cn/");
        assert_eq!(china.scope(), "https://management.chinacloudapi.cn/.default");
        let elsewhere = gov.clone().reached_at("https://arm.example").unwrap();
        assert_eq!(elsewhere.arm().as_str(), "https://arm.example/");
        assert_eq!(elsewhere.audience(), gov.audience());
        assert_eq!(elsewhere.authority(None).unwrap().as_str(), "https://login.microsoftonline.us/");
        let named = elsewhere.authority(Some("https://login.example")).unwrap();
        assert_eq!(named.as_str(), "https://login.example/", "the environment counts there too");
        assert!(matches!(Cloud::named("AzureGermanCloud"), Err(CloudError::Name(_))));
    }

    #[test]
    fn the_authority_that_was_set_wins_over_the_environment_and_that_over_the_clouds_own() {
        let cloud = Cloud::public().unwrap();
        assert_eq!(cloud.authority(Some("login.example")).unwrap().as_str(), "https://login.example/");
        let set = cloud.with_authority("https://login.here/").unwrap();
        assert_eq!(set.authority(Some("login.example")).unwrap().as_str(), "https://login.here/");
    }

    #[test]
    fn the_next_page_is_asked_for_at_the_endpoint_whatever_of_its_own_addresses_the_cloud_names() {
        let public = Cloud::public().unwrap();
        let private = public.clone().reached_at("https://arm.private.example/").unwrap();
        let gateway = public.clone().reached_at("https://gw.example/arm").unwrap();
        let local = public.clone().reached_at("http://127.0.0.1:7018").unwrap();
        let rest = "subscriptions/s/x?api-version=1&$skiptoken=a%2Fb";
        for (cloud, at) in [
            (&public, "https://management.azure.com/"),
            (&private, "https://arm.private.example/"),
            (&gateway, "https://gw.example/arm/"),
            (&local, "http://127.0.0.1:7018/"),
        ] {
            let page = Url::parse(&format!("{at}subscriptions/s/x?api-version=1")).unwrap();
            for link in [
                format!("https://management.azure.com/{rest}"),
                format!("https://MANAGEMENT.azure.com:443/{rest}"),
                format!("https://eastus.management.azure.com/{rest}"),
                format!("{at}{rest}"),
                format!("/{rest}"),
                "?api-version=1&$skiptoken=a%2Fb".to_owned(),
            ] {
                assert_eq!(cloud.next_page(&page, &link).unwrap().as_str(), format!("{at}{rest}"), "{link}");
            }
        }
    }

    #[test]
    fn a_next_page_of_another_server_is_none() {
        let private = Cloud::public().unwrap().reached_at("https://arm.private.example/").unwrap();
        let page = Url::parse("https://arm.private.example/subscriptions/s/x").unwrap();
        for link in [
            "https://evil.example/subscriptions/s/x",
            "//evil.example/subscriptions/s/x",
            "https://evilmanagement.azure.com/x",
            "https://management.azure.com.evil.example/x",
            "https://management.azure.com:8443/x",
            "https://me:hush@management.azure.com/x",
            "https://management.azure.com@evil.example/x",
            "ftp://management.azure.com/x",
            "https://arm.private.example:8443/x",
            "http://arm.private.example/x",
        ] {
            let no = private.next_page(&page, link).unwrap_err();
            assert!(matches!(&no, NoPage::Foreign(at) if !at.contains("hush")), "{link}: {no:?}");
        }
        assert!(matches!(private.next_page(&page, "https://[bad"), Err(NoPage::NoAddress(_))));
    }

    #[test]
    fn a_token_is_never_sent_in_the_clear_to_another_machine() {
        assert!(matches!(Cloud::at("http://arm.example", None), Err(CloudError::Clear { .. })));
        for local in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://arm.example"] {
            assert!(Cloud::at(local, None).is_ok(), "{local}");
        }
        for wrong in
            ["arm.example", "ftp://arm.example", "https://u:p@arm.example", "https://arm.example/?a=b"]
        {
            assert!(matches!(Cloud::at(wrong, None), Err(CloudError::Address { .. })), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_secret_in_a_wrong_address_is_not_told() {
        for wrong in [
            "https://user:hush@arm.example/",
            "ftp://user:hush@arm.example/",
            "http://arm.example/?sig=hush",
            "https://arm.example/#hush",
            "user:hush@arm example",
        ] {
            let error = Cloud::at(wrong, None).unwrap_err();
            assert!(error.to_string().contains("arm"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
}
