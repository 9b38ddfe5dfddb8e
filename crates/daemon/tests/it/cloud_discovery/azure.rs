//! A subscription of Azure, as the stand-in for its Resource Manager shows it: `--once`.

use std::collections::BTreeMap;

use roster_testkit::{
    ArmFault, ArmNic, ArmStandIn, ArmView, ArmVm, DataplaneVersion, HaproxyVersion, OrFail, ServerRow,
};
use serde_json::json;

use super::site::{PAIRS, Site};
use crate::rig::Ended;

pub(super) const NAME: &str = "HAProxy:Service:Name";
pub(super) const PORT: &str = "HAProxy:Service:Port";
const OWN_PORT: &str = "HAProxy:Instance:Port";
const SHARE: &str = "HAProxy:Instance:AZperc";
/// The service of the original's documentation, and the backend that it makes of it.
pub(super) const MYAPP: [(&str, &str); 2] = [(NAME, "myapp"), (PORT, "8080")];
pub(super) const BACKEND: &str = "azure-myapp-8080-eastus";
/// What is to be seen nowhere.
const SECRETS: [&str; 3] = ["SECRET", "stand-in-secret-token", "test-password"];

/// A subscription. Dropping it ends it.
pub(super) struct Cloud {
    pub(super) arm: ArmStandIn,
}

impl Cloud {
    pub(super) fn start() -> Self {
        Self { arm: ArmStandIn::start().or_fail() }
    }

    /// A HAProxy for the subscription, with the example for Azure.
    pub(super) fn site(&self, pair: (DataplaneVersion, HaproxyVersion)) -> Site {
        let mut site = Site::start("azure.yaml", pair);
        let url = self.arm.url();
        let set = self.arm.world(|world| {
            [
                ("AZURE_SUBSCRIPTION_ID", world.subscription.clone()),
                ("AZURE_TENANT_ID", world.tenant.clone()),
                ("AZURE_CLIENT_ID", world.client.clone()),
                ("AZURE_CLIENT_SECRET", world.secret.clone()),
                ("AZURE_AUTHORITY_HOST", url.to_owned()),
                ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.to_owned()),
                ("ROSTER_AZURE_ENDPOINT", url.to_owned()),
            ]
        });
        site.env.extend(set);
        site
    }

    /// A running machine in eastus with these tags, and perhaps more.
    pub(super) fn machine(
        &self,
        name: &str,
        address: &str,
        tags: &[(&str, &str)],
        more: impl FnOnce(&mut ArmVm),
    ) {
        self.arm.world(|world| {
            let vm = world.add_vm(name, address, tags);
            "eastus".clone_into(&mut vm.location);
            more(vm);
        });
    }

    /// The same for each of these addresses, which are their names too.
    pub(super) fn machines(&self, addresses: &[&str]) {
        for address in addresses {
            self.machine(address, address, &MYAPP, |_| {});
        }
    }

    /// Sets a machine's power state.
    pub(super) fn power(&self, name: &str, state: &str) {
        self.change(name, |vm| {
            vm.power(state);
        });
    }

    /// Changes a machine.
    pub(super) fn change<T>(&self, name: &str, act: impl FnOnce(&mut ArmVm) -> T) -> T {
        self.arm.world(|world| act(world.vm(name).unwrap()))
    }
}

/// What is active, by where it is.
pub(super) fn endpoints(site: &Site) -> Vec<String> {
    let mut endpoints: Vec<String> = site.active(BACKEND).into_values().collect();
    endpoints.sort();
    endpoints
}

#[track_caller]
pub(super) fn has_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

fn documented(cloud: &Cloud, site: &Site) {
    let once = site.once_well();
    assert_eq!(once.out, "");
    has_no_secret(&once.err);
    let (backends, servers) = site.by_curl(BACKEND);
    assert_eq!(backends.iter().filter(|name| name.starts_with("azure-")).collect::<Vec<_>>(), [BACKEND]);
    assert_eq!(servers.len(), 10);
    let active =
        BTreeMap::from([("srv1", "127.1.0.4:8080"), ("srv2", "127.1.0.5:8080"), ("srv3", "127.1.0.6:9090")]);
    for (server, number) in servers.iter().zip(1..) {
        let name = format!("srv{number}");
        let at = active.get(name.as_str()).copied().unwrap_or("127.0.0.1:80");
        let (address, port) = at.split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        assert_eq!(server["name"], json!(name), "{server}");
        assert_eq!((&server["address"], &server["port"]), (&json!(address), &json!(port)), "{server}");
    }
    let shown = site.active(BACKEND);
    assert_eq!(
        shown.iter().map(|(name, at)| (name.as_str(), at.as_str())).collect::<BTreeMap<_, _>>(),
        active
    );
    assert_eq!(site.reloads(), 1, "a new backend is a reload: {once:?}");

    let (before, changes) = (site.state(BACKEND), site.changes());
    cloud.arm.forget_calls();
    let again = site.once_well();
    assert!(cloud.arm.calls().iter().all(|call| call.status == 200), "{again:?}");
    assert_eq!((site.state(BACKEND), site.changes(), site.reloads()), (before, changes, 1), "{again:?}");
}

#[test]
fn once_makes_the_documented_backend_and_once_more_changes_nothing() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.4", "127.1.0.5"]);
    cloud.machine("own-port", "127.1.0.6", &[MYAPP[0], MYAPP[1], (OWN_PORT, "9090")], |_| {});
    // Who is not meant: no tag, only one of both, one that was never started, one whose address nobody needs.
    cloud.machine("other", "127.1.9.1", &[("environment", "production")], |vm| vm.nics.clear());
    cloud.machine("half", "127.1.9.2", &[(PORT, "8080")], |_| {});
    cloud.machine("off", "127.1.9.3", &MYAPP, |vm| {
        vm.power("deallocated");
    });
    cloud.machine("new", "127.1.9.4", &MYAPP, |vm| vm.view = ArmView::NoPower);
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        documented(&cloud, &cloud.site(pair));
    }
}

#[test]
fn a_machine_that_is_stopped_or_deallocated_leaves_and_nobody_else_moves() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1", "127.1.0.2", "127.1.0.3", "127.1.0.4", "127.1.0.5"]);
    for pair in PAIRS {
        let site = cloud.site(pair);
        for name in ["127.1.0.2", "127.1.0.4"] {
            cloud.power(name, "running");
        }
        site.once_well();
        let before = site.active(BACKEND);
        assert_eq!(before.len(), 5);
        cloud.power("127.1.0.2", "stopped");
        cloud.power("127.1.0.4", "deallocated");
        site.once_well();
        let after = site.active(BACKEND);
        assert_eq!(endpoints(&site), ["127.1.0.1:8080", "127.1.0.3:8080", "127.1.0.5:8080"]);
        assert!(after.iter().all(|(name, at)| before.get(name) == Some(at)), "{before:?}\n{after:?}");
        let parked = site.rows(BACKEND).into_iter().filter(ServerRow::in_maintenance);
        assert_eq!(parked.filter(|row| row.endpoint() == "127.0.0.1:80").count(), 7);
        assert_eq!(site.reloads(), 1);
    }
}

#[test]
fn members_of_scale_sets_are_servers_and_their_own_tags_win() {
    let cloud = Cloud::start();
    cloud.arm.world(|world| {
        world.page_size = 2;
        world.add_set("flexible", false, &MYAPP);
        let uniform = world.add_set("uniform", true, &MYAPP);
        for (number, address) in ["127.2.0.1", "127.2.0.2", "127.2.0.3", "127.2.0.4"].iter().enumerate() {
            let member = uniform.add_member(u32::try_from(number).unwrap(), address);
            "eastus".clone_into(&mut member.location);
        }
        uniform.members[1].tags.insert(OWN_PORT.to_owned(), "9001".to_owned());
        uniform.members[2].tags.insert(NAME.to_owned(), "canary".to_owned());
        uniform.members[3].power("deallocated");
    });
    let flexible = |vm: &mut ArmVm| vm.set = Some("flexible".to_owned());
    cloud.machine("flex_1", "127.3.0.1", &[], flexible);
    cloud.machine("flex_2", "127.3.0.2", &[(PORT, "8081")], flexible);
    cloud.machine("flex_3", "127.3.0.3", &[], |vm| {
        flexible(vm);
        vm.power("stopped");
    });
    for pair in PAIRS {
        let site = cloud.site(pair);
        site.once_well();
        assert_eq!(endpoints(&site), ["127.2.0.1:8080", "127.2.0.2:9001", "127.3.0.1:8080"]);
        let one = |backend: &str| site.active(backend).into_values().collect::<Vec<_>>();
        assert_eq!(one("azure-canary-8080-eastus"), ["127.2.0.3:8080"]);
        assert_eq!(one("azure-myapp-8081-eastus"), ["127.3.0.2:8081"]);
    }
}

#[test]
fn machines_of_other_zones_are_backups_or_have_a_share() {
    let cloud = Cloud::start();
    let zone = |zone: &'static str| move |vm: &mut ArmVm| vm.zones = vec![zone.to_owned()];
    let share = [MYAPP[0], MYAPP[1], (SHARE, "10")];
    cloud.machine("near", "127.1.0.1", &MYAPP, zone("1"));
    cloud.machine("far", "127.1.0.2", &MYAPP, zone("2"));
    cloud.machine("farther", "127.1.0.3", &MYAPP, zone("3"));
    cloud.machine("nowhere", "127.1.0.4", &MYAPP, |vm| vm.zones.clear());
    cloud.machine("near-share", "127.1.0.5", &share, zone("1"));
    cloud.machine("far-share", "127.1.0.6", &share, zone("2"));
    let wanted = ["", "backup", "backup", "", "90", "10"];
    for pair in PAIRS {
        let mut site = cloud.site(pair);
        site.edit("# availability_zone: \"1\"", "availability_zone: \"1\"");
        site.once_well();
        assert_eq!(site.active(BACKEND).len(), 6);
        for (name, at) in site.active(BACKEND) {
            let stat = |field: &str| site.haproxy.stat(BACKEND, &name, field).or_fail().unwrap_or_default();
            let number: usize = at.trim_start_matches("127.1.0.").trim_end_matches(":8080").parse().unwrap();
            match wanted[number - 1] {
                "" => assert_eq!(stat("bck"), "0", "{at}"),
                "backup" => assert_eq!(stat("bck"), "1", "{at}"),
                weight => assert_eq!((stat("bck").as_str(), stat("weight").as_str()), ("0", weight), "{at}"),
            }
        }
        // As a number it is no zone, and the message has the form that is one.
        site.edit("availability_zone: \"1\"", "availability_zone: 1");
        let ended = site.once();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("put quotes around it: \"1\""), "{ended:?}");
    }
}

#[test]
fn a_machine_whose_view_is_broken_stays_also_where_only_the_state_folder_knows_it() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1", "127.1.0.2", "127.1.0.3"]);
    let site = cloud.site(PAIRS[1]);
    let folder = site.path("state").display().to_string();
    let once = || {
        let output = site.command(&["--once", "--state-dir", &folder]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    std::fs::create_dir(&folder).unwrap();
    once();
    let place =
        |at: &str| site.active(BACKEND).into_iter().find(|(_, there)| there == at).map(|(name, _)| name);
    let before = place("127.1.0.2:8080");
    for view in [ArmView::Error, ArmView::Missing] {
        cloud.change("127.1.0.2", |vm| vm.view = view);
        cloud.power("127.1.0.3", "stopped");
        let told = once();
        assert_eq!(endpoints(&site), ["127.1.0.1:8080", "127.1.0.2:8080"], "{told}");
        assert!(told.contains("/virtualmachines/127.1.0.2: "), "{told}");
        cloud.power("127.1.0.2", "running");
        cloud.power("127.1.0.3", "running");
        once();
        assert_eq!(site.active(BACKEND).len(), 3);
        assert_eq!(place("127.1.0.2:8080"), before);
    }
}

#[test]
fn the_credential_and_the_groups_of_the_file_are_what_is_asked_with() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1"]);
    cloud.machine("elsewhere", "127.1.0.2", &MYAPP, |vm| "rg-other".clone_into(&mut vm.group));
    cloud.arm.world(|world| {
        world.groups.insert("rg-other".to_owned());
        world.denied.insert("*".to_owned());
        world.orphans.push(("rg-edge".to_owned(), ArmNic::new("orphan", "127.1.0.3")));
    });
    let mut site = cloud.site(PAIRS[1]);
    site.edit("credential_type: \"default\"", "credential_type: \"ManagedIdentityCredential\"");
    site.edit("resource_groups: []", "resource_groups: [RG-Edge]");
    site.once_well();
    assert_eq!(endpoints(&site), ["127.1.0.1:8080"]);
    let paths: Vec<String> = cloud.arm.calls().into_iter().map(|call| call.path).collect();
    assert!(paths.iter().any(|path| path.starts_with("/metadata/")), "{paths:?}");
    assert!(
        !paths.iter().any(|path| path.contains("/oauth2/v2.0/")),
        "the secret was not asked for: {paths:?}"
    );
}

#[track_caller]
fn fails_with(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in parts {
        assert!(ended.err.contains(part), "no {part:?} in {ended:?}");
    }
    has_no_secret(&ended.err);
}

#[test]
fn once_ends_with_1_and_the_reason_and_changes_nothing_where_azure_refuses() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1"]);
    let mut site = cloud.site(PAIRS[1]);
    site.once_well();
    let before = site.state(BACKEND);
    cloud.arm.world(|world| world.denied.insert("*".to_owned()));
    fails_with(&site.once(), &["AuthorizationFailed", "Microsoft.Compute/virtualMachines/read", "Reader"]);
    cloud.arm.world(|world| world.denied.clear());
    cloud.arm.fault(ArmFault::Throttled(600), "/providers/", u32::MAX);
    fails_with(&site.once(), &["throttles and asks to wait 600 s"]);
    cloud.arm.clear_faults();
    site.env.insert("AZURE_CLIENT_SECRET", "SECRET-of-before".to_owned());
    fails_with(&site.once(), &["invalid_client AADSTS7000215"]);
    assert_eq!(site.state(BACKEND), before);
}

#[test]
fn the_placeholder_of_the_documentation_is_valid_and_warned_of_and_not_run() {
    let cloud = Cloud::start();
    let mut site = cloud.site(PAIRS[1]);
    site.env.insert("AZURE_SUBSCRIPTION_ID", "your-subscription-id".to_owned());
    let output = site.command(&["--validate"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("no subscription's id") && told.contains("Configuration is valid"), "{told}");
    fails_with(&site.once(), &["Configuration error: ", "`azure.subscription_id` is no subscription's id"]);
    assert!(cloud.arm.calls().is_empty());
}
