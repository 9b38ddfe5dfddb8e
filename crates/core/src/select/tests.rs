use roster_haproxy::weight::ZoneShare;

use super::*;
use crate::exposure::ZonePolicy;

fn instance(zone: Option<&str>, share: Option<u32>) -> Instance {
    Instance {
        zone: zone.map(|zone| zone.parse().unwrap()),
        zone_share: share.map(|share| ZoneShare::new(share).unwrap()),
        ..Instance::at("10.0.0.1:80".parse().unwrap())
    }
}

fn zones(others: OtherZones) -> Policy {
    Policy { zones: Some(ZonePolicy { local: "a".parse().unwrap(), others }), ..Policy::default() }
}

fn standing(policy: &Policy, instance: &Instance) -> (bool, Option<u16>) {
    (shape(policy, instance).backup, weight(policy, instance).map(Weight::get))
}

#[test]
fn a_share_between_zones_stands_in_for_backup() {
    let policy = zones(OtherZones::Backup);
    for (zone, share, wanted) in [
        (Some("a"), None, (false, None)),
        (None, None, (false, None)),
        (Some("b"), None, (true, None)),
        (Some("a"), Some(10), (false, Some(90))),
        (None, Some(10), (false, Some(90))),
        (Some("b"), Some(10), (false, Some(10))),
    ] {
        assert_eq!(standing(&policy, &instance(zone, share)), wanted, "{zone:?} {share:?}");
    }
}

#[test]
fn a_share_counts_before_every_other_weight_and_only_where_a_zone_is_given() {
    let far = instance(Some("b"), Some(10));
    assert_eq!(standing(&Policy::default(), &far), (false, None));
    let other = Weight::new(50).unwrap();
    assert_eq!(standing(&zones(OtherZones::Weight(other)), &far), (false, Some(10)));
    assert_eq!(standing(&zones(OtherZones::Same), &far), (false, Some(10)));
    let weighed = Instance { weight: Some(other), ..far };
    assert_eq!(standing(&zones(OtherZones::Backup), &weighed), (false, Some(10)));
    assert_eq!(standing(&Policy::default(), &weighed), (false, Some(50)));
}
