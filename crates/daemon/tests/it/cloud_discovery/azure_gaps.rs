//! A subscription of Azure whose lists leave something out, and who asks for them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use roster_testkit::{ArmFault, ArmVm, Poll, wait_until_or_fail};

use super::azure::{BACKEND, Cloud, MYAPP, endpoints, has_no_secret};
use super::site::PAIRS;
use crate::rig::{CAP, Daemon};

const ALL: [&str; 4] = ["127.1.0.1:8080", "127.1.0.2:8080", "127.2.0.1:8080", "127.3.0.1:8080"];

/// Two machines, one of a flexible scale set and one of a uniform one; those of the sets have the sets' tags alone.
fn stage() -> Cloud {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1", "127.1.0.2"]);
    cloud.arm.world(|world| {
        world.add_set("flexible", false, &MYAPP);
        let member = world.add_set("uniform", true, &MYAPP).add_member(0, "127.2.0.1");
        "eastus".clone_into(&mut member.location);
    });
    cloud.machine("flex_1", "127.3.0.1", &[], |vm: &mut ArmVm| vm.set = Some("flexible".to_owned()));
    cloud
}

/// What Azure leaves out for a while.
#[derive(Clone, Copy, Debug)]
enum Gap {
    FlexibleSetInNoList,
    NoAddress,
    UniformSetBusy,
    NoInterfacesOfUniformSet,
}

impl Gap {
    fn make(self, cloud: &Cloud) {
        let fault = |fault, at| cloud.arm.fault(fault, at, u32::MAX);
        match self {
            Self::FlexibleSetInNoList => {
                cloud.arm.world(|world| world.sets.retain(|set| set.name != "flexible"));
            }
            Self::NoAddress => cloud.change("127.1.0.1", |vm| vm.nics[0].addresses[0].address = None),
            Self::UniformSetBusy => fault(ArmFault::Error(409, "Conflict"), "uniform/virtualMachines"),
            Self::NoInterfacesOfUniformSet => {
                fault(ArmFault::Error(404, "NotFound"), "uniform/networkInterfaces");
            }
        }
    }

    fn mend(self, cloud: &Cloud) {
        cloud.arm.clear_faults();
        match self {
            Self::FlexibleSetInNoList => cloud.arm.world(|world| {
                world.add_set("flexible", false, &MYAPP);
            }),
            Self::NoAddress => {
                let address = Some("127.1.0.1".to_owned());
                cloud.change("127.1.0.1", |vm| vm.nics[0].addresses[0].address = address);
            }
            Self::UniformSetBusy | Self::NoInterfacesOfUniformSet => {}
        }
    }
}

#[test]
fn what_azure_leaves_out_stays_also_where_only_the_state_folder_knows_it() {
    let cloud = stage();
    let site = cloud.site(PAIRS[1]);
    let folder = site.path("state").display().to_string();
    fs::create_dir(&folder).unwrap();
    // Each is a Roster of its own, which remembers nothing but what is in the folder.
    let once = || {
        let output = site.command(&["--once", "--state-dir", &folder]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    once();
    let mut before = site.active(BACKEND);
    before.retain(|_, at| at != ALL[1]);
    for gap in [Gap::FlexibleSetInNoList, Gap::NoAddress, Gap::UniformSetBusy, Gap::NoInterfacesOfUniformSet]
    {
        gap.make(&cloud);
        cloud.power("127.1.0.2", "stopped");
        for _ in 0..2 {
            let told = once();
            assert_eq!(site.active(BACKEND), before, "{gap:?}: {told}");
        }
        gap.mend(&cloud);
        cloud.power("127.1.0.2", "running");
        once();
        assert_eq!(endpoints(&site), ALL, "{gap:?}");
    }
}

#[test]
fn the_same_tags_in_another_case_are_the_same_tags() {
    let cloud = stage();
    let site = cloud.site(PAIRS[1]);
    site.once_well();
    let before = site.active(BACKEND);
    let place = |active: &BTreeMap<String, String>| {
        active.iter().find(|(_, at)| *at == ALL[0]).map(|(server, _)| server.clone())
    };
    cloud.change("127.1.0.1", |vm| {
        vm.tags = vm.tags.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    });
    cloud.change("flex_1", |vm| drop(vm.tags.insert("HAPROXY:INSTANCE:PORT".to_owned(), "9001".to_owned())));
    site.once_well();
    assert_eq!(endpoints(&site), [ALL[0], ALL[1], ALL[2], "127.3.0.1:9001"]);
    assert_eq!(place(&site.active(BACKEND)), place(&before));
}

/// How often the log says that.
fn count(daemon: &Daemon, words: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn who_asks_is_told_once_at_the_start_and_again_when_that_is_somebody_else() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1"]);
    cloud.arm.world(|world| world.has_identity = false);
    let mut site = cloud.site(PAIRS[1]);
    for variable in ["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"] {
        site.env.remove(variable);
    }
    let bin = site.path("bin");
    fs::create_dir(&bin).unwrap();
    let az = bin.join("az");
    let script = "#!/bin/sh\necho \"{\\\"accessToken\\\": \\\"of-a-person\\\", \\\"expires_on\\\": $(($(date +%s) + 3))}\"\n";
    fs::write(&az, script).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    site.env.insert("PATH", format!("{}:{}", bin.display(), path.display()));
    let daemon = site.run();
    daemon.until_log("Azure is asked as the login of the Azure CLI, from az");
    let asked =
        || cloud.arm.calls().iter().filter(|call| call.token.as_deref() == Some("of-a-person")).count();
    wait_until_or_fail(CAP, "several listings", || Poll::when(asked(), |calls| *calls > 12));
    assert_eq!(count(&daemon, "Azure is asked as"), 1, "{}", daemon.log());

    cloud.arm.world(|world| world.has_identity = true);
    daemon.until_log("from now on, and was asked as the login of the Azure CLI, from az before");
    daemon.until_log("from the metadata service at ");
    assert_eq!(count(&daemon, "Azure is asked as"), 2, "{}", daemon.log());
    has_no_secret(&daemon.log());
    assert_eq!(daemon.stop(), Some(0));
}
