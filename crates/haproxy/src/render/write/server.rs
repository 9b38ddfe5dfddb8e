//! The lines of a pool's servers.
//!
//! There are as many as servers, and most of a line is the same in all of them: that part is made once.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::keywords::ServerKeywords;
use crate::render::Balance;
use crate::render::proxy::ServerLine;
use crate::version::Version;
use crate::weight::Weight;

pub(super) struct ServerLines<'d> {
    version: Version,
    /// Whether servers come and go live, and take any weight.
    live: bool,
    /// The keywords that `text` was made of.
    of: Option<&'d ServerKeywords>,
    text: String,
    /// Whether `add server` takes them.
    addable: bool,
    fixed: String,
}

impl<'d> ServerLines<'d> {
    pub(super) fn new(balance: &Balance, version: Version) -> Self {
        let (live, addable) = (balance.takes_servers_live(), true);
        Self { version, live, of: None, text: String::new(), addable, fixed: String::new() }
    }

    /// What of the servers cannot be changed live.
    pub(super) fn fixed(self) -> String {
        self.fixed
    }

    // Writing to a String cannot fail.
    pub(super) fn write(&mut self, server: &'d ServerLine, out: &mut String) {
        self.make_text(&server.keywords);
        out.extend(["    server ", server.name.as_str(), " "]);
        _ = match server.at.ip {
            IpAddr::V4(ip) => write!(out, "{ip}:{}", server.at.port),
            IpAddr::V6(ip) => write!(out, "[{ip}]:{}", server.at.port),
        };
        let weight = server.weight.or(server.keywords.weight);
        write_own(&server.keywords, weight, out);
        out.extend([self.text.as_str(), if server.disabled { " disabled\n" } else { "\n" }]);

        let addable = self.addable && (server.keywords.cookie.is_none() || self.version.takes_cookie_live());
        if self.live && addable {
            return;
        }
        let weight = match weight {
            _ if self.live => None,
            // A static algorithm takes 0 live, and 100 %, but no other weight.
            Some(Weight::ZERO) => server.keywords.weight,
            weight => weight,
        };
        self.fixed.push_str(server.name.as_str());
        write_own(&server.keywords, weight, &mut self.fixed);
        self.fixed.extend([self.text.as_str(), "\n"]);
    }

    fn make_text(&mut self, keywords: &'d ServerKeywords) {
        if self.of.is_some_and(|of| are_alike(of, keywords)) {
            return;
        }
        let init_state = keywords.init_state.filter(|_| self.version.takes_init_state_live());
        let shared = ServerKeywords { id: None, weight: None, cookie: None, init_state, ..keywords.clone() };
        self.text.clear();
        _ = write!(self.text, "{shared}");
        self.addable = shared.oldest_version() <= self.version;
        self.of = Some(keywords);
    }
}

/// What each server has of its own.
fn write_own(keywords: &ServerKeywords, weight: Option<Weight>, out: &mut String) {
    if let Some(id) = keywords.id {
        _ = write!(out, " id {}", id.get());
    }
    if let Some(weight) = weight {
        _ = write!(out, " weight {}", weight.get());
    }
    if let Some(cookie) = &keywords.cookie {
        out.extend([" cookie ", cookie.as_str()]);
    }
}

/// Whether two are the same but for what each server has of its own.
fn are_alike(one: &ServerKeywords, other: &ServerKeywords) -> bool {
    // A keyword that is new has to be named here.
    let ServerKeywords {
        maxconn,
        backup,
        slowstart,
        init_state,
        check,
        tls,
        send_proxy,
        id: _,
        weight: _,
        cookie: _,
    } = other;
    one.maxconn == *maxconn
        && one.backup == *backup
        && one.slowstart == *slowstart
        && one.init_state == *init_state
        && one.check == *check
        && one.tls == *tls
        && one.send_proxy == *send_proxy
}
