mod edit;
mod header;
mod live;
mod objects;
mod pass;
mod properties;
mod routes;
mod view;

use crate::address::Endpoint;
use crate::change::{Change, ServerOperation};
use crate::dataplane::*;
use crate::keywords::ServerKeywords;
use crate::keywords::{CheckKeywords, HostName};
use crate::name::{BackendName, ServerName};
use crate::render::{Backend, FrontendName, HttpCheck, Mode, PathPrefix, Pool, Route, RouteKey, ServerLine};
use crate::version::Version;
use crate::weight::{ServerId, Weight};

/// As it was written by hand, and what Data Plane API 2.9 and 3.2 made of it.
const BY_HAND: &str = include_str!("texts/by-hand.cfg");
const BY_API: &str = include_str!("texts/by-api.cfg");

/// What may stand in a file that is neither ours nor simple.
const ODD: &str = include_str!("texts/odd.cfg");

#[derive(Clone, Debug)]
struct Operation {
    backend: BackendName,
    server: ServerName,
    change: Change,
}

impl ServerOperation for Operation {
    fn backend(&self) -> &BackendName {
        &self.backend
    }

    fn server(&self) -> &ServerName {
        &self.server
    }

    fn change(&self) -> &Change {
        &self.change
    }
}

const V3_0: Version = Version::new(3, 0, 11);

fn backend(name: &str) -> BackendName {
    name.parse().unwrap()
}

fn server(name: &str) -> ServerName {
    name.parse().unwrap()
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn weight(number: u32) -> Weight {
    Weight::new(number).unwrap()
}

fn frontend(name: &str) -> FrontendName {
    name.parse().unwrap()
}

fn mark(service: &str) -> Mark {
    Mark::read(&format!("# Kept by Roster: service {service}")).unwrap()
}

fn change(of: &str, name: &str, change: ServerChange) -> Edit {
    Edit::Server { backend: backend(of), server: server(name), change }
}

fn line(number: u32) -> ServerLine {
    let check = CheckKeywords { inter: Some(500.try_into().unwrap()), ..CheckKeywords::default() };
    ServerLine {
        name: server(&format!("srv{number}")),
        at: endpoint(&format!("10.0.0.{number}:80")),
        keywords: ServerKeywords {
            id: ServerId::new(number),
            check: Some(check),
            ..ServerKeywords::default()
        },
        weight: None,
        disabled: false,
    }
}

fn whole(name: &str, servers: u32) -> Backend {
    let check = HttpCheck {
        method: crate::render::CheckMethod::Get,
        path: "/health".parse().unwrap(),
        host: Some(HostName::new("web.example").unwrap()),
        expect: None,
    };
    let pool = Pool {
        cookie: Some("SRV".parse().unwrap()),
        check: Some(check),
        servers: (1..=servers).map(line).collect(),
        ..Pool::default()
    };
    Backend { name: backend(name), mode: Mode::Http, strip_prefix: None, lines: Vec::new(), pool }
}

fn put(service: &str, backend: Backend) -> Edit {
    Edit::PutBackend { mark: mark(service), backend: Box::new(backend) }
}

fn route(host: &str, path: &str, to: &str) -> Route {
    let host = || HostName::new(host).unwrap();
    let prefix = || PathPrefix::new(path).unwrap();
    let of = match (host().as_str(), path) {
        (_, "") => RouteKey::Host(host()),
        ("any", _) => RouteKey::Path(prefix()),
        _ => RouteKey::HostAndPath(host(), prefix()),
    };
    Route { of, to: backend(to) }
}

fn edited(text: &str, edits: &[Edit]) -> String {
    apply(text, edits, V3_0).unwrap()
}

/// The lines that one text has and the other has not: `-` before, `+` after.
fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}\n"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}\n"));
    gone.chain(come).collect()
}
