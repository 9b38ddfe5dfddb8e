//! What the line of a server that is added has to say: HAProxy does not apply `default-server` to it.
//!
//! Invariant: a server past the slots is like the slots as far as HAProxy shows what those are and `add server` can say it; where
//! that is not possible and matters, none is added.

use roster_haproxy::keywords::{CheckKeywords, ServerKeywords};
use roster_haproxy::name::ServerName;
use roster_haproxy::observed::ObservedServer;
use roster_haproxy::weight::Weight;

use super::backend::Inputs;
use super::derive::slot_of;

/// The rule's `server:`, and what the slots have besides.
pub(super) fn line(inputs: &Inputs<'_>) -> ServerKeywords {
    let mut line = inputs.exposure.policy.server.clone();
    // Lines that Roster writes say what the rule says.
    if inputs.seen.limits.line_weight.is_some() {
        return line;
    }
    let slots = slots(inputs);
    line.check = line.check.or_else(|| check(&slots));
    let weight = || common(&slots, |slot| Some(slot.initial_weight)).filter(|weight| *weight != Weight::ONE);
    line.weight = line.weight.or_else(weight);
    line.maxconn = line.maxconn.or_else(|| common(&slots, |slot| slot.line.maxconn));
    line
}

/// Whether servers that are added are to have their names as cookies, though no rule says so.
pub(super) fn has_cookie(inputs: &Inputs<'_>) -> bool {
    let slots = slots(inputs);
    !slots.is_empty() && slots.iter().all(|slot| slot.line.cookie_is_name)
}

/// Whether a server that is added would be reached in clear text where the slots are reached over TLS. Whether and how HAProxy
/// verifies the slots' certificates is not shown, so that only a rule can say it.
pub(super) fn lacks_tls(inputs: &Inputs<'_>) -> bool {
    inputs.exposure.policy.server.tls.is_none() && slots(inputs).iter().any(|slot| slot.tls)
}

/// The servers of the slots that HAProxy's file has: HAProxy numbers those itself, unless all of them say their numbers.
fn slots<'a>(inputs: &Inputs<'a>) -> Vec<&'a ObservedServer> {
    let is_slot = |(name, seen): &(&ServerName, &ObservedServer)| {
        seen.fixed_address().is_none() && slot_of(inputs, name, seen.id).is_some()
    };
    let all: Vec<&ObservedServer> =
        inputs.seen.servers.iter().filter(is_slot).map(|(_, seen)| seen).collect();
    let by_file: Vec<&ObservedServer> = all.iter().filter(|seen| !seen.id_is_forced).copied().collect();
    if by_file.is_empty() { all } else { by_file }
}

/// The check that all slots have, as far as it is shown.
fn check(slots: &[&ObservedServer]) -> Option<CheckKeywords> {
    let all_have = !slots.is_empty() && slots.iter().all(|slot| slot.check.configured);
    all_have.then(|| CheckKeywords {
        port: common(slots, |slot| slot.check.port),
        addr: common(slots, |slot| slot.check.address),
        ..CheckKeywords::default()
    })
}

/// What all slots have in common.
fn common<T: PartialEq>(slots: &[&ObservedServer], of: impl Fn(&ObservedServer) -> Option<T>) -> Option<T> {
    let first = of(slots.first()?)?;
    slots.iter().all(|slot| of(slot).as_ref() == Some(&first)).then_some(first)
}
