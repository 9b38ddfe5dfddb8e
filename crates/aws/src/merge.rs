//! Instances and groups as machines.
//!
//! Invariants:
//! - A machine has the tags of its group where it has none of its own of that key, if the group carries the service's tag.
//!   So what a filter at the API left out is also what the same rule would leave out here.
//! - A group's own answer says more of an instance than the instance's tag.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::fleet::{Machine, unreadable};
use roster_core::instance::{Health, Lifecycle, Reject};

use crate::question::{Batch, IDS_AT_ONCE, NAMES_AT_ONCE};
use crate::region::Region;
use crate::wire::{Ec2Instance, Group, Member};

/// The tag that Auto Scaling gives to each of its instances.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    instances: BTreeMap<String, Ec2Instance>,
    pub(crate) groups: Groups,
}

/// What groups say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    /// Those that carry the service's tag.
    tagged: BTreeMap<String, Group>,
    /// Those that are asked only for what they say of their members.
    others: BTreeMap<String, Group>,
}

/// What a group's word for an instance's state means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// It has not been in service yet.
    NotYet,
    InService,
    Leaving,
}

impl Found {
    pub(crate) fn add_instances(&mut self, instances: Vec<Ec2Instance>) {
        self.instances.extend(instances.into_iter().map(|instance| (instance.id.clone(), instance)));
    }

    pub(crate) fn add_tagged(&mut self, groups: Vec<Group>) {
        self.groups.tagged.extend(groups.into_iter().map(|group| (group.name.clone(), group)));
    }

    pub(crate) fn add_others(&mut self, groups: Vec<Group>) {
        self.groups.others.extend(groups.into_iter().map(|group| (group.name.clone(), group)));
    }

    /// Members of tagged groups that are not known as instances.
    pub(crate) fn unknown_members(&self) -> Vec<Batch<IDS_AT_ONCE>> {
        let members = self.groups.tagged.values().flat_map(|group| &group.members).map(|member| &member.id);
        let unknown: BTreeSet<&String> = members.filter(|&id| !self.instances.contains_key(id)).collect();
        Batch::of(unknown.into_iter().cloned())
    }

    /// Groups that an instance names as its own and that have not been asked.
    pub(crate) fn unknown_groups(&self) -> Vec<Batch<NAMES_AT_ONCE>> {
        let named = self.instances.values().filter_map(|instance| instance.tags.get(GROUP_TAG));
        let unknown: BTreeSet<&String> =
            named.filter(|&name| !self.groups.tagged.contains_key(name)).collect();
        Batch::of(unknown.into_iter().cloned())
    }

    /// The machines that run and carry the tag, by their id, and what had to be left out.
    pub(crate) fn machines(self, region: &Region, tag: &str) -> (Vec<Machine>, Vec<Reject>) {
        let Self { instances, groups: Groups { tagged, others } } = self;
        let membership = membership(tagged.values().chain(others.values()));
        let mut machines = Vec::new();
        let mut rejects = Vec::new();
        for mut instance in instances.into_values().filter(|instance| instance.state == "running") {
            let member = membership.get(instance.id.as_str()).copied();
            if let Some(group) = member.and_then(|(group, _)| tagged.get(&group.name)) {
                for (key, value) in &group.tags {
                    instance.tags.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            if !instance.tags.contains_key(tag) {
                continue;
            }
            match machine(instance, member, region) {
                Ok(machine) => machines.push(machine),
                Err(reject) => rejects.push(reject),
            }
        }
        (machines, rejects)
    }
}

fn membership<'a>(groups: impl Iterator<Item = &'a Group>) -> BTreeMap<&'a str, (&'a Group, &'a Member)> {
    groups
        .flat_map(|group| group.members.iter().map(move |member| (member.id.as_str(), (group, member))))
        .collect()
}

fn machine(
    instance: Ec2Instance,
    member: Option<(&Group, &Member)>,
    region: &Region,
) -> Result<Machine, Reject> {
    let Ec2Instance { id, owner, address, zone, launched, tags, .. } = instance;
    let lifecycle = match member.map(|(_, member)| (standing(&member.state), &member.state)) {
        Some((Standing::NotYet, state)) => {
            let reason = format!(
                "its Auto Scaling group says {state}, so it is not in service yet; nothing is to be done"
            );
            return Err(Reject::aside(id, reason));
        }
        Some((Standing::Leaving, _)) => Lifecycle::Leaving,
        Some((Standing::InService, _)) | None => Lifecycle::InService,
    };
    let Some(address) = address else {
        let reason = "it has no private address; give it one, or take the service's tag from it".to_owned();
        return Err(unreadable(&id, id.as_str(), reason));
    };
    let health = match member.and_then(|(_, member)| member.health.as_deref()) {
        Some(said) if said.eq_ignore_ascii_case("healthy") => Health::Passing,
        Some(said) if said.eq_ignore_ascii_case("unhealthy") => Health::Failing,
        _ => Health::Unknown,
    };
    let name = tags.get("Name").filter(|name| !name.is_empty()).unwrap_or(&id).clone();
    let group = member.map(|(group, _)| &group.name).or_else(|| tags.get(GROUP_TAG)).cloned();
    let region = region.as_str().to_owned();
    Ok(Machine {
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
    })
}

/// States of an instance's life in its group (EC2 Auto Scaling's user guide, "Instance lifecycle"). A state that AWS adds
/// later takes no instance out of service.
fn standing(state: &str) -> Standing {
    let first = state.split(':').next().unwrap_or_default();
    match first {
        "Pending" | "Warmed" => Standing::NotYet,
        "Terminating"
        | "Terminated"
        | "EnteringStandby"
        | "Standby"
        | "Quarantined"
        | "ReplacingRootVolume" => Standing::Leaving,
        // A detached instance goes on by itself: whether it serves is for its tags to say.
        _ => Standing::InService,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "HAProxy:Service:Name";

    fn instance(id: &str, tags: &[(&str, &str)]) -> Ec2Instance {
        Ec2Instance {
            id: id.to_owned(),
            owner: Some("123456789012".to_owned()),
            state: "running".to_owned(),
            address: Some("10.0.0.1".parse().unwrap()),
            zone: Some("us-east-1-bos-1a".to_owned()),
            launched: None,
            tags: text(tags),
        }
    }

    fn text(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn group(name: &str, tags: &[(&str, &str)], members: &[(&str, &str, &str)]) -> Group {
        let member = |&(id, state, health): &(&str, &str, &str)| Member {
            id: id.to_owned(),
            state: state.to_owned(),
            health: Some(health.to_owned()),
        };
        Group { name: name.to_owned(), tags: text(tags), members: members.iter().map(member).collect() }
    }

    fn machines(found: Found) -> (Vec<Machine>, Vec<Reject>) {
        found.machines(&Region::new("us-east-1").unwrap(), TAG)
    }

    #[test]
    fn an_instance_is_a_machine_of_the_region_that_was_asked() {
        let mut found = Found::default();
        found.add_instances(vec![
            instance("i-2", &[(TAG, "web"), ("Name", "")]),
            instance("i-1", &[(TAG, "web")]),
        ]);
        found.add_instances(vec![instance("i-2", &[(TAG, "web"), ("Name", "two"), (GROUP_TAG, "g")])]);
        let (machines, rejects) = machines(found);
        assert_eq!(rejects, []);
        let [one, two] = machines.as_slice() else { panic!("{machines:?}") };
        assert_eq!((one.id.as_str(), one.name.as_str(), one.group.as_deref()), ("i-1", "i-1", None));
        assert_eq!((two.id.as_str(), two.name.as_str(), two.group.as_deref()), ("i-2", "two", Some("g")));
        assert_eq!((two.region.as_str(), two.zone.as_deref()), ("us-east-1", Some("us-east-1-bos-1a")));
        assert_eq!(two.account.as_deref(), Some("123456789012"));
        assert_eq!((two.health, two.lifecycle), (Health::Unknown, Lifecycle::InService));
    }

    #[test]
    fn a_member_has_its_groups_tags_and_its_own_win() {
        let mut found = Found::default();
        found.add_instances(vec![instance("i-1", &[("port", "81")]), instance("i-2", &[])]);
        found.add_tagged(vec![group(
            "web",
            &[(TAG, "web"), ("port", "80")],
            &[("i-1", "InService", "Healthy")],
        )]);
        let (machines, _) = machines(found);
        let [one] = machines.as_slice() else { panic!("an untagged instance was listed: {machines:?}") };
        assert_eq!((one.tags[TAG].as_str(), one.tags["port"].as_str()), ("web", "81"));
        assert_eq!((one.group.as_deref(), one.health), (Some("web"), Health::Passing));
    }

    #[test]
    fn a_group_without_the_services_tag_says_only_how_its_members_are() {
        let mut found = Found::default();
        found.add_instances(vec![instance("i-1", &[(TAG, "web"), (GROUP_TAG, "plain")])]);
        assert_eq!(found.unknown_groups(), Batch::of(["plain".to_owned()]));
        found.add_others(vec![group(
            "plain",
            &[("port", "80")],
            &[("i-1", "Terminating:Wait", "Unhealthy")],
        )]);
        let (machines, _) = machines(found);
        assert_eq!(machines[0].tags, text(&[(TAG, "web"), (GROUP_TAG, "plain")]));
        assert_eq!((machines[0].lifecycle, machines[0].health), (Lifecycle::Leaving, Health::Failing));
    }

    #[test]
    fn each_state_in_a_group_has_its_meaning() {
        for (state, expected) in [
            ("Pending", Standing::NotYet),
            ("Pending:Wait", Standing::NotYet),
            ("Warmed:Running", Standing::NotYet),
            ("InService", Standing::InService),
            ("Terminating", Standing::Leaving),
            ("Terminating:Proceed", Standing::Leaving),
            ("Terminating:Retained", Standing::Leaving),
            ("EnteringStandby", Standing::Leaving),
            ("Standby", Standing::Leaving),
            ("Detaching", Standing::InService),
            ("SomethingNew", Standing::InService),
        ] {
            assert_eq!(standing(state), expected, "{state}");
        }
    }

    #[test]
    fn who_is_not_in_service_or_has_no_address_is_told_with_the_reason() {
        let mut found = Found::default();
        let nowhere = Ec2Instance { address: None, ..instance("i-1", &[(TAG, "web")]) };
        let stopped = Ec2Instance { state: "stopped".to_owned(), ..instance("i-3", &[(TAG, "web")]) };
        let private = Ec2Instance { address: None, ..instance("i-4", &[("Name", "not ours")]) };
        found.add_instances(vec![nowhere, instance("i-2", &[(TAG, "web")]), stopped, private]);
        found.add_tagged(vec![group("g", &[(TAG, "web")], &[("i-2", "Pending:Wait", "Healthy")])]);
        let (machines, rejects) = machines(found);
        assert_eq!(machines, []);
        let told: Vec<_> =
            rejects.iter().map(|reject| (reject.place.as_str(), reject.reason.as_str())).collect();
        assert_eq!(
            told,
            [
                ("i-1", "it has no private address; give it one, or take the service's tag from it"),
                (
                    "i-2",
                    "its Auto Scaling group says Pending:Wait, so it is not in service yet; nothing is to be done"
                ),
            ]
        );
    }

    #[test]
    fn only_members_that_are_not_known_are_asked_for() {
        let mut found = Found::default();
        found.add_tagged(vec![group("empty", &[(TAG, "web")], &[])]);
        assert_eq!(found.unknown_members(), []);
        found.add_instances(vec![instance("i-1", &[(TAG, "web")])]);
        let members = [("i-1", "InService", "Healthy"), ("i-2", "InService", "Healthy")];
        found.add_tagged(vec![
            group("web", &[(TAG, "web")], &members),
            group("too", &[(TAG, "x")], &members[1..]),
        ]);
        assert_eq!(found.unknown_members(), Batch::of(["i-2".to_owned()]));
        assert_eq!(found.unknown_groups(), []);
    }
}
