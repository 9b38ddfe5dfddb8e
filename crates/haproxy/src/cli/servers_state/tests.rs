use proptest::prelude::*;

use super::*;

const RECORDED: [&str; 2] =
    [include_str!("../fixtures/servers-state-2.6.txt"), include_str!("../fixtures/servers-state-3.0.txt")];
const HEADER: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                      srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_port";

fn server<'r>(rows: &'r [ServerState], name: &str) -> &'r ServerState {
    rows.iter().find(|row| row.server == name).unwrap()
}

#[test]
fn a_running_and_a_stopped_server_are_read_on_2_6_and_3_0() {
    for text in RECORDED {
        let rows = parse(text).unwrap();
        assert_eq!(rows.len(), 10);
        let s1 = server(&rows, "s1");
        assert_eq!((s1.backend.as_str(), s1.backend_id), ("web", 4));
        assert_eq!((s1.server_id, s1.id_is_forced), (ServerId::new(1), false));
        assert_eq!((s1.address, s1.port), (Some("127.0.0.1".parse().unwrap()), 19001));
        assert_eq!((s1.operational, s1.admin), (OpState::Running, AdminState::from_bits(0)));
        assert_eq!((s1.weight.get(), s1.initial_weight.get()), (10, 10));
        assert!(s1.check.is_configured() && s1.check.is_enabled());
        assert!(!s1.agent.is_configured() && !s1.agent.is_enabled());
        assert_eq!((s1.check.health, s1.check.port, s1.check.address), (4, None, None));
        let s2 = server(&rows, "s2");
        assert_eq!((s2.operational, s2.check.health), (OpState::Stopped, 0));
        assert!(!server(&rows, "s4").check.is_configured());
    }
}

#[test]
fn a_live_slot_that_was_disabled_in_the_file_is_not_in_maintenance() {
    for text in RECORDED {
        let rows = parse(text).unwrap();
        let (ready, draining, parked) = (server(&rows, "t1"), server(&rows, "t2"), server(&rows, "t3"));
        assert_eq!(ready.admin.bits(), 4);
        assert!(!ready.admin.is_maint() && !ready.admin.is_drain() && ready.admin.is_config_maint());
        assert_eq!(draining.admin.bits(), 12);
        assert!(!draining.admin.is_maint() && draining.admin.is_drain());
        assert_eq!(parked.admin.bits(), 5);
        assert!(parked.admin.is_maint() && !parked.admin.is_drain());
    }
}

#[test]
fn maintenance_and_drain_are_seen_whoever_asked_for_them() {
    for (bits, maint, drain) in [
        (1, true, false),
        (2, true, false),
        (32, true, false),
        (8, false, true),
        (16, false, true),
        (64, false, false),
    ] {
        let state = AdminState::from_bits(bits);
        assert_eq!((state.is_maint(), state.is_drain()), (maint, drain), "{bits}");
    }
}

#[test]
fn a_server_added_live_starts_in_maintenance_with_checks_off() {
    for text in RECORDED {
        let rows = parse(text).unwrap();
        let added = server(&rows, "10.0.0.1:8080");
        assert!(added.admin.is_maint());
        assert!(added.check.is_configured() && !added.check.is_enabled());
        assert_eq!((added.server_id, added.id_is_forced), (ServerId::new(77), true));
        assert_eq!(server(&rows, "fd00::1:80").address, Some("fd00::1".parse().unwrap()));
    }
}

#[test]
fn an_address_of_dash_is_no_address() {
    for text in RECORDED {
        let rows = parse(text).unwrap();
        assert_eq!((server(&rows, "s5").address, server(&rows, "s5").port), (None, 0));
    }
}

#[test]
fn columns_are_found_by_name_wherever_they_stand() {
    let text = "1\n# new srv_port srv_check_state srv_check_health srv_check_result srv_check_status \
                srv_time_since_last_change srv_iweight srv_uweight srv_admin_state srv_op_state srv_addr srv_name srv_id be_name be_id\n\
                x 80 6 3 3 15 7 1 2 0 2 10.0.0.1 s 5 b 9\n";
    let rows = parse(text).unwrap();
    assert_eq!((rows[0].backend.as_str(), rows[0].backend_id, rows[0].port), ("b", 9, 80));
    assert_eq!(rows[0].weight.get(), 2);
    assert!(!rows[0].tls && rows[0].host.is_none());
}

#[test]
fn a_missing_column_a_short_line_and_a_strange_value_are_errors() {
    let missing = parse("1\n# be_id be_name\n4 web\n").unwrap_err();
    assert_eq!(missing, ParseError::Missing { command: COMMAND, name: "srv_id" });
    let short = parse(&format!("{HEADER}\n4 web 1 s1\n")).unwrap_err();
    assert!(short.to_string().starts_with("line 3 of the answer"), "{short}");
    let strange = parse(&format!("{HEADER}\n4 web 1 s1 10.0.0.1 9 0 1 1 0 1 0 2 0 80\n")).unwrap_err();
    assert!(strange.to_string().contains("\"9\" as srv_op_state"), "{strange}");
}

#[test]
fn a_server_without_a_number_is_read() {
    // Recorded: a disabled backend has not numbered its servers.
    let rows = parse(&format!("{HEADER}\n10 dead 0 a 127.0.0.1 2 0 1 1 0 1 0 2 0 19001\n")).unwrap();
    assert_eq!(rows[0].server_id, None);
}

#[test]
fn what_a_server_was_told_is_seen_apart_from_what_it_inherits() {
    use AdminCommand::{Drain, Maint, Ready};
    for (bits, told) in [
        (0, Ready),
        (1, Maint),
        (2, Ready),
        (3, Maint),
        (4, Ready),
        (5, Maint),
        (8, Drain),
        (10, Drain),
        (12, Drain),
        (16, Ready),
        (32, Ready),
        (64, Ready),
        (9, Maint),
    ] {
        assert_eq!(AdminState::from_bits(bits).told(), told, "{bits}");
    }
}

/// The lines of servers with a host name, with a service record, with their own check and agent (recorded on 2.6 and 2.8).
#[test]
fn host_names_checks_elsewhere_agents_and_tls_are_read() {
    let header = RECORDED[0].lines().take(2).collect::<Vec<_>>().join("\n");
    let rows = parse(&format!(
        "{header}\n\
         2 web 2 srv2 127.0.0.1 0 0 33 33 0 8 2 0 6 22 0 0 - 18080 - 1 18081 127.0.0.2 127.0.0.1 18765\n\
         2 web 4 dns1 - 0 32 33 33 1 1 0 0 14 0 0 0 app.example.org 8080 - 0 0 - - 0\n\
         2 web 5 dns2 - 0 32 33 33 1 1 0 0 14 0 0 0 - 0 _http._tcp.example.org 0 0 - - 0\n"
    ));
    let rows = rows.unwrap();
    let elsewhere = server(&rows, "srv2");
    assert!(elsewhere.tls && elsewhere.agent.is_configured() && elsewhere.agent.is_enabled());
    let ip = |text: &str| Some(text.parse().unwrap());
    assert_eq!((elsewhere.check.address, elsewhere.check.port), (ip("127.0.0.2"), Port::new(18081)));
    assert_eq!(elsewhere.host, None);
    assert_eq!(server(&rows, "dns1").host.as_deref(), Some("app.example.org"));
    assert_eq!(server(&rows, "dns2").host.as_deref(), Some("_http._tcp.example.org"));
}

#[test]
fn an_unknown_backend_is_told_from_an_empty_one() {
    assert!(matches!(parse("Can't find backend.\n"), Err(ParseError::Refused { .. })));
    assert_eq!(parse(&format!("{HEADER}\n")), Ok(vec![]));
    assert!(matches!(parse("2\n# be_id\n"), Err(ParseError::Format { .. })));
    assert!(parse("").is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
        let _read = parse(&text);
        let _read = parse(&format!("{HEADER}\n{text}"));
    }

    #[test]
    fn any_numbers_are_read_or_refused_without_a_panic(numbers in prop::collection::vec(any::<i64>(), 15)) {
        let line: Vec<_> = numbers.iter().map(i64::to_string).collect();
        let _read = parse(&format!("{HEADER}\n{}\n", line.join(" ")));
    }
}
