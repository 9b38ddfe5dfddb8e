//! What becomes of one instance: a machine, left out, unknown, or of no service.

use std::collections::BTreeMap;

use compact_str::CompactString;
use roster_core::fleet::unreadable;
use roster_core::instance::{Health, Lifecycle, Reject};

use super::Groups;
use crate::known::Known;
use crate::settings::Query;
use crate::wire::{Ec2Instance, GROUP_TAG, Group, Member};

/// What a group's word for an instance's state means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It has not been in service yet.
    NotYet,
    InService,
    Leaving,
}

/// What is known of an instance by its group.
#[derive(Clone, Copy, Debug)]
enum Word<'a> {
    /// It is in none, or its group could not be asked.
    None,
    Member(&'a Group, &'a Member),
    /// It names this group, and the group does not list it.
    NotListed(&'a str),
}

/// What becomes of an instance.
pub(super) enum Outcome {
    Machine,
    /// What was known of it stays.
    Unknown,
    Reject(Reject),
    /// It is gone, or in no service.
    NoService,
}

/// What judges an instance.
pub(super) struct Judge<'a> {
    pub(super) query: &'a Query,
    pub(super) known: &'a Known<'a>,
    pub(super) groups: Option<&'a Groups>,
    pub(super) members: BTreeMap<&'a str, (&'a Group, &'a Member)>,
}

impl Judge<'_> {
    /// A member that EC2 does not know: the two contradict each other, unless its group ends it.
    pub(super) fn is_still_there(&self, id: &str) -> bool {
        let member = self.members.get(id);
        self.known.has(id) && member.is_some_and(|(_, member)| standing(&member.state) == Standing::InService)
    }

    /// What becomes of an instance; one that is a machine learns what its group says of it.
    pub(super) fn judge(&self, instance: &mut Ec2Instance) -> Outcome {
        if !instance.runs {
            return Outcome::NoService;
        }
        if self.groups.is_none() && self.stays_as_it_was(instance) {
            return Outcome::Unknown;
        }
        let own = instance.tags.has(&self.query.rules.name);
        let named: Option<CompactString> = instance.tags.get(GROUP_TAG).map(Into::into);
        let member = self.members.get(instance.id.as_str()).copied();
        let word = match (member, named.as_deref()) {
            (Some((group, member)), _) => Word::Member(group, member),
            (None, Some(name)) if self.groups.is_some_and(|groups| groups.has(name)) => Word::NotListed(name),
            (None, _) => Word::None,
        };
        let is_tagged = |group: &Group| self.groups.is_some_and(|all| all.tagged.contains_key(&group.name));
        if let Some((group, _)) = member.filter(|(group, _)| is_tagged(group)) {
            instance.tags.add_missing(&group.tags);
        }
        if !instance.tags.has(&self.query.rules.name) {
            return Outcome::NoService;
        }
        let id = instance.id.as_str();
        match self.lifecycle(id, word, own) {
            Ok(lifecycle) => instance.lifecycle = lifecycle,
            Err(reason) => return Outcome::Reject(Reject::aside(id, reason)),
        }
        if let Word::Member(group, member) = word {
            instance.health = health(member);
            instance.group = Some(group.name.as_str().into());
        } else {
            instance.group = named;
        }
        if instance.address.is_some() {
            return Outcome::Machine;
        }
        let address = self.query.address;
        let reason =
            format!("it has no private address{address}; give it one, or take the service's tag from it");
        Outcome::Reject(unreadable(id, id, reason))
    }

    /// While groups may not be read, what one said of an instance before stays.
    fn stays_as_it_was(&self, instance: &Ec2Instance) -> bool {
        let own = instance.tags.has(&self.query.rules.name);
        let in_group = instance.tags.has(GROUP_TAG);
        let id = instance.id.as_str();
        if !own {
            // It was asked by its id, since it was in a group.
            return self.known.has(id);
        }
        in_group && (self.known.is_by_group(id) || self.known.left_out(id))
    }

    fn lifecycle(&self, id: &str, word: Word<'_>, own: bool) -> Result<Lifecycle, String> {
        let reason = match word {
            Word::None => return Ok(Lifecycle::InService),
            Word::Member(_, member) => match standing(&member.state) {
                Standing::InService if member.state == "Detaching" && !own => return Ok(Lifecycle::Leaving),
                Standing::InService => return Ok(Lifecycle::InService),
                Standing::Leaving => return Ok(Lifecycle::Leaving),
                Standing::NotYet => format!(
                    "its Auto Scaling group says {}, so it is not in service yet; nothing is to be done",
                    member.state
                ),
            },
            Word::NotListed(group) => format!(
                "its Auto Scaling group {group:?} does not list it among its instances, as one of a warm pool, so it is not in \
                 service; nothing is to be done"
            ),
        };
        // One that was in service goes back to the pool: what it has begun it may end.
        if self.known.has(id) { Ok(Lifecycle::Leaving) } else { Err(reason) }
    }
}

fn health(member: &Member) -> Health {
    match member.health.as_deref() {
        Some(said) if said.eq_ignore_ascii_case("healthy") => Health::Passing,
        Some(said) if said.eq_ignore_ascii_case("unhealthy") => Health::Failing,
        _ => Health::Unknown,
    }
}

/// States of an instance's life in its group (EC2 Auto Scaling's user guide, "Instance lifecycle"). A state that AWS adds
/// later takes no instance out of service.
pub(super) fn standing(state: &str) -> Standing {
    let first = state.split(':').next().unwrap_or_default();
    match first {
        "Pending" | "Warmed" => Standing::NotYet,
        "Terminating"
        | "Terminated"
        | "EnteringStandby"
        | "Standby"
        | "Quarantined"
        | "ReplacingRootVolume"
        | "RootVolumeReplaced" => Standing::Leaving,
        // A detached instance goes on by itself: whether it serves is for its tags to say.
        _ => Standing::InService,
    }
}
