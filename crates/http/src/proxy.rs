//! Which proxy a call goes through, by the variables that most programs know.
//!
//! `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case before upper case, as Python's and so boto3's and
//! Azure's clients read them.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use thiserror::Error;

/// The proxies of this machine.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    direct: Vec<Direct>,
}

/// A proxy, and the variable that names it.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    variable: &'static str,
}

/// A proxy that cannot be one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{variable} names no proxy that Roster can use ({what}); write one such as http://host:port, or unset the variable"
)]
pub struct ProxyError {
    variable: &'static str,
    what: &'static str,
}

/// What is reached without a proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Direct {
    Everything,
    /// A name and all below it, at one port or at any.
    Name(String, Option<u16>),
    /// Addresses that have so many bits of this one, at one port or at any.
    Net(IpAddr, u8, Option<u16>),
}

impl Proxies {
    /// What these variables say. One that is empty counts as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ProxyError> {
        let text =
            |variable: &str| lookup(variable)?.into_string().ok().filter(|text| !text.trim().is_empty());
        let first = |variables: &[&'static str]| {
            let set = variables.iter().find_map(|&variable| Some((variable, text(variable)?)));
            set.map(|(variable, given)| Proxy::new(variable, given.trim())).transpose()
        };
        let direct = text("no_proxy").or_else(|| text("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            direct: direct.split([',', ' ']).filter_map(Direct::new).collect(),
        })
    }

    /// Whether no call has a proxy.
    pub fn are_none(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The proxy through which this address is reached.
    pub fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase();
        let port = url.port_or_known_default();
        (!self.direct.iter().any(|direct| direct.has(&host, port))).then_some(proxy)
    }
}

impl Proxy {
    fn new(variable: &'static str, given: &str) -> Result<Self, ProxyError> {
        let wrong = |what| ProxyError { variable, what };
        // Without a scheme, as many write it.
        let whole = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
        let url = Url::parse(&whole).map_err(|_| wrong("it is no address"))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self { url, variable }),
            "http" | "https" => Err(wrong("it has no host")),
            _ => Err(wrong("it is neither http:// nor https://")),
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl Direct {
    fn new(given: &str) -> Option<Self> {
        let given = given.trim().to_ascii_lowercase();
        if given == "*" {
            return Some(Self::Everything);
        }
        if let Some((ip, bits)) = given.split_once('/') {
            return Some(Self::Net(ip.parse().ok()?, bits.parse().ok()?, None));
        }
        if let Ok(ip) = given.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Self::Net(ip, u8::MAX, None));
        }
        let (host, port) = match given.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (given.as_str(), None),
        };
        if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Self::Net(ip, u8::MAX, port));
        }
        let name = host.trim_start_matches('*').trim_matches('.');
        (!name.is_empty()).then(|| Self::Name(name.to_owned(), port))
    }

    fn has(&self, host: &str, at: Option<u16>) -> bool {
        let port_fits = |port: Option<u16>| port.is_none() || port == at;
        match self {
            Self::Everything => true,
            Self::Name(name, port) => {
                let below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                below && port_fits(*port)
            }
            Self::Net(net, bits, port) => {
                host.parse().is_ok_and(|ip: IpAddr| shares(*net, ip, *bits)) && port_fits(*port)
            }
        }
    }
}

/// Whether two addresses have their first bits in common.
fn shares(one: IpAddr, two: IpAddr, bits: u8) -> bool {
    let (one, two, width): (u128, u128, u32) = match (one, two) {
        (IpAddr::V4(one), IpAddr::V4(two)) => (u32::from(one).into(), u32::from(two).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(two)) => (one.into(), two.into(), 128),
        _ => return false,
    };
    let rest = width.saturating_sub(u32::from(bits));
    (one ^ two).checked_shr(rest).unwrap_or(0) == 0
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port_or_known_default() {
            write!(f, ":{port}")?;
        }
        write!(f, " ({})", self.variable)
    }
}

// An address of a proxy may hold its password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into()))
    }

    fn of(variables: &[(&str, &str)], url: &str) -> Option<String> {
        proxies(variables).unwrap().of(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_lower_case_goes_first() {
        let all = [
            ("http_proxy", "plain:1"),
            ("HTTP_PROXY", "http://other:1"),
            ("HTTPS_PROXY", "http://me:hush@secure:2/"),
            ("all_proxy", "http://any:3"),
        ];
        assert_eq!(of(&all, "http://x/").unwrap(), "the proxy plain:1 (http_proxy)");
        assert_eq!(of(&all, "https://x/").unwrap(), "the proxy secure:2 (HTTPS_PROXY)");
        assert!(!format!("{:?}", proxies(&all)).contains("hush"));
        assert_eq!(of(&all[3..], "https://x/").unwrap(), "the proxy any:3 (all_proxy)");
        assert_eq!(of(&[("https_proxy", " ")], "https://x/"), None);
        assert!(proxies(&[]).unwrap().are_none());
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly() {
        let through =
            |no_proxy: &str, url: &str| of(&[("all_proxy", "p:1"), ("NO_PROXY", no_proxy)], url).is_some();
        for (no_proxy, url) in [
            ("*", "https://ec2.us-east-2.amazonaws.com/"),
            ("a.example, amazonaws.com", "https://ec2.us-east-2.amazonaws.com/"),
            (".amazonaws.com", "https://EC2.us-east-2.amazonaws.com./"),
            ("*.amazonaws.com", "https://ec2.us-east-2.amazonaws.com/"),
            ("ec2.local:8443", "https://ec2.local:8443/"),
            ("127.0.0.1", "http://127.0.0.1:5000/"),
            ("10.0.0.0/8 192.168.0.0/16", "http://192.168.7.1/"),
            ("fd00:ec2::/64", "http://[fd00:ec2::254]/"),
            ("[::1]:80", "http://[::1]/"),
            ("localhost", "http://LOCALHOST:1/"),
        ] {
            assert!(!through(no_proxy, url), "{no_proxy} {url}");
        }
        for (no_proxy, url) in [
            ("", "https://ec2.us-east-2.amazonaws.com/"),
            ("aws.com", "https://ec2.us-east-2.amazonaws.com/"),
            ("ec2.local:8443", "https://ec2.local/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/8", "http://10.example/"),
            ("nonsense:port, 10.0.0.0/x", "http://10.0.0.1/"),
        ] {
            assert!(through(no_proxy, url), "{no_proxy} {url}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
        for given in ["socks5://me:hush@h:1", "http://", "http://me:hush@[bad"] {
            let told = proxies(&[("HTTPS_PROXY", given)]).unwrap_err().to_string();
            assert!(told.starts_with("HTTPS_PROXY names no proxy") && !told.contains("hush"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_list_breaks_the_reading(no_proxy in "[a-z0-9.:/*\\[\\] ,-]{0,60}", host in "[a-z0-9.-]{1,20}") {
            let read = proxies(&[("all_proxy", "p:1"), ("no_proxy", &no_proxy)]).unwrap();
            if let Ok(url) = Url::parse(&format!("https://{host}/")) {
                let direct = read.of(&url).is_none();
                prop_assert!(!direct || !no_proxy.trim().is_empty());
            }
        }
    }
}
