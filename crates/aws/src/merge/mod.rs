//! Instances and groups as machines.
//!
//! Invariants:
//! - A machine has the tags of its group where it has none of its own of that key, if the group carries the service's tag.
//!   So what a filter at the API left out is also what the same rule would leave out here.
//! - A group's own answer says more of an instance than the instance's tag.
//! - A machine that is not in an answer is gone, or it is of no service, or too little is known of it; only what is known to be one
//!   of the first two is left out, and of the third what was known stays.

mod judge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};

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
    /// One that is there twice counts as it was listed last.
    instances: Vec<Ec2Instance>,
    /// None if groups may not be read.
    pub(crate) groups: Option<Groups>,
    /// Members of groups that EC2 does not know.
    missing: BTreeSet<String>,
}

/// The machines of a listing, by id. Each is made when it is taken.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    region: String,
    /// Each has an address.
    instances: Vec<Ec2Instance>,
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
        Self { instances: Vec::new(), groups: Some(Groups::default()), missing: BTreeSet::new() }
    }
}

impl Found {
    pub(crate) fn add_instances(&mut self, instances: Vec<Ec2Instance>) {
        self.instances.extend(instances);
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
        let found: HashSet<&str> = self.instances.iter().map(|instance| instance.id.as_str()).collect();
        let unknown: BTreeSet<&str> = all.filter(|&id| !found.contains(id)).collect();
        Batch::of(unknown.into_iter().map(str::to_owned))
    }

    /// Groups that an instance names as its own and that have not been asked.
    pub(crate) fn unknown_groups(&self) -> Vec<Batch<NAMES_AT_ONCE>> {
        let known = |name: &str| self.groups.iter().any(|groups| groups.tagged.contains_key(name));
        let named = self.instances.iter().filter_map(|instance| instance.tags.get(GROUP_TAG));
        let unknown: BTreeSet<&str> = named.filter(|name| !known(name)).collect();
        Batch::of(unknown.into_iter().map(str::to_owned))
    }

    /// The machines that run and carry the tag, by their id; those of which too little is known; what had to be left out.
    pub(crate) fn machines(
        self,
        region: &Region,
        query: &Query,
        known: &Known<'_>,
    ) -> (Machines, Vec<String>, Vec<Reject>) {
        let Self { mut instances, groups, missing } = self;
        instances.reverse();
        instances.sort_by(|one, two| one.id.cmp(&two.id));
        instances.dedup_by(|one, two| one.id == two.id);
        let members = groups.as_ref().map(Groups::members).unwrap_or_default();
        let judge = Judge { query, known, groups: groups.as_ref(), members };
        let mut rejects = Vec::new();
        let mut unknown: Vec<String> = missing.into_iter().filter(|id| judge.is_still_there(id)).collect();
        instances.retain_mut(|instance| {
            match judge.judge(instance) {
                Outcome::Machine => return true,
                Outcome::Unknown => unknown.push(instance.id.to_string()),
                Outcome::Reject(reject) => rejects.push(reject),
                Outcome::NoService => {}
            }
            false
        });
        (Machines { region: region.as_str().to_owned(), instances }, unknown, rejects)
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

impl IntoIterator for Machines {
    type Item = Machine;
    type IntoIter = Box<dyn Iterator<Item = Machine> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { region, instances } = self;
        Box::new(instances.into_iter().filter_map(move |instance| machine(instance, &region)))
    }
}

/// None without an address.
fn machine(instance: Ec2Instance, region: &str) -> Option<Machine> {
    let Ec2Instance { id, owner, address, zone, launched, tags, group, health, lifecycle, .. } = instance;
    let name = tags.get("Name").filter(|name| !name.is_empty()).unwrap_or(&id).to_owned();
    Some(Machine {
        id: id.into(),
        name,
        address: address?,
        zone: zone.map(Into::into),
        region: region.to_owned(),
        group: group.map(Into::into),
        account: owner,
        created: launched,
        health,
        lifecycle,
        tags: tags.into_map().into(),
    })
}

fn by_name(groups: Vec<Group>) -> impl Iterator<Item = (String, Group)> {
    groups.into_iter().map(|group| (group.name.clone(), group))
}
