//! What an answer means: done, or refused and why.
//!
//! For most commands success is no text at all. The few texts that also mean success are listed here, command by
//! command; every other text is a [`Refusal`], so that a new wording of HAProxy is noticed and not passed over.

use std::net::IpAddr;

use thiserror::Error;

use super::command::Command;
use crate::address::Endpoint;

/// How much of an unknown text an error repeats.
const SHOWN: usize = 300;

/// What is said of an address or port that is as it was.
const UNCHANGED: [&str; 3] = ["nothing changed", "no need to change the addr", "no need to change the port"];

/// One answer, without the prompt that ends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply(Said);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Said {
    Text(String),
    NotTried(String),
}

/// What HAProxy did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// It did what it was told, or answered what it was asked.
    Done,
    /// It was so already.
    Unchanged,
    /// It did it and has something to say about it.
    Warned(String),
}

/// Why HAProxy did not do it. The text says what an operator can do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// No backend of this name.
    #[error("there is no such backend; check its name against `show backend`")]
    NoSuchBackend,
    /// No server of this name.
    #[error("there is no such server in the backend; it was renamed, deleted, or never added")]
    NoSuchServer,
    /// The backend's balance algorithm cannot take servers live, or the backend is disabled.
    #[error(
        "the backend cannot take servers live ({0}); use roundrobin, leastconn, random, or `hash-type consistent`"
    )]
    NotDynamicAlgorithm(String),
    /// The backend's balance algorithm has fixed weights.
    #[error("the backend's balance algorithm takes only the weights 0% and 100%; use `hash-type consistent`")]
    WeightNotAllowed,
    /// The server to delete still has connections.
    #[error("the server still has connections; it can be deleted once they ended")]
    StillHasConnections,
    /// The server to delete is not in maintenance.
    #[error("the server is not in maintenance; only then can it be deleted")]
    NotInMaint,
    /// Something else in the configuration points to the server to delete.
    #[error("the configuration refers to the server (`track`, `use-server`); it cannot be deleted live")]
    Referenced,
    /// The name is taken.
    #[error("the backend already has a server of this name")]
    DuplicateName,
    /// The number is taken.
    #[error("the backend already has a server of this id ({0})")]
    DuplicateId(String),
    /// This version does not know a keyword, or does not take it live.
    #[error("this version of HAProxy does not take a setting live ({0}); leave it out or update HAProxy")]
    UnknownKeyword(String),
    /// `enable health` on a server without `check`.
    #[error("the server has no `check` on its line; add it there, checks cannot be configured live")]
    NoCheck,
    /// The socket's level is too low.
    #[error("\"Permission denied\": give the `stats socket` line `level admin`")]
    PermissionDenied,
    /// The proxy is disabled, or the process that answers was replaced by a reload.
    #[error("the proxy is disabled, or this process was replaced by a reload")]
    ProxyDisabled,
    /// This version does not know the command.
    #[error("this HAProxy does not know the command; version 2.6 is the oldest that does")]
    UnknownCommand,
    /// It set something else than it was told.
    #[error("HAProxy set something else than it was told ({0})")]
    Mismatch(String),
    /// It answered that it did it, and goes on to show what was before.
    #[error("HAProxy took it, and shows no effect")]
    NoEffect,
    /// It was kept back, because what it builds on was not done.
    #[error("not tried, because {0}")]
    NotTried(String),
    /// A text that is not known.
    #[error("HAProxy answered {0:?}")]
    Other(String),
}

impl Reply {
    /// Wraps an answer as it was received.
    pub fn new(text: String) -> Self {
        Self(Said::Text(text))
    }

    /// Stands for the answer to a command that was kept back, and says why.
    pub fn not_tried(why: String) -> Self {
        Self(Said::NotTried(why))
    }

    /// The text; empty if the command was kept back.
    pub fn text(&self) -> &str {
        match &self.0 {
            Said::Text(text) => text,
            Said::NotTried(_) => "",
        }
    }

    /// What the answer to this command means.
    pub fn verdict(&self, command: &Command) -> Result<Accepted, Refusal> {
        let text = match &self.0 {
            Said::Text(text) => text.trim(),
            Said::NotTried(why) => return Err(Refusal::NotTried(why.clone())),
        };
        match command {
            // Their parsers tell an answer from a refusal; here only what is known for certain.
            query if query.is_query() => Refusal::find(text).map_or(Ok(Accepted::Done), Err),
            _ if text.is_empty() => silent(command),
            Command::SetAddr { to, .. } => address_change(text, *to),
            Command::AddServer { .. } => ends_with(text, "New server registered."),
            Command::DelServer(_) => ends_with(text, "Server deleted."),
            Command::Backend(command) => ends_with(text, command.success()),
            _ => Err(Refusal::of(text)),
        }
    }
}

/// No text is success, except where every version says something.
fn silent(command: &Command) -> Result<Accepted, Refusal> {
    match command {
        Command::SetAddr { .. } | Command::AddServer { .. } | Command::DelServer(_) | Command::Backend(_) => {
            Err(Refusal::Other(String::new()))
        }
        _ => Ok(Accepted::Done),
    }
}

/// Success is the last line; what comes before it are warnings.
fn ends_with(text: &str, success: &str) -> Result<Accepted, Refusal> {
    match text.strip_suffix(success) {
        Some("") => Ok(Accepted::Done),
        Some(warnings) if warnings.ends_with('\n') => Ok(Accepted::Warned(warnings.trim_end().to_owned())),
        _ => Err(Refusal::of(text)),
    }
}

/// `IP changed from 'a' to 'b', port changed from 'c' to 'd' by 'stats socket command'`. 2.6 and 2.8 name what did
/// not change, 3.0 and later only what did. One clause can be a refusal while the other was carried out.
fn address_change(text: &str, to: Endpoint) -> Result<Accepted, Refusal> {
    let clauses = text.strip_suffix(" by 'stats socket command'").unwrap_or(text);
    let mut accepted = Accepted::Unchanged;
    for clause in clauses.split(',').map(str::trim_start) {
        let same = match new_value(clause) {
            Some(("IP", ip)) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == to.ip),
            Some(("port", port)) => port.parse() == Ok(to.port.get()),
            None if UNCHANGED.contains(&clause) => continue,
            _ => return Err(Refusal::of(text)),
        };
        if !same {
            return Err(Refusal::Mismatch(shown(text)));
        }
        accepted = Accepted::Done;
    }
    Ok(accepted)
}

/// Of `IP changed from 'a' to 'b'` what changed, and `b`.
fn new_value(clause: &str) -> Option<(&str, &str)> {
    let mut parts = clause.split('\'');
    let what = parts.next()?.strip_suffix(" changed from ")?;
    let (_old, to, new, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (to == " to " && end.is_empty() && parts.next().is_none()).then_some((what, new))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Refusal {
    /// Whether the socket or the process refuses, so that another server would be refused the same.
    pub fn is_by_socket(&self) -> bool {
        matches!(
            self,
            Self::PermissionDenied | Self::UnknownCommand | Self::ProxyDisabled | Self::NoSuchBackend
        )
    }

    /// What a text that is not success means.
    fn of(text: &str) -> Self {
        Self::find(text).unwrap_or_else(|| Self::Other(shown(text)))
    }

    /// The kind of a refusal that is known, recorded from 2.6.12, 3.0.11 and 3.2.0, or read in the source of 3.4.
    pub(super) fn find(text: &str) -> Option<Self> {
        let text = text.trim();
        // Some commands add warnings before the refusal and some a full stop after it.
        let last = text.lines().next_back().unwrap_or_default().trim_end_matches('.');
        Some(match last {
            "No such backend" | "Can't find backend" | "No such proxy" => Self::NoSuchBackend,
            "No such server" => Self::NoSuchServer,
            "Permission denied" => Self::PermissionDenied,
            "Proxy is disabled" => Self::ProxyDisabled,
            "Only servers in maintenance mode can be deleted" => Self::NotInMaint,
            "Server still has connections attached to it, cannot remove it" => Self::StillHasConnections,
            "Already exists a server with the same name in backend" => Self::DuplicateName,
            "Health check was not configured on this server, cannot enable" => Self::NoCheck,
            _ => return Self::find_in(text, last),
        })
    }

    fn find_in(text: &str, last: &str) -> Option<Self> {
        let detail = || shown(text);
        if last.starts_with("Backend is using a static LB algorithm") {
            Some(Self::WeightNotAllowed)
        } else if last.starts_with("Backend must use a dynamic load balancing")
            || last.starts_with("Backend does not support dynamic servers")
            || last.starts_with("Dynamic servers cannot be used with log backends")
        {
            Some(Self::NotDynamicAlgorithm(detail()))
        } else if last.starts_with("This server cannot be removed at runtime") {
            Some(Self::Referenced)
        } else if last.starts_with("'id' : custom id ") && last.contains(" already used ") {
            Some(Self::DuplicateId(detail()))
        } else if last.starts_with("unknown keyword '")
            || last.ends_with("option is not accepted for dynamic server")
        {
            Some(Self::UnknownKeyword(detail()))
        } else if text.starts_with("Unknown command") {
            Some(Self::UnknownCommand)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
