//! What is missing from a list: gone, of no service, or unknown. What is unknown stays as it was.

use roster_testkit::{Ec2Group, Ec2Machine};

use super::{GROUP, NAME, PORT, Region, WEB, web};

const GROUPS: &str = "DescribeAutoScalingGroups";

/// A member of a group that has its tags from the group only.
fn of_group(id: &str, address: &str) -> Ec2Machine {
    Ec2Machine::new(id, address, &[(GROUP, "grp")])
}

fn in_service(ids: &[&str]) -> Vec<Ec2Group> {
    let members: Vec<_> = ids.iter().map(|&id| (id, "InService")).collect();
    vec![Ec2Group::new("grp", &WEB, &members)]
}

#[test]
fn members_that_only_their_group_made_instances_stay_over_a_restart_while_groups_may_not_be_read() {
    let region = Region::start();
    region.machines(vec![
        web("i-1", "127.0.1.1"),
        of_group("i-2", "127.0.2.2"),
        of_group("i-3", "127.0.2.3"),
        of_group("i-4", "127.0.2.4"),
    ]);
    region.ec2.world(|world| world.groups = in_service(&["i-2", "i-3", "i-4"]));
    let all = ["127.0.1.1", "127.0.2.2", "127.0.2.3", "127.0.2.4"];
    let daemon = region.run();
    region.until_live("web", &all);
    region.ec2.world(|world| world.refused.insert(GROUPS, (403, "AccessDenied")));
    daemon.until_log("Auto Scaling groups may not be read (AccessDenied");
    daemon.until_log("kept");
    assert_eq!(daemon.stop(), Some(0));
    for _ in 0..2 {
        let daemon = region.run();
        // Longer than the guards hold.
        region.until_asked(12);
        assert_eq!(region.live("web"), all);
        assert_eq!(daemon.stop(), Some(0));
    }
    // EC2 still says which of them have ended.
    let daemon = region.run();
    region.ec2.world(|world| world.machines.retain(|machine| machine.id != "i-3"));
    region.until_live("web", &["127.0.1.1", "127.0.2.2", "127.0.2.4"]);
    region.ec2.world(|world| world.refused.clear());
    region.until_asked(4);
    assert_eq!(region.live("web").len(), 3, "{}", daemon.log());
}

#[test]
fn a_machine_of_a_warm_pool_gets_no_traffic_and_one_that_goes_back_to_it_drains() {
    let region = Region::start();
    let tagged = |id, address| Ec2Machine::new(id, address, &[&WEB[..], &[(GROUP, "grp")]].concat());
    region.machines(vec![
        tagged("i-1", "127.0.1.1"),
        tagged("i-2", "127.0.1.2"),
        tagged("i-3", "127.0.1.3"),
        tagged("i-4", "127.0.1.4"),
    ]);
    region.ec2.world(|world| world.groups = in_service(&["i-1", "i-2", "i-3"]));
    let daemon = region.run();
    region.until_live("web", &["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
    daemon.until_log("i-4: its Auto Scaling group \"grp\" does not list it among its instances");
    region.ec2.world(|world| world.groups = in_service(&["i-1", "i-3", "i-4"]));
    region.until_live("web", &["127.0.1.1", "127.0.1.3", "127.0.1.4"]);
    daemon.until_log("state drain");
    // Each state in which a group does not count on an instance yet.
    for state in ["Pending", "Pending:Wait", "Pending:Proceed", "Warmed:Pending", "Warmed:Running"] {
        region.ec2.world(|world| {
            world.groups = in_service(&["i-1", "i-3", "i-4"]);
            world.groups[0].members.push(("i-2".to_owned(), state));
        });
        region.until_asked(4);
        assert_eq!(region.live("web").len(), 3, "{state}");
    }
}

#[test]
fn instances_that_their_group_ends_or_sets_aside_drain() {
    for state in ["Terminating", "Terminating:Wait", "EnteringStandby", "Standby", "Terminated"] {
        let region = Region::start();
        region.machines(vec![
            of_group("i-1", "127.0.1.1"),
            of_group("i-2", "127.0.1.2"),
            of_group("i-3", "127.0.1.3"),
        ]);
        region.ec2.world(|world| world.groups = in_service(&["i-1", "i-2", "i-3"]));
        let _daemon = region.run();
        region.until_live("web", &["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
        region.ec2.world(|world| world.groups[0].members[2].1 = state);
        region.until_live("web", &["127.0.1.1", "127.0.1.2"]);
    }
}

#[test]
fn a_list_without_an_end_is_left_off_with_one_line_and_the_servers_stay() {
    let region = Region::start();
    region.machines(vec![web("i-1", "127.0.1.1"), web("i-2", "127.0.1.2")]);
    let daemon = region.run();
    region.until_live("web", &["127.0.1.1", "127.0.1.2"]);
    region.ec2.world(|world| world.is_endless = true);
    daemon.until_log("the list is too long (no end after 500 pages)");
    let calls = region.ec2.calls().len();
    region.until_asked(1);
    assert_eq!(region.live("web").len(), 2);
    assert_eq!(daemon.log().matches("the list is too long").count(), 1, "{calls} calls\n{}", daemon.log());
    region.ec2.world(|world| {
        world.is_endless = false;
        world.machines.push(web("i-3", "127.0.1.3"));
    });
    region.until_live("web", &["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
}

#[test]
fn a_machine_with_several_ports_is_a_server_for_each() {
    let sections = "backend web-18080\n    server-template srv 1-2 127.0.0.1:1 disabled\nbackend web-18443\n    \
                    server-template srv 1-2 127.0.0.1:1 disabled\nbackend api-9000\n    server-template srv 1-2 \
                    127.0.0.1:1 disabled\n";
    let region = Region::with(sections, "{service}-{port}");
    let more = [
        (NAME, "web"),
        (PORT, "18080,18443"),
        ("HAProxy:Service:Name:2", "api"),
        ("HAProxy:Service:Port:2", "9000"),
    ];
    region.machines(vec![Ec2Machine::new("i-1", "127.0.1.1", &more)]);
    let _daemon = region.run();
    for backend in ["web-18080", "web-18443", "api-9000"] {
        region.until_live(backend, &["127.0.1.1"]);
    }
    let ports: Vec<u16> = ["web-18080", "web-18443", "api-9000"]
        .iter()
        .flat_map(|backend| region.rig.ready(backend))
        .map(|(_, port)| port)
        .collect();
    assert_eq!(ports, [18080, 18443, 9000]);
}

#[test]
fn a_machine_with_nothing_but_ipv6_is_a_server() {
    let region = Region::start();
    region.machines(vec![web("i-6", "fd00::6")]);
    let _daemon = region.run();
    region.until_live("web", &["fd00::6"]);
}

#[test]
fn filters_are_asked_of_ec2_so_that_what_they_leave_out_is_not_listed() {
    let region = Region::start();
    let keys = format!(", endpoint: \"{}\", filters: {{ vpc-id: [vpc-1, vpc-2] }}", region.ec2.url());
    region.configure(&keys, "{service}");
    region.machines(vec![web("i-1", "127.0.1.1")]);
    let _daemon = region.run();
    region.until_live("web", &["127.0.1.1"]);
    let calls = region.ec2.calls();
    let form = &calls[0].form;
    assert_eq!(
        (form["Filter.3.Name"].as_str(), form["Filter.3.Value.2"].as_str()),
        ("vpc-id", "vpc-2"),
        "{form:?}"
    );
}
