//! Azure's own clients make the same of the same answers.

use std::collections::BTreeMap;
use std::path::Path;

use roster_testkit::{ArmAddress, ArmNic, ArmStandIn, ArmView, AzureClients, OrFail};
use serde_json::{Value, json};

use super::{TAGS, anew, client};

fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.page_size = 2;
        world.groups.insert("rg-other".to_owned());
        world.add_vm("web-1", "10.0.0.4", &TAGS);
        world.add_vm("web-2", "10.0.0.5", &TAGS).power("deallocated");
        world.add_vm("web-3", "10.0.0.6", &TAGS).view = ArmView::NoPower;
        world.add_vm("web-4", "10.0.0.7", &TAGS).power("Running");
        "RG-Other".clone_into(&mut world.add_vm("other", "10.0.0.8", &[]).group);
        let two = world.add_vm("two-nics", "10.0.0.9", &TAGS);
        two.zones.clear();
        let one =
            |address: &str, primary| ArmAddress { address: Some(address.to_owned()), primary, public: false };
        two.nics = vec![
            ArmNic {
                name: "second".to_owned(),
                primary: Some(false),
                addresses: vec![one("10.9.0.1", true)],
            },
            ArmNic {
                name: "first".to_owned(),
                primary: Some(true),
                addresses: vec![one("fd00::9", false), one("10.9.0.3", false), one("10.9.0.2", true)],
            },
        ];
        world.add_vm("six", "fd00::12", &TAGS);
        let unnamed = world.add_vm("two-nics-of-which-none-is-called-primary", "10.0.0.13", &TAGS);
        unnamed.nics[0].primary = None;
        let second = ArmNic {
            name: "unnamed-second".to_owned(),
            primary: None,
            addresses: vec![one("10.9.0.13", true)],
        };
        unnamed.nics.push(second);
        world.add_vm("flex_1", "10.0.0.10", &[("own", "yes")]).set = Some("flexset".to_owned());
        world.orphans.push(("rg-edge".to_owned(), ArmNic::new("orphan", "10.0.0.11")));
        world.add_set("flexset", false, &TAGS);
        let set = world.add_set("uniset", true, &TAGS);
        for number in 0..5 {
            set.add_member(number, &format!("10.0.1.{}", number + 4));
        }
        set.members[1].power("starting");
        set.members[2].tags.insert("own".to_owned(), "yes".to_owned());
    });
    arm
}

#[tokio::test]
async fn azures_own_clients_list_the_same_machines_states_and_addresses() {
    let arm = stage();
    let ours: BTreeMap<String, Value> = anew(&client(&arm))
        .await
        .machines
        .into_iter()
        .map(|machine| {
            let value = json!({
                "id": machine.id, "name": machine.name, "address": machine.address, "group": machine.group,
                "tags": machine.tags, "zone": machine.zone, "region": machine.region,
            });
            (machine.id, value)
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/official_clients.py");
    let subscription = arm.world(|world| world.subscription.clone());
    let (url, metadata) = (arm.url().to_owned(), arm.url().to_owned());
    let said = tokio::task::spawn_blocking(move || {
        let env = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
        AzureClients::find().or_fail().run(&script, &[&url, &subscription], &env).or_fail()
    });
    let theirs: BTreeMap<String, Value> = said
        .await
        .or_fail()
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).or_fail();
            (value["id"].as_str().unwrap().to_owned(), value)
        })
        .collect();
    assert_eq!(ours.len(), 11);
    assert_eq!(ours, theirs);
}
