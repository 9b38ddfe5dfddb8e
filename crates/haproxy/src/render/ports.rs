//! Where HAProxy listens, as a file says, and which section keeps an address that several want.
//!
//! HAProxy shares a port among its sections without a word (`SO_REUSEPORT`): each would get a part of the connections.
//! So of several sections that want one address only one gets it, one of the operator's own before all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bind::{Bind, BindAddress};
use super::left_out::LeftOut;
use super::proxy::{Section, SectionKey};
use super::structure::Structure;
use super::user::{UserText, lines};
use crate::address::Port as Number;

/// So many ports of one range are looked at.
const MOST_OF_A_RANGE: usize = 256;

/// Options with which a `bind` may succeed where one without them fails, or the reverse.
const SPECIAL: &[&str] = &["transparent", "namespace", "interface"];

/// An address that HAProxy listens on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Port {
    /// The section that listens there; none where it is the operator's own text.
    pub of: Option<SectionKey>,
    /// The address.
    pub at: BindAddress,
    /// Which clients of an IPv6 address are taken.
    pub families: Families,
}

/// Whether an IPv6 address takes IPv4 clients too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Families {
    /// As the system says (`net.ipv6.bindv6only`).
    System,
    /// `v4v6`.
    Both,
    /// `v6only`.
    V6Only,
}

impl UserText {
    /// The TCP addresses that the operator's own text listens on, stats sockets among them. What stands between `.if`
    /// and `.endif` may not hold, and names and variables are HAProxy's to resolve: these are passed over.
    pub fn ports(&self) -> Vec<Port> {
        operators(&self.global, &self.sections)
    }

    /// Whether HAProxy lets other processes listen beside it (`noreuseport` forbids it).
    pub fn shares_ports(&self) -> bool {
        !lines(&self.global).any(|(_, words)| words == ["noreuseport"])
    }

    /// Whether the paths of unix sockets stand for themselves: `unix-bind` may put a prefix before them.
    pub fn names_unix_paths(&self) -> bool {
        !lines(&self.global).any(|(_, words)| words.first() == Some(&"unix-bind"))
    }
}

impl Structure {
    /// Everything that is listened on: the sections' binds, and those of the operator's own text.
    pub fn ports(&self) -> Vec<Port> {
        let of_section = |key: &SectionKey, text: &String| {
            let mut words = text.split(' ');
            let at = words.next()?.parse().ok()?;
            let families = if words.any(|word| word == "v4v6") { Families::Both } else { Families::System };
            Some(Port { of: Some(key.clone()), at, families })
        };
        let proxies = self.proxies.iter();
        let binds = proxies.flat_map(|proxy| proxy.binds.iter().map(move |text| (&proxy.key, text)));
        let binds = binds.filter_map(|(key, text)| of_section(key, text));
        binds.chain(operators(&self.global, &self.user_sections)).collect()
    }

    /// Whether a section listens on an address.
    pub fn listens(&self, section: &SectionKey, at: &BindAddress) -> bool {
        let at = at.to_string();
        let is_there = |text: &String| text.split(' ').next() == Some(at.as_str());
        let proxy = self.proxies.binary_search_by(|proxy| proxy.key.cmp(section)).ok();
        proxy.and_then(|at| self.proxies.get(at)).is_some_and(|proxy| proxy.binds.iter().any(is_there))
    }
}

/// Takes from the sections the binds that they cannot have.
///
/// `rank` orders the claims to one address, the lowest first; equal ones go by the order of the sections. `unbound` says
/// why an address cannot be listened on. `alone` says that one socket's addresses are no other's: without it HAProxy
/// lets `*:80` and `10.0.0.1:80` stand beside one another.
pub fn share_ports(
    sections: &mut [Section],
    operators: Vec<Port>,
    rank: impl Fn(&SectionKey, &BindAddress) -> u8,
    unbound: impl Fn(&BindAddress) -> Option<String>,
    alone: bool,
) -> Vec<LeftOut> {
    let ours = sections.iter().flat_map(|section| {
        let key = section.key();
        section.binds().iter().map(move |bind| Port::of(key.clone(), bind))
    });
    let mut claims: Vec<Port> = ours.collect();
    claims.sort_by_key(|port| port.of.as_ref().map(|key| rank(key, &port.at)));
    let mut owners: HashMap<u16, Vec<Port>> = HashMap::new();
    let mut taken: HashMap<(SectionKey, BindAddress), Option<SectionKey>> = HashMap::new();
    for claim in operators.into_iter().chain(claims) {
        let beside = owners.entry(claim.number()).or_default();
        let owner = beside.iter().find(|other| other.at == claim.at || (alone && other.overlaps(&claim)));
        match (owner, &claim.of) {
            (Some(owner), Some(key)) if owner.of.as_ref() != Some(key) => {
                taken.insert((key.clone(), claim.at), owner.of.clone());
            }
            _ => beside.push(claim),
        }
    }
    let mut left_out = Vec::new();
    for section in sections {
        let key = section.key();
        let Some(binds) = section.binds_mut() else { continue };
        binds.retain(|bind| {
            let left = match taken.get(&(key.clone(), bind.at.clone())) {
                Some(by) => {
                    Some(LeftOut::Bind { section: key.clone(), bind: bind.at.to_string(), by: by.clone() })
                }
                None => unbound(&bind.at).map(|why| LeftOut::Unbound { section: key.clone(), why }),
            };
            let stays = left.is_none();
            left_out.extend(left);
            stays
        });
    }
    left_out
}

impl Port {
    fn of(key: SectionKey, bind: &Bind) -> Self {
        let families = if bind.both_families { Families::Both } else { Families::V6Only };
        Self { of: Some(key), at: bind.at.clone(), families }
    }

    /// The port's number; none is 0.
    fn number(&self) -> u16 {
        match &self.at {
            BindAddress::Ip(_, number) => number.get(),
            BindAddress::Unix(_) | BindAddress::Inherited(_) => 0,
        }
    }

    /// Whether one connection could come to either of the two.
    fn overlaps(&self, other: &Self) -> bool {
        let (BindAddress::Ip(a, _), BindAddress::Ip(b, _)) = (&self.at, &other.at) else { return false };
        self.number() == other.number() && (self.covers(*a, *b) || other.covers(*b, *a))
    }

    fn covers(&self, own: IpAddr, other: IpAddr) -> bool {
        own.is_unspecified()
            && (own.is_ipv4() == other.is_ipv4() || (own.is_ipv6() && self.families != Families::V6Only))
    }
}

fn operators(global: &str, sections: &str) -> Vec<Port> {
    let stats = unconditional(global).filter_map(|words| match words.as_slice() {
        ["stats", "socket", at, options @ ..] => Some((*at, options.to_vec())),
        _ => None,
    });
    let binds = unconditional(sections).filter_map(|words| match words.as_slice() {
        ["bind", at, options @ ..] => Some((*at, options.to_vec())),
        _ => None,
    });
    let all = stats.chain(binds).filter(|(_, options)| !options.iter().any(|word| SPECIAL.contains(word)));
    let port = |(at, options): (&str, Vec<&str>)| {
        let families = match () {
            () if options.contains(&"v6only") => Families::V6Only,
            () if options.contains(&"v4v6") => Families::Both,
            () => Families::System,
        };
        let at = at.trim_matches(['"', '\'']).split(',').flat_map(addresses).collect::<Vec<_>>();
        at.into_iter().map(move |at| Port { of: None, at, families })
    };
    all.flat_map(port).collect()
}

/// The lines that hold whatever HAProxy's conditions say.
fn unconditional(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut depth = 0_u32;
    lines(text).map(|(_, words)| words).filter(move |words| {
        match words.first() {
            Some(&".if") => depth += 1,
            Some(&".endif") => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// `*:80`, `:80-90`, `ipv6@:80`, `[::1]:80` and `::1:80`; nothing where it is no such address.
fn addresses(text: &str) -> Vec<BindAddress> {
    let (text, any) = match text.split_once('@') {
        Some(("ipv4" | "tcp" | "tcp4", rest)) => (rest, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        Some(("ipv6" | "tcp6", rest)) => (rest, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        Some(_) => return Vec::new(),
        None => (text, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
    };
    let Some((host, ports)) = text.rsplit_once(':') else { return Vec::new() };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = match bare {
        "" | "*" => Some(any),
        _ => bare.parse().ok(),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    let Some((ip, (first, last))) = ip.zip(range) else { return Vec::new() };
    let numbers = (first..=last).take(MOST_OF_A_RANGE).filter_map(Number::new);
    numbers.map(|number| BindAddress::Ip(ip, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Frontend, Mode};
    use super::*;

    fn of_sections(text: &str) -> Vec<String> {
        let user = UserText { sections: text.to_owned(), ..UserText::default() };
        user.ports().iter().map(|port| format!("{} {:?}", port.at, port.families)).collect()
    }

    #[test]
    fn what_the_operator_listens_on_is_read_from_every_spelling_of_an_address() {
        let text = "frontend a\n bind :80\n bind *:81,127.0.0.1:82 ssl crt x # :83\n bind \"[::1]:84\" v6only\n \
                    bind :::85 v4v6\n bind ipv6@:86\n bind :90-92\npeers p\n bind 10.0.0.1:87\n";
        let ports = [
            "*:80 System",
            "*:81 System",
            "127.0.0.1:82 System",
            "[::1]:84 V6Only",
            "[::]:85 Both",
            "[::]:86 System",
            "*:90 System",
            "*:91 System",
            "*:92 System",
            "10.0.0.1:87 System",
        ];
        assert_eq!(of_sections(text), ports);
        let global =
            "stats socket /run/a level admin\nstats socket ipv4@127.0.0.1:9000 level admin".to_owned();
        let user = UserText { global, ..UserText::default() };
        assert_eq!(
            user.ports().iter().map(|port| port.at.to_string()).collect::<Vec<_>>(),
            ["127.0.0.1:9000"]
        );
    }

    #[test]
    fn what_only_haproxy_can_resolve_is_passed_over() {
        let text = "frontend a\n bind web:80\n bind \"${IP}:80\"\n bind fd@3\n bind abns@x\n bind unix@/run/x\n \
                    bind quic4@:443\n bind :80 interface eth1\n bind :80 transparent\n bind :0\n bind :90-80\n\
                    .if defined(X)\n bind :81\n.if defined(Y)\n bind :82\n.endif\n bind :83\n.endif\n bind :84\n";
        assert_eq!(of_sections(text), ["*:84 System"]);
    }

    fn shared(keeps: &str, unbound: &str, alone: bool) -> (Vec<String>, Vec<String>) {
        let frontend = |name: &str, binds: &[&str]| {
            let binds = binds.iter().map(|at| Bind::plain(at.parse().unwrap())).collect();
            let (name, lines) = (name.parse().unwrap(), Vec::new());
            Section::Frontend(Frontend {
                name,
                mode: Mode::Http,
                binds,
                lines,
                routing: None,
                default_backend: None,
            })
        };
        let same = ["*:80", "*:81"];
        let own = frontend("own", &["*:9000", "*:82", "127.0.0.1:81"]);
        let mut sections = [frontend("api", &same), frontend("web", &same), own];
        let user = UserText { sections: "listen x\n bind :9000".to_owned(), ..UserText::default() };
        let left_out = share_ports(
            &mut sections,
            user.ports(),
            |key, _| u8::from(key.name() != keeps),
            |at| (at.to_string() == unbound).then(|| format!("cannot listen on {at}")),
            alone,
        );
        let binds = sections.iter().flat_map(|section| {
            section.binds().iter().map(move |bind| format!("{} {}", section.key().name(), bind.at))
        });
        (binds.collect(), left_out.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_two_sections_that_want_one_address_the_one_with_the_older_claim_keeps_it_and_both_are_named() {
        let (binds, left_out) = shared("web", "", false);
        assert_eq!(binds, ["web *:80", "web *:81", "own *:82", "own 127.0.0.1:81"]);
        let words = [
            "frontend api does not listen on *:80: frontend web does; give one of them another port",
            "frontend api does not listen on *:81: frontend web does; give one of them another port",
            "frontend own does not listen on *:9000: one of the operator's own sections does; give one of them another port",
        ];
        assert_eq!(left_out, words);
        let (binds, _) = shared("", "", false);
        assert_eq!(
            binds,
            ["api *:80", "api *:81", "own *:82", "own 127.0.0.1:81"],
            "the first, where none has it"
        );
    }

    #[test]
    fn an_address_within_anothers_is_that_ones_where_sockets_are_not_shared() {
        let (binds, left_out) = shared("", "", true);
        assert_eq!(binds, ["api *:80", "api *:81", "own *:82"]);
        let word =
            "frontend own does not listen on 127.0.0.1:81: frontend api does; give one of them another port";
        assert_eq!(left_out.last().map(String::as_str), Some(word));
    }

    #[test]
    fn an_address_that_cannot_be_listened_on_takes_no_other_along() {
        let (binds, left_out) = shared("", "*:81", false);
        assert_eq!(binds, ["api *:80", "own *:82", "own 127.0.0.1:81"]);
        assert_eq!(left_out[0], "a bind of frontend api is left out: cannot listen on *:81");
    }
}
