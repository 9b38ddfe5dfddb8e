//! What an operator may ask for beyond the configuration: let a held change go, take a server back.
//!
//! Both are steps on the record of a target alone; the next pass acts on them. So they work on the running roster and
//! on the state folder of one that is not running.

use roster_core::applied::{Applied, AppliedBackend};
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::did_you_mean;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Want {
    /// Let what a guard holds back go through.
    Release { backend: BackendName },
    /// Take a server back from whoever changed it by hand.
    Adopt { backend: BackendName, server: ServerName },
}

/// What came of it on one target.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) target: TargetName,
    pub(crate) backend: BackendName,
    /// The server that was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerName>,
    /// How many servers it is about.
    pub(crate) servers: usize,
    /// The same in words.
    pub(crate) message: String,
}

/// Why nothing came of it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Refused {
    /// Nothing is called so.
    #[error("{0}")]
    Unknown(String),
    /// There is nothing to be done.
    #[error("{0}")]
    Nothing(String),
    /// Not now.
    #[error("{0}")]
    Busy(String),
}

impl Want {
    /// The backend it is about.
    pub(crate) fn backend(&self) -> &BackendName {
        match self {
            Want::Release { backend } | Want::Adopt { backend, .. } => backend,
        }
    }

    /// Does it to the record of a target.
    pub(crate) fn carry_out(&self, target: &TargetName, applied: &mut Applied) -> Result<Done, Refused> {
        let backend = self.backend();
        let known: Vec<String> = applied.backends.keys().map(ToString::to_string).collect();
        let Some(record) = applied.backends.get_mut(backend) else {
            let hint = did_you_mean(backend.as_str(), known.iter().map(String::as_str));
            return Err(Refused::Unknown(format!(
                "{target} has no backend {backend} that Roster keeps{hint}"
            )));
        };
        let (server, servers, message) = match self {
            Want::Release { .. } => {
                let released = record.release().ok_or_else(|| {
                    Refused::Nothing(format!("{target} {backend}: nothing is held back there"))
                })?;
                let servers = released.hold.as_ref().map_or(0, |hold| hold.leaving) + released.flapping;
                (None, servers, format!("{target} {backend}: let go: {released}"))
            }
            Want::Adopt { server, .. } => {
                let message = adopt(target, backend, server, record)?;
                (Some(server.clone()), 1, message)
            }
        };
        Ok(Done { target: target.clone(), backend: backend.clone(), server, servers, message })
    }
}

fn adopt(
    target: &TargetName,
    backend: &BackendName,
    server: &ServerName,
    record: &mut AppliedBackend,
) -> Result<String, Refused> {
    if !record.servers.contains_key(server) {
        let hint = did_you_mean(server.as_str(), record.servers.keys().map(ServerName::as_str));
        let text = format!("{target} {backend} has no server {server} that Roster keeps{hint}");
        return Err(Refused::Unknown(text));
    }
    match record.adopt(server) {
        Some(hold) => Ok(format!(
            "{target} {backend}/{server}: taken back, an operator's {hold} since {:.0} ends",
            hold.since
        )),
        None => {
            Err(Refused::Nothing(format!("{target} {backend}/{server}: nobody but Roster has changed it")))
        }
    }
}

/// What came of it on all targets together: all that was done, or else the refusal that says most.
pub(crate) fn together(results: Vec<Result<Done, Refused>>) -> Result<Vec<Done>, Refused> {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => done.push(one),
            Err(one) => refused.push(one),
        }
    }
    if !done.is_empty() {
        return Ok(done);
    }
    let busy = refused.iter().find(|one| matches!(one, Refused::Busy(_)));
    let said = busy.or_else(|| refused.iter().find(|one| matches!(one, Refused::Nothing(_))));
    let said = said.or(refused.first()).cloned();
    Err(said.unwrap_or_else(|| Refused::Nothing("there is no target".into())))
}

/// The targets that are meant: the one that is named, else all.
pub(crate) fn meant<'a>(
    named: Option<&TargetName>,
    all: impl Iterator<Item = &'a TargetName>,
) -> Result<Vec<TargetName>, Refused> {
    let all: Vec<TargetName> = all.cloned().collect();
    match named {
        None => Ok(all),
        Some(named) if all.contains(named) => Ok(vec![named.clone()]),
        Some(named) => {
            let hint = did_you_mean(named.as_str(), all.iter().map(TargetName::as_str));
            Err(Refused::Unknown(format!("there is no target {named}{hint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use roster_core::applied::{AppliedServer, OperatorHold, Phase};
    use roster_core::guard::{Guard, GuardRecord, Hold};
    use roster_haproxy::observed::State;

    use super::*;

    fn target() -> TargetName {
        "local".parse().unwrap()
    }

    fn record() -> Applied {
        let server =
            AppliedServer { confirmed: true, ..AppliedServer::new(Phase::Serving, Timestamp::UNIX_EPOCH) };
        let maint = OperatorHold { state: Some(State::Maint), weight: None, since: Timestamp::UNIX_EPOCH };
        let kept = AppliedServer { operator: Some(maint), ..server.clone() };
        let hold = Hold {
            guard: Guard::Share,
            since: Timestamp::UNIX_EPOCH,
            answer: Timestamp::UNIX_EPOCH,
            answers: 1,
            leaving: 3,
            of: 4,
        };
        let bare = serde_json::json!({
            "service": { "source": "fleet", "service": "web" },
            "role": "primary", "names": "address", "parking": "127.0.0.1:1", "drain_cap_ms": 0, "servers": {},
        });
        let backend = AppliedBackend {
            servers: [("srv1".parse().unwrap(), kept), ("srv2".parse().unwrap(), server)].into(),
            guard: GuardRecord { hold: Some(hold), ..GuardRecord::default() },
            ..serde_json::from_value(bare).unwrap()
        };
        Applied { backends: [("web".parse().unwrap(), backend)].into(), ..Applied::default() }
    }

    fn release(backend: &str) -> Want {
        Want::Release { backend: backend.parse().unwrap() }
    }

    fn adopt(server: &str) -> Want {
        Want::Adopt { backend: "web".parse().unwrap(), server: server.parse().unwrap() }
    }

    #[test]
    fn a_release_says_how_many_go_and_marks_the_record() {
        let mut applied = record();
        let done = release("web").carry_out(&target(), &mut applied).unwrap();
        assert_eq!(done.servers, 3);
        assert_eq!(done.message, "local web: let go: 3 of 4 servers would leave at once");
        assert!(applied.backends["web"].guard.released);
    }

    #[test]
    fn an_adoption_says_what_ends_and_there_is_nothing_to_adopt_twice() {
        let mut applied = record();
        let done = adopt("srv1").carry_out(&target(), &mut applied).unwrap();
        assert!(done.message.contains("an operator's state maint since 1970-01-01"), "{}", done.message);
        assert!(!applied.backends["web"].servers["srv1"].confirmed);
        for server in ["srv1", "srv2"] {
            let refused = adopt(server).carry_out(&target(), &mut applied).unwrap_err();
            assert!(matches!(refused, Refused::Nothing(_)), "{refused}");
        }
        assert!(applied.backends["web"].servers["srv2"].confirmed, "a refusal changed the record");
    }

    #[test]
    fn who_mistypes_is_told_what_was_probably_meant() {
        let mut applied = record();
        let says =
            |want: Want, applied: &mut Applied| want.carry_out(&target(), applied).unwrap_err().to_string();
        assert_eq!(
            says(release("wbe"), &mut applied),
            "local has no backend wbe that Roster keeps (did you mean web?)"
        );
        assert_eq!(
            says(adopt("srv3"), &mut applied),
            "local web has no server srv3 that Roster keeps (did you mean srv1?)"
        );
        let other = meant(Some(&"locla".parse().unwrap()), [target()].iter()).unwrap_err();
        assert_eq!(other.to_string(), "there is no target locla (did you mean local?)");
    }

    #[test]
    fn what_is_done_on_one_target_counts_though_another_has_nothing_to_do() {
        let done = release("web").carry_out(&target(), &mut record());
        let nothing = || Err(Refused::Nothing("nothing".into()));
        let unknown = || Err(Refused::Unknown("unknown".into()));
        assert_eq!(together(vec![nothing(), done.clone(), unknown()]), Ok(vec![done.unwrap()]));
        assert_eq!(together(vec![unknown(), nothing()]), Err(Refused::Nothing("nothing".into())));
        assert_eq!(together(vec![unknown()]), Err(Refused::Unknown("unknown".into())));
    }
}
