//! A thousand instances of one region.

use std::collections::BTreeSet;
use std::time::Instant;

use roster_testkit::OrFail;

use super::aws::{BACKEND, Cloud, MYAPP};
use super::site::PAIRS;

#[test]
#[ignore = "takes minutes: moto needs a tenth of a second for each instance"]
fn a_thousand_instances_are_one_cycle_and_their_changes_no_reload() {
    many(1000);
}

fn many(count: usize) {
    let cloud = Cloud::start();
    let mut ids = cloud.instances(count, &MYAPP);
    let at = |ids: &[String]| -> BTreeSet<String> { ids.iter().map(|id| cloud.at(id, 8080)).collect() };
    let mut wanted = at(&ids);
    for pair in PAIRS {
        let site = cloud.site(pair);
        for changed in [false, true] {
            if changed {
                let came = cloud.instances(50, &MYAPP);
                wanted.extend(at(&came));
                for id in ids.drain(..100) {
                    wanted.remove(&cloud.at(&id, 8080));
                    cloud.moto.terminate(&id).or_fail();
                }
                ids.extend(came);
            }
            let begun = Instant::now();
            site.once_well();
            println!("{} instances by {}: {:?}", ids.len(), pair.0.word(), begun.elapsed());
            let active = site.active(BACKEND);
            assert_eq!(active.values().cloned().collect::<BTreeSet<_>>(), wanted);
            assert_eq!(active.len(), wanted.len());
            assert_eq!(site.reloads(), 1, "that of the new backend");
        }
    }
}
