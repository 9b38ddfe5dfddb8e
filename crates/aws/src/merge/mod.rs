//! Instances and groups as machines.
//!
//! Invariants:
//! - A machine has the tags of its group where it has none of its own of that key, if the group carries the service's tag.
//!   So what a filter at the API left out is also what the same rule would leave out here.
//! - A group's own answer says more of an instance than the instance's tag.
//! - A machine that is not in an answer is gone, or it is nobody's, or too little is known of it; only what is known to be one
//!   of the first two is left out, and of the third what was known stays.

mod judge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use roster_core::fleet::Machine;
use roster_core::instance::Reject;

use self::judge::{Judge, Outcome};
use crate::known::Known;
use crate::question::{Batch, IDS_AT_ONCE, NAMES_AT_ONCE};
use crate::region::Region;
use crate::settings::Query;
use crate::wire::{Ec2Instance, GROUP_TAG, Group, Member};

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Found {
    instances: BTreeMap<String, Ec2Instance>,
    /// None if groups may not be read.
    pub(crate) groups: Option<Groups>,
    /// Members of groups that EC2 does not know.
    missing: BTreeSet<String>,
}

/// What groups say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    /// Those that carry the service's tag.
    tagged: BTreeMap<String, Group>,
    /// Those that are asked only for what they say of their members.
    others: BTreeMap<String, Group>,
}

impl Default for Found {
    fn default() -> Self {
        Self { instances: BTreeMap::new(), groups: Some(Groups::default()), missing: BTreeSet::new() }
    }
}

impl Found {
    pub(crate) fn add_instances(&mut self, instances: Vec<Ec2Instance>) {
        self.instances.extend(instances.into_iter().map(|instance| (instance.id.clone(), instance)));
    }

    pub(crate) fn add_tagged(&mut self, groups: Vec<Group>) {
        self.groups.get_or_insert_default().tagged.extend(by_name(groups));
    }

    pub(crate) fn add_others(&mut self, groups: Vec<Group>) {
        self.groups.get_or_insert_default().others.extend(by_name(groups));
    }

    pub(crate) fn add_missing(&mut self, ids: BTreeSet<String>) {
        self.missing.extend(ids);
    }

    /// The instances to be asked by id: members of tagged groups that no question by tag has found; where groups may not be
    /// read, those that were in a group before.
    pub(crate) fn to_ask(&self, known: &Known<'_>) -> Vec<Batch<IDS_AT_ONCE>> {
        let members = self.groups.iter().flat_map(|groups| groups.tagged.values());
        let members = members.flat_map(|group| &group.members).map(|member| member.id.as_str());
        let before = self.groups.is_none().then(|| known.in_groups());
        let all = members.chain(before.into_iter().flatten());
        let unknown: BTreeSet<&str> = all.filter(|&id| !self.instances.contains_key(id)).collect();
        Batch::of(unknown.into_iter().map(str::to_owned))
    }

    /// Groups that an instance names as its own and that have not been asked.
    pub(crate) fn unknown_groups(&self) -> Vec<Batch<NAMES_AT_ONCE>> {
        let known = |name: &String| self.groups.iter().any(|groups| groups.tagged.contains_key(name));
        let named = self.instances.values().filter_map(|instance| instance.tags.get(GROUP_TAG));
        let unknown: BTreeSet<&String> = named.filter(|&name| !known(name)).collect();
        Batch::of(unknown.into_iter().cloned())
    }

    /// The machines that run and carry the tag, by their id; those of which too little is known; what had to be left out.
    pub(crate) fn machines(
        self,
        region: &Region,
        query: &Query,
        known: &Known<'_>,
    ) -> (Vec<Machine>, Vec<String>, Vec<Reject>) {
        let Self { instances, groups, missing } = self;
        let members = groups.as_ref().map(Groups::members).unwrap_or_default();
        let judge = Judge { region, query, known, groups: groups.as_ref(), members };
        let (mut machines, mut rejects) = (Vec::new(), Vec::new());
        let mut unknown: Vec<String> = missing.into_iter().filter(|id| judge.is_still_there(id)).collect();
        for instance in instances.into_values().filter(|instance| instance.runs) {
            match judge.judge(instance) {
                Outcome::Machine(machine) => machines.push(*machine),
                Outcome::Unknown(id) => unknown.push(id),
                Outcome::Reject(reject) => rejects.push(reject),
                Outcome::Nobodys => {}
            }
        }
        (machines, unknown, rejects)
    }
}

impl Groups {
    fn members(&self) -> BTreeMap<&str, (&Group, &Member)> {
        let groups = self.tagged.values().chain(self.others.values());
        groups
            .flat_map(|group| group.members.iter().map(move |member| (member.id.as_str(), (group, member))))
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        self.tagged.contains_key(name) || self.others.contains_key(name)
    }
}

fn by_name(groups: Vec<Group>) -> impl Iterator<Item = (String, Group)> {
    groups.into_iter().map(|group| (group.name.clone(), group))
}
