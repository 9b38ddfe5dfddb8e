//! The running HAProxy.

use roster_targets::dataplane::client::{AdminState, OperationalState, Server, Why};
use roster_testkit::OrFail;

use super::super::why;
use super::recorded;

#[tokio::test]
async fn running_servers_are_read() {
    let (_, replay) = recorded("runtime/servers_v3");
    let servers = replay.client.runtime_servers("app").await.or_fail().value;
    let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names[..2], ["s1", "s2"]);
    let s1 = &servers[0];
    assert_eq!((s1.address.as_str(), s1.port), ("127.0.0.1", Some(29001)));
    assert_eq!((s1.admin_state, s1.operational_state), (AdminState::Ready, OperationalState::Up));
    let (_, replay) = recorded("runtime/server_v3");
    assert_eq!(replay.client.runtime_server("app", "s1").await.or_fail(), *s1);
}

#[tokio::test]
async fn a_server_is_set_into_maintenance_and_ready() {
    for name in ["runtime/maint_v2", "runtime/maint_v3"] {
        let (_, replay) = recorded(name);
        let server = replay.client.set_admin_state("app", "s1", AdminState::Maint).await.or_fail();
        assert_eq!(
            (server.admin_state, server.operational_state),
            (AdminState::Maint, OperationalState::Down)
        );
        replay.done();
    }
    let (_, replay) = recorded("runtime/ready_v3");
    let server = replay.client.set_admin_state("app", "g1", AdminState::Ready).await.or_fail();
    assert_eq!(server.operational_state, OperationalState::Up);
    replay.done();
}

#[tokio::test]
async fn servers_that_the_api_does_not_see_are_told_as_such() {
    let (_, replay) = recorded("runtime/servers_v2_unseen");
    assert_eq!(replay.client.runtime_servers("app").await.or_fail().value, []);
    let (_, replay) = recorded("runtime/server_v2_unseen");
    let error = replay.client.runtime_server("app", "s1").await.unwrap_err();
    assert!(
        error.to_string().contains("for HAProxy 2.6 that the API's configuration sets no `master_runtime`")
    );
    assert!(matches!(error.why, Why::NotRunning { .. }));
    // The same words with status 500.
    let (_, replay) = recorded("runtime/maint_v2_unseen");
    let result = replay.client.set_admin_state("app", "s1", AdminState::Maint).await;
    let Why::NotRunning { what } = why(result) else { panic!() };
    assert_eq!(what, "no data for app/s1: not found");
    let (_, replay) = recorded("runtime/unknown_v3");
    assert!(matches!(why(replay.client.runtime_server("app", "nosuch").await), Why::NotRunning { .. }));
}

#[tokio::test]
async fn a_running_server_is_added_and_deleted() {
    let (exchange, replay) = recorded("runtime/added_again_v2");
    // 2.9 through `master_runtime` says yes to one that is there already.
    replay.client.add_runtime_server("app", &exchange.sent_as::<Server>()).await.or_fail();
    replay.done();
    let (exchange, replay) = recorded("runtime/added_again_v3");
    let result = replay.client.add_runtime_server("app", &exchange.sent_as::<Server>()).await;
    assert!(matches!(why(result), Why::Exists { .. }));
    let (_, replay) = recorded("runtime/deleted_v3");
    replay.client.delete_runtime_server("app", "s3").await.or_fail();
    replay.done();
}
