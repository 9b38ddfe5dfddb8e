//! One `server` line.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::address::{Endpoint, Port, parse_ip};
use crate::dataplane::keywords::{self, Keyword};
use crate::dataplane::scan::{Line, Word};
use crate::weight::{ServerId, Weight};

/// A server in the file.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each stands for a keyword of its own")]
pub struct ServerView<'t> {
    /// Its name.
    pub name: Cow<'t, str>,
    /// Its address as it is written; empty where only HAProxy can tell it.
    pub address: Cow<'t, str>,
    /// The same where it is an IP address with a port.
    pub endpoint: Option<Endpoint>,
    /// The weight on its line.
    pub weight: Option<Weight>,
    /// Whether it starts in maintenance, by its line or by `default-server`.
    pub disabled: bool,
    /// Whether it is checked, by its line or by `default-server`.
    pub check: bool,
    /// The port of its checks, if its line gives one.
    pub check_port: Option<Port>,
    /// Whether it is a backup server, by its line or by `default-server`.
    pub backup: bool,
    /// Its cookie.
    pub cookie: Option<Cow<'t, str>>,
    /// Its number.
    pub id: Option<ServerId>,
    /// False if there is a keyword on the line that Roster does not know. It is kept as it is.
    pub understood: bool,
    /// Its line's place among those of the section.
    pub(in crate::dataplane) line: usize,
    pub(in crate::dataplane) keywords: Vec<Keyword>,
    pub(in crate::dataplane) defaults: ServerDefaults,
}

/// What `default-server` lines give to the servers behind them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::dataplane) struct ServerDefaults {
    pub(in crate::dataplane) weight: Option<Weight>,
    pub(in crate::dataplane) disabled: bool,
    pub(in crate::dataplane) check: bool,
    pub(in crate::dataplane) check_port: Option<Port>,
    pub(in crate::dataplane) backup: bool,
}

/// A `server-template` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateView<'t> {
    /// What stands before the numbers.
    pub prefix: Cow<'t, str>,
    /// The numbers.
    pub numbers: RangeInclusive<u32>,
    /// The address as it is written.
    pub address: Cow<'t, str>,
    /// The weight that they start with.
    pub start_weight: Weight,
    /// Whether they start in maintenance, by its line or by `default-server`.
    pub disabled: bool,
    /// Whether they are backup servers, by its line or by `default-server`.
    pub backup: bool,
}

impl ServerDefaults {
    /// Takes what a `default-server` line, or the rest of a `server` line, says.
    pub(in crate::dataplane) fn take(&mut self, words: &[Word<'_>]) {
        self.take_keywords(words, &keywords::cut(words, 1));
    }

    fn take_keywords(&mut self, words: &[Word<'_>], keywords: &[Keyword]) {
        let text = |at: usize| words.get(at).and_then(|word| word.text.as_deref());
        for keyword in keywords {
            let value = || text(keyword.at + 1);
            match text(keyword.at) {
                Some("weight") => self.weight = value().and_then(weight).or(self.weight),
                Some("port") => self.check_port = value().and_then(|port| port.parse().ok()),
                Some("disabled") => self.disabled = true,
                Some("enabled") => self.disabled = false,
                Some("check") => self.check = true,
                Some("no-check") => self.check = false,
                Some("backup") => self.backup = true,
                Some("no-backup") => self.backup = false,
                _ => {}
            }
        }
    }
}

/// Reads a `server` line; none if it has no name or no address.
pub(super) fn read<'t>(at: usize, line: &Line<'t>, defaults: &ServerDefaults) -> Option<ServerView<'t>> {
    let name = line.words.get(1)?.text.clone()?;
    let address = line.words.get(2)?.text.clone();
    let keywords = keywords::cut(&line.words, 3);
    let mut own = ServerDefaults { weight: None, check_port: None, ..*defaults };
    own.take_keywords(&line.words, &keywords);
    let value = |of: &str| {
        let last = keywords.iter().rev().find(|keyword| line.word(keyword.at) == Some(of))?;
        line.words.get(last.at + 1)?.text.clone()
    };
    Some(ServerView {
        name,
        endpoint: address.as_deref().and_then(endpoint),
        understood: address.is_some() && keywords.iter().all(|keyword| keyword.known),
        address: address.unwrap_or_default(),
        weight: own.weight,
        disabled: own.disabled,
        check: own.check,
        check_port: own.check_port,
        backup: own.backup,
        cookie: value("cookie"),
        id: value("id").and_then(|id| id.parse().ok()).and_then(ServerId::new),
        line: at,
        keywords,
        defaults: *defaults,
    })
}

impl ServerView<'_> {
    /// The weight that it starts with: its own, that of `default-server`, or 1.
    pub fn start_weight(&self) -> Weight {
        self.weight.or(self.defaults.weight).unwrap_or(Weight::ONE)
    }

    /// The port that is checked, if it is not the server's own.
    pub(in crate::dataplane) fn start_check_port(&self) -> Option<Port> {
        self.check_port.or(self.defaults.check_port)
    }
}

impl<'t> TemplateView<'t> {
    /// `server-template PREFIX 5` or `PREFIX 1-5`.
    pub(super) fn read(line: &Line<'t>, defaults: &ServerDefaults) -> Option<Self> {
        let mut own = *defaults;
        own.take_keywords(&line.words, &keywords::cut(&line.words, 4));
        let (prefix, numbers) = (line.words.get(1)?.text.clone()?, line.word(2)?);
        let (from, to) = numbers.split_once('-').unwrap_or(("1", numbers));
        Some(Self {
            prefix,
            numbers: from.parse().ok()?..=to.parse().ok()?,
            address: line.words.get(3).and_then(|word| word.text.clone()).unwrap_or_default(),
            start_weight: own.weight.unwrap_or(Weight::ONE),
            disabled: own.disabled,
            backup: own.backup,
        })
    }

    /// Whether it makes a server of this name.
    pub fn makes(&self, name: &str) -> bool {
        let number = name.strip_prefix(self.prefix.as_ref()).filter(|number| !number.starts_with(['0', '+']));
        number.and_then(|number| number.parse().ok()).is_some_and(|number| self.numbers.contains(&number))
    }
}

/// The host name in a server's address; none where that is an IP address, a Unix socket or the like.
pub fn host(address: &str) -> Option<&str> {
    let is_family = |text: &str| text.starts_with("ipv4@") || text.starts_with("ipv6@");
    let bare = if is_family(address) { address.get(5..)? } else { address };
    let (name, port) = bare.rsplit_once(':').unwrap_or((bare, ""));
    let is_port = port.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit());
    let is_host = |name: &str| {
        name.contains(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    (is_port && is_host(name)).then_some(name)
}

fn weight(text: &str) -> Option<Weight> {
    text.parse().ok().and_then(|weight| Weight::new(weight).ok())
}

/// Reads an address with a port as HAProxy does: without brackets the last colon is the port's (`str2sa_range`).
fn endpoint(text: &str) -> Option<Endpoint> {
    let bare = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    bare.parse().ok().or_else(|| {
        let (ip, port) = bare.rsplit_once(':')?;
        let ip: IpAddr = ip.parse::<Ipv6Addr>().ok()?.into();
        Some(Endpoint { ip: parse_ip(&ip.to_string()).ok()?, port: port.parse().ok()? })
    })
}
