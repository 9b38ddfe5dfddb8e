//! How a backend in the file chooses a server.

use crate::render::Balance;

/// How a backend chooses a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// What stands behind `balance`, with one blank between words; none where nothing does.
    pub text: Option<String>,
    /// The same as Roster knows it, its options (`whole`, `use_domain_only`) left aside. Without `balance` it is
    /// roundrobin.
    pub balance: Option<Balance>,
    /// Whether `hash-type consistent` is there.
    pub consistent: bool,
}

impl Algorithm {
    pub(super) fn new(text: Option<String>, consistent: bool) -> Self {
        let balance = text.as_deref().map_or(Some(Balance::RoundRobin), known);
        Self { text, balance, consistent }
    }

    /// Whether it takes servers and any weight live: all but static-rr and map-based hashing do (measured on 2.6 to 3.4).
    pub fn is_dynamic(&self) -> bool {
        match &self.balance {
            Some(balance) if balance.hashes() => self.consistent,
            Some(balance) => balance.takes_servers_live(),
            None => self.consistent && self.text.as_deref().is_some_and(|text| text.starts_with("hash ")),
        }
    }

    /// Whether it is the same as one that is wanted.
    pub fn is(&self, wanted: &Balance) -> bool {
        match (&self.text, wanted) {
            // HAProxy's own choice: roundrobin, from 3.3 on random.
            (None, Balance::RoundRobin | Balance::Random) => true,
            _ => self.balance.as_ref() == Some(wanted),
        }
    }
}

fn known(text: &str) -> Option<Balance> {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    match (first, words.next()) {
        ("url_param", Some(name)) => format!("url_param {name}").parse().ok(),
        (first, _) if first.starts_with("random(") => Some(Balance::Random),
        (first, _) => first.parse().ok(),
    }
}
