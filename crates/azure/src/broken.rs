//! A call that has no whole answer, by its cause. Pure, but for the reading of an error.

use std::time::Duration;

use roster_http::Proxy;
use thiserror::Error;

use crate::error::one_line;

/// A call that has no whole answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Broken {
    /// Not in time.
    #[error("{host} has not answered within {after:?}; check the network to the server, or raise `timeout`")]
    Timeout {
        /// The server.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// No connection.
    #[error("{host} cannot be reached ({why}); check the address, the network and the firewall")]
    Unreachable {
        /// The server.
        host: String,
        /// What the system says.
        why: String,
    },
    /// A name that cannot be resolved.
    #[error("the name {host} is not known ({why}); check the name, and that this machine resolves names")]
    UnknownHost {
        /// The server.
        host: String,
        /// What the system says.
        why: String,
    },
    /// No connection through a proxy.
    #[error(
        "{host} cannot be reached through {proxy} ({why}); check the proxy, or name the host in NO_PROXY"
    )]
    Proxy {
        /// The server.
        host: String,
        /// The proxy, and the variable that names it.
        proxy: String,
        /// What the proxy or the system says.
        why: String,
    },
    /// A certificate of an authority that is not trusted, or of another host.
    #[error(
        "the certificate of {host} is not trusted ({why}); where a company's own authority signs it, name that authority's \
         certificates by REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    )]
    Certificate {
        /// The server.
        host: String,
        /// What TLS says.
        why: String,
    },
    /// A certificate that has expired or is not valid yet, as this machine's clock goes.
    #[error(
        "the certificate of {host} is not valid at this time ({why}); check this machine's clock, then the server's certificate"
    )]
    Clock {
        /// The server.
        host: String,
        /// What TLS says.
        why: String,
    },
    /// The connection ended within the answer, or before any of it.
    #[error("the answer of {host} ended early ({why}); it is not used")]
    Lost {
        /// The server.
        host: String,
        /// What the system says.
        why: String,
    },
    /// More than is taken.
    #[error("the answer of {host} has more than {limit} bytes; check the server at that address")]
    TooLarge {
        /// The server.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// A request that cannot be made.
    #[error("the call cannot be made ({why}); please report it")]
    Unsendable {
        /// What is wrong with it.
        why: String,
    },
}

impl Broken {
    /// What an error means that came in the place of an answer. `connect` is the limit for a connection, `after` for the whole.
    pub(crate) fn of(
        error: &reqwest::Error,
        host: String,
        proxy: Option<&Proxy>,
        connect: Duration,
        after: Duration,
    ) -> Self {
        let why = causes(error);
        match () {
            () if error.is_connect() && error.is_timeout() => {
                Self::no_connection(host, proxy, &format!("no connection within {connect:?}"))
            }
            () if error.is_timeout() => Self::Timeout { host, after },
            () if error.is_connect() => Self::no_connection(host, proxy, &why),
            () => Self::Lost { host, why },
        }
    }

    fn no_connection(host: String, proxy: Option<&Proxy>, why: &str) -> Self {
        let why = one_line(why);
        // The TLS library and the resolver have no types for it that reach here, but words of their own.
        if let Some((_, certificate)) = why.split_once("invalid peer certificate: ") {
            let why = certificate.to_owned();
            let of_the_clock =
                ["expired", "NotValidYet", "not valid yet"].iter().any(|words| why.contains(words));
            return if of_the_clock { Self::Clock { host, why } } else { Self::Certificate { host, why } };
        }
        match proxy {
            Some(proxy) => Self::Proxy { host, proxy: proxy.to_string(), why },
            None if why.contains("dns error") => Self::UnknownHost { host, why },
            None => Self::Unreachable { host, why },
        }
    }

    /// Whether the same call may go well in a moment.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::UnknownHost { .. } | Self::Proxy { .. } | Self::Lost { .. } => {
                true
            }
            Self::Timeout { .. }
            | Self::Certificate { .. }
            | Self::Clock { .. }
            | Self::TooLarge { .. }
            | Self::Unsendable { .. } => false,
        }
    }

    /// Whether there was no connection at all: no server need be there.
    pub(crate) fn is_unreached(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::UnknownHost { .. } | Self::Proxy { .. })
    }

    /// What makes two failures the same one: how a connection broke off differs each time.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Lost { host, .. } => format!("the answer of {host} ended early"),
            broken => broken.to_string(),
        }
    }

    /// The word for a metric.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } | Self::UnknownHost { .. } | Self::Proxy { .. } => "unreachable",
            Self::Certificate { .. } | Self::Clock { .. } => "tls",
            Self::Lost { .. } | Self::TooLarge { .. } | Self::Unsendable { .. } => "lost",
        }
    }
}

/// The causes of an error without its own words, which repeat the address.
fn causes(error: &reqwest::Error) -> String {
    let source = std::error::Error::source(error);
    one_line(&source.map_or_else(|| "no reason given".to_owned(), roster_http::causes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(why: &str) -> Broken {
        Broken::no_connection("arm.example".to_owned(), None, why)
    }

    #[test]
    fn each_cause_has_its_own_remedy() {
        for (why, remedy) in [
            ("client error (Connect): tcp connect error: Connection refused (os error 111)", "the firewall"),
            ("client error (Connect): dns error: failed to lookup address information", "resolves names"),
            ("client error (Connect): invalid peer certificate: UnknownIssuer", "REQUESTS_CA_BUNDLE"),
            (
                "client error (Connect): invalid peer certificate: certificate not valid for name \"x\"",
                "SSL_CERT_FILE",
            ),
            (
                "client error (Connect): invalid peer certificate: certificate expired: verification time 1",
                "clock",
            ),
            (
                "client error (Connect): invalid peer certificate: certificate not valid yet: verification time 1",
                "clock",
            ),
        ] {
            let text = told(why).to_string();
            assert!(text.contains("arm.example") && text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn a_proxy_on_the_way_is_named_by_its_variable_and_without_its_password() {
        let set = |name: &str| (name == "https_proxy").then(|| "http://me:hush@p:3128".into());
        let proxies = roster_http::Proxies::read(set).unwrap();
        let url = reqwest::Url::parse("https://arm.example/").unwrap();
        let why = "client error (Connect): tunnel error: proxy authorization required";
        let broken = Broken::no_connection("arm.example".to_owned(), proxies.of(&url), why);
        let text = broken.to_string();
        assert!(
            text.contains("through the proxy p:3128 (https_proxy)")
                && text.contains("authorization required"),
            "{text}"
        );
        assert!(!format!("{broken} {broken:?}").contains("hush") && broken.is_unreached());
    }
}
