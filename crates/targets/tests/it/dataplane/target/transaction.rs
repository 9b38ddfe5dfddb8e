//! What a pass writes by a transaction.

use roster_core::observed::State;
use roster_targets::dataplane::Way;
use roster_testkit::OrFail;
use tokio::time::timeout;

use super::super::CAP;
use super::{on_each, point, refused, state, weigh};

#[test]
fn a_transaction_is_one_reload_and_over_when_the_next_process_serves() {
    on_each(Way::Transaction, &async |rig| {
        let before = rig.read(&["app"]).await.process;
        let operations = [
            point("app", "s2", 2002),
            weigh("app", "s2", 5),
            state("app", "s2", State::Ready),
            weigh("app", "s1", 9),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len(), receipt.left.len()), (2, 0, 0));
        // The former process and the next one share the socket, so the former one may have the next question still.
        let reading = timeout(CAP, async {
            loop {
                let reading = rig.read(&["app"]).await;
                if reading.process != before {
                    return reading;
                }
            }
        });
        let reading = reading.await.or_fail();
        let s2 = &reading.observed.backends["app"].servers["s2"];
        assert_eq!((s2.port, s2.state(), s2.weight.get()), (2002, State::Ready, 5));
        assert_eq!((rig.runs("app", "s1").2, rig.runs("app", "s2").2), (9, 5));
        assert!(rig.target.client().transactions(None).await.or_fail().is_empty());
        if !rig.api.is_real() {
            assert_eq!(rig.counts(), (1, 1));
        }
    });
}

#[test]
fn drift_is_repaired_by_a_transaction_without_a_change() {
    on_each(Way::Transaction, &async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2009").or_fail();
        let receipt = rig.carry_out(&[point("app", "s1", 1001)]).await.or_fail();
        assert!(receipt.refused.is_empty(), "{receipt:?}");
        let reading = rig.read(&["app"]).await;
        assert_eq!(reading.observed.backends["app"].servers["s1"].port, 1001);
        assert_eq!(rig.runs("app", "s1").0, 1001);
    });
}

#[test]
fn a_server_without_a_line_is_no_reason_for_a_transaction() {
    on_each(Way::Transaction, &async |rig| {
        let receipt = rig.carry_out(&[weigh("slots", "t1", 40)]).await.or_fail();
        assert_eq!(refused(&receipt), [0]);
        assert!(format!("{receipt:?}").contains("write its servers out"), "{receipt:?}");
        assert_eq!(rig.counts(), (0, 0));
    });
}
