//! What a pass writes live: file and process in one call.

use roster_core::departure::Departure;
use roster_core::plan::{Change, Operation, Reason};
use roster_haproxy::observed::State;
use roster_testkit::{DataplaneVersion, OrFail};

use super::{on_each, operation, point, refused, state, weigh};

#[test]
fn a_live_pass_is_one_write_that_changes_file_and_process_without_a_reload() {
    on_each(&async |rig| {
        let pid = rig.haproxy.worker_pid().or_fail();
        let operations = [
            point("app", "s1", 2001),
            weigh("app", "s1", 99),
            state("app", "s3", State::Maint),
            weigh("app", "s2", 0),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len(), receipt.left.len()), (4, 0, 0));
        assert_eq!(rig.runs("app", "s1"), (2001, false, 99));
        assert_eq!(rig.runs("app", "s2"), (1002, true, 0));
        assert_eq!(rig.runs("app", "s3"), (1003, true, 1));
        assert!(rig.says("server s1 127.0.0.1:2001 weight 99 # a word on s1"), "{}", rig.text());
        assert!(rig.says("server s2 127.0.0.1:1002 weight 0 disabled"), "{}", rig.text());
        assert!(rig.says("server s3 127.0.0.1:1003 backup disabled"), "{}", rig.text());
        if !rig.api.is_real() {
            assert_eq!(rig.counts(), (1, 0));
        }
        assert_eq!(rig.haproxy.worker_pid().or_fail(), pid);
    });
}

#[test]
fn what_drifted_in_the_process_alone_is_told_again_though_the_file_is_right() {
    on_each(&async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2009").or_fail();
        let receipt = rig.carry_out(&[point("app", "s1", 1001)]).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len()), (1, 0));
        assert_eq!(rig.runs("app", "s1").0, 1001);
    });
}

#[test]
fn a_server_is_ready_in_the_same_write_as_its_address_only_where_haproxy_has_it_at_once() {
    on_each(&async |rig| {
        let operations = [point("app", "s2", 2002), state("app", "s2", State::Ready)];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let waits = rig.api.version() != DataplaneVersion::V2;
        assert_eq!(receipt.left, if waits { [1].into() } else { [].into() });
        assert_eq!(rig.runs("app", "s2"), (2002, waits, 20));
        if waits {
            let receipt = rig.carry_out(&[state("app", "s2", State::Ready)]).await.or_fail();
            assert!(receipt.left.is_empty() && receipt.refused.is_empty(), "{receipt:?}");
        }
        assert_eq!(rig.runs("app", "s2"), (2002, false, 20));
    });
}

#[test]
fn one_operation_that_cannot_go_live_keeps_no_other_from_it() {
    on_each(&async |rig| {
        let operations = [
            weigh("fixed", "f1", 3),
            weigh("app", "s1", 11),
            operation("app", "s1", Change::EnableCheck),
            state("app", "gone", State::Maint),
            point("fixed", "f1", 2011),
            weigh("app", "s2", 21),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let mut places = refused(&receipt);
        places.sort_unstable();
        // All of a server's operations go together, or not at all.
        assert_eq!(places, [0, 2, 3, 4], "{receipt:?}");
        let why = &receipt.refused.iter().find(|one| one.operation == 0).unwrap().refusal;
        assert!(format!("{why}").contains("only a reload brings it"), "{why}");
        assert_eq!((rig.runs("app", "s1").2, rig.runs("app", "s2").2), (11, 21));
        assert_eq!(rig.runs("fixed", "f1"), (1011, false, 7));
        assert_eq!(rig.counts().1, 0);
    });
}

/// HAProxy 3.0 has a new address only a moment after it said so.
#[test]
fn who_goes_waits_until_who_comes_is_there() {
    on_each(&async |rig| {
        let left = |server: &str, change: Change| Operation {
            why: Reason::Left {
                instance: None,
                endpoint: "127.0.0.1:1001".parse().or_fail(),
                why: Departure::NotReported,
            },
            ..operation("app", server, change)
        };
        let operations = [
            point("app", "s2", 2002),
            state("app", "s2", State::Ready),
            left("s1", Change::State(State::Maint)),
            left("s3", Change::State(State::Maint)),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let waits = rig.api.version() != DataplaneVersion::V2;
        assert_eq!(receipt.left, if waits { [1, 2, 3].into() } else { [].into() });
        let in_maintenance = ["s1", "s2", "s3"].map(|server| rig.runs("app", server).1);
        assert_eq!(in_maintenance, if waits { [false, true, false] } else { [true, false, true] });
        if waits {
            let receipt = rig.carry_out(&operations[1..]).await.or_fail();
            assert!(receipt.left.is_empty(), "{receipt:?}");
            assert_eq!(["s1", "s2", "s3"].map(|server| rig.runs("app", server).1), [true, false, true]);
        }
    });
}

#[test]
fn a_few_servers_are_made_ready_without_a_write_of_the_file() {
    on_each(&async |rig| {
        let ready = |server: &str| state("app", server, State::Ready);
        rig.haproxy.cli("set server app/s3 state maint").or_fail();
        let receipt = rig.carry_out(&[ready("s2"), ready("gone"), ready("s3")]).await.or_fail();
        assert_eq!((receipt.commands, refused(&receipt), receipt.left.len()), (2, vec![1], 0), "{receipt:?}");
        assert_eq!((rig.runs("app", "s2"), rig.runs("app", "s3")), ((1002, false, 20), (1003, false, 1)));
        assert!(rig.says("server s2 127.0.0.1:1002 weight 20 disabled"), "the file follows: {}", rig.text());
        assert_eq!(rig.counts(), (0, 0));

        // With anything else there is a write all the same.
        let receipt = rig.carry_out(&[ready("s2"), weigh("app", "s1", 11)]).await.or_fail();
        assert!(receipt.refused.is_empty() && receipt.left.is_empty(), "{receipt:?}");
        assert!(rig.says("server s2 127.0.0.1:1002 weight 20"), "{}", rig.text());
    });
}
