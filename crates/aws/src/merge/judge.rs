//! What becomes of one instance: a machine, left out, unknown, or of no service.

use std::collections::BTreeMap;

use roster_core::fleet::{Machine, unreadable};
use roster_core::instance::{Health, Lifecycle, Reject};

use super::Groups;
use crate::known::Known;
use crate::region::Region;
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
    Machine(Box<Machine>),
    Unknown(String),
    Reject(Reject),
    Nobodys,
}

/// What judges an instance.
pub(super) struct Judge<'a> {
    pub(super) region: &'a Region,
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

    pub(super) fn judge(&self, mut instance: Ec2Instance) -> Outcome {
        if self.groups.is_none() && self.stays_as_it_was(&instance) {
            return Outcome::Unknown(instance.id);
        }
        let (name, member) =
            (instance.tags.get(GROUP_TAG).cloned(), self.members.get(instance.id.as_str()).copied());
        let word = match (member, &name) {
            (Some((group, member)), _) => Word::Member(group, member),
            (None, Some(name)) if self.groups.is_some_and(|groups| groups.has(name)) => Word::NotListed(name),
            (None, _) => Word::None,
        };
        let own = instance.tags.contains_key(&self.query.rules.name);
        if let Some((group, _)) =
            member.filter(|(group, _)| self.groups.is_some_and(|all| all.tagged.contains_key(&group.name)))
        {
            for (key, value) in &group.tags {
                instance.tags.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        if !instance.tags.contains_key(&self.query.rules.name) {
            return Outcome::Nobodys;
        }
        match self.lifecycle(&instance.id, word, own) {
            Ok(lifecycle) => self.machine(instance, word, lifecycle),
            Err(reason) => Outcome::Reject(Reject::aside(instance.id, reason)),
        }
    }

    /// While groups may not be read, what one said of an instance before stays.
    fn stays_as_it_was(&self, instance: &Ec2Instance) -> bool {
        let own = instance.tags.contains_key(&self.query.rules.name);
        let in_group = instance.tags.contains_key(GROUP_TAG);
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

    fn machine(&self, instance: Ec2Instance, word: Word<'_>, lifecycle: Lifecycle) -> Outcome {
        let Ec2Instance { id, owner, address, zone, launched, tags, .. } = instance;
        let Some(address) = address else {
            let reason = format!(
                "it has no private address{}; give it one, or take the service's tag from it",
                self.query.address
            );
            return Outcome::Reject(unreadable(&id, id.as_str(), reason));
        };
        let (group, health) = match word {
            Word::Member(group, member) => (Some(group.name.clone()), health(member)),
            Word::NotListed(_) | Word::None => (tags.get(GROUP_TAG).cloned(), Health::Unknown),
        };
        let name = tags.get("Name").filter(|name| !name.is_empty()).unwrap_or(&id).clone();
        let region = self.region.as_str().to_owned();
        Outcome::Machine(Box::new(Machine {
            id,
            name,
            address,
            zone,
            region,
            group,
            account: owner,
            created: launched,
            health,
            lifecycle,
            tags,
        }))
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
