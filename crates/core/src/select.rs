//! From a service's instances to those that an exposure wants, and how.

use std::collections::BTreeSet;

use roster_haproxy::name::Label;
use roster_haproxy::weight::Weight;

use crate::exposure::{Exposure, OtherZones, Policy, Selector};
use crate::guard::Wish;
use crate::instance::{Health, Instance, Lifecycle};
use crate::slots::Shape;

/// The instances that an exposure wants: those it selects that are meant to stay. Those that the registry finds
/// unhealthy get no traffic.
pub fn wishes<'a>(exposure: &Exposure, instances: &[&'a Instance]) -> Vec<Wish<'a>> {
    let wish = |instance: &'a Instance| {
        let mut wish = Wish::for_instance(instance, shape(&exposure.policy, instance));
        wish.well = instance.health != Health::Failing;
        wish
    };
    wanted(exposure, instances.iter().copied()).map(wish).collect()
}

/// The instances among these that an exposure selects, and that are meant to stay.
pub fn wanted<'a>(
    exposure: &Exposure,
    instances: impl IntoIterator<Item = &'a Instance>,
) -> impl Iterator<Item = &'a Instance> {
    let staying = instances.into_iter().filter(|one| one.lifecycle == Lifecycle::InService);
    staying.filter(|one| exposure.select.takes(one))
}

/// Where nobody is well, the registry's checks are more likely wrong than the whole fleet: then all that it reports get
/// traffic. What only a guard keeps stays as it was.
pub fn panic(wishes: &mut [Wish<'_>]) {
    if wishes.iter().any(|wish| wish.well) {
        return;
    }
    wishes.iter_mut().filter(|wish| !wish.is_kept()).for_each(|wish| wish.well = true);
}

impl Selector {
    /// Whether it takes the instance.
    pub fn takes(&self, instance: &Instance) -> bool {
        let among = |wanted: &BTreeSet<Label>, has: &Option<Label>| {
            wanted.is_empty() || has.as_ref().is_some_and(|has| wanted.contains(has))
        };
        let metadata = self.metadata.iter().all(|(key, values)| {
            instance.metadata.get(key).is_some_and(|value| values.is_empty() || values.contains(value))
        });
        let fits = among(&self.group, &instance.group)
            && among(&self.zone, &instance.zone)
            && among(&self.region, &instance.region)
            && metadata;
        fits != self.inverted
    }
}

fn is_far(policy: &Policy, instance: &Instance) -> bool {
    let local = policy.zones.as_ref().map(|zones| &zones.local);
    matches!((local, &instance.zone), (Some(local), Some(zone)) if local != zone)
}

fn shape(policy: &Policy, instance: &Instance) -> Shape {
    let others = policy.zones.as_ref().map(|zones| zones.others);
    let others = others.filter(|_| instance.zone_share.is_none());
    let far = others == Some(OtherZones::Backup) && is_far(policy, instance);
    Shape { backup: far || policy.server.backup }
}

/// The weight that an instance should have; none leaves that of its server's line. Where a zone is given, the instance's
/// own share of what crosses it comes first.
pub fn weight(policy: &Policy, instance: &Instance) -> Option<Weight> {
    let between = policy.zones.as_ref().and_then(|zones| match (instance.zone_share, zones.others) {
        (Some(share), _) => Some(share.weight(is_far(policy, instance))),
        (None, OtherZones::Weight(weight)) if is_far(policy, instance) => Some(weight),
        (None, _) => None,
    });
    between.or(instance.weight).or(policy.weight)
}

#[cfg(test)]
mod tests;
