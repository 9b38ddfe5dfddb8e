//! What is to be known of single servers and their records.

use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::Refusal;
use roster_haproxy::name::{BackendName, ServerName, TargetName};

use super::{About, Event, Level};
use crate::hint;

/// HAProxy does not keep the records that there is no folder for.
pub(crate) struct NotRemembered<'a> {
    pub target: &'a TargetName,
    pub refusal: &'a Refusal,
}

/// An instance that is to come up by probe was not reached, for another reason than before.
pub(crate) struct NotReached<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub server: &'a ServerName,
    pub endpoint: Option<Endpoint>,
    pub why: &'a str,
    /// Whether it is one of so many that [`NotReachedMany`] reports them.
    pub of_many: bool,
}

/// Many instances of a target that are to come up by probe are not reached.
pub(crate) struct NotReachedMany<'a> {
    pub target: &'a TargetName,
    /// More than so many.
    pub more_than: usize,
}

impl Event for NotRemembered<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!(
            "HAProxy does not keep Roster's records: {}; what is unfinished when Roster ends will look like an operator's \
             doing; give Roster a state folder",
            self.refusal
        );
        ("not_remembered", message, About { target: Some(self.target.to_string()), ..About::default() })
    }
}

impl Event for NotReached<'_> {
    fn level(&self) -> Level {
        if self.of_many { Level::Debug } else { Level::Info }
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Self { target, backend, server, endpoint, why, of_many: _ } = self;
        let about = About {
            target: Some(target.to_string()),
            backend: Some(backend.to_string()),
            server: Some(server.to_string()),
            reason: Some((*why).to_owned()),
            ..About::default()
        };
        let at = endpoint.map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        (
            "not_reached",
            format!("{server}: the instance{at} was not reached and gets no traffic yet; it is tried again"),
            about,
        )
    }
}

impl Event for NotReachedMany<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!(
            "more than {} instances were not reached and get no traffic yet; they are tried again{}",
            self.more_than,
            hint::so("status", "shows each")
        );
        ("not_reached_many", message, About { target: Some(self.target.to_string()), ..About::default() })
    }
}
