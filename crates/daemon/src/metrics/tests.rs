use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use roster_core::guard::{Guard, Hold};
use roster_core::plan::{Standing, Status};
use roster_haproxy::name::ServiceKey;

use super::*;
use crate::keeper::{BackendStatus, TargetStatus};
use crate::overview::SourceStatus;
use crate::own::OwnStatus;

fn fleet() -> SourceName {
    "fleet".parse().unwrap()
}

fn local() -> TargetName {
    "local".parse().unwrap()
}

fn overview() -> Overview {
    let source = SourceStatus {
        up: true,
        answer: Timestamp::from_second(100).ok(),
        from_disk: false,
        services: 1,
        instances: 2,
        rejects: vec!["line 3: no".into()],
        error: None,
        lost_since: None,
    };
    let hold = Hold {
        guard: Guard::Share,
        since: Timestamp::UNIX_EPOCH,
        answer: Timestamp::UNIX_EPOCH,
        answers: 1,
        leaving: 3,
        of: 4,
    };
    let service = ServiceKey { source: fleet(), service: "web".parse().unwrap() };
    let mut backend = BackendStatus::missing(service);
    (backend.missing, backend.pending, backend.hold) = (false, 5, Some(hold));
    backend.flapping = vec!["i-1".parse().unwrap()];
    for (server, status) in [("srv1", Status::Active), ("srv2", Status::Active), ("srv3", Status::Spare)] {
        let standing = Standing { status, instance: None, endpoint: None, since: None, left: None };
        backend.servers.insert(server.parse().unwrap(), standing);
    }
    let backends = [("web".parse().unwrap(), backend)].into();
    let own = Some(OwnStatus { old_workers: Some(2), ..OwnStatus::default() });
    let target = TargetStatus { trouble: Some("no".into()), own, backends, ..TargetStatus::default() };
    Overview {
        sources: [(fleet(), source)].into(),
        targets: [(local(), target)].into(),
        ..Overview::default()
    }
}

fn scrape(metrics: &Metrics, overview: &Overview) -> String {
    metrics.scrape(overview, Timestamp::from_second(130).unwrap()).unwrap()
}

#[test]
fn a_scrape_tells_what_is_and_what_was_counted() {
    let metrics = Metrics::default();
    metrics.keep([&fleet()], [&local()]);
    metrics.commands(&local(), "ready", "done", 1);
    metrics.source_call(&fleet(), "DescribeInstances", "200");
    metrics.source_call(&fleet(), "DescribeInstances", "200");
    metrics.pass(&local(), PassResult::Settled);
    metrics.converged(&local(), Duration::from_millis(3));
    metrics.config_taken(Timestamp::from_second(7).unwrap());
    let text = scrape(&metrics, &overview());
    for line in [
        r#"roster_source_up{source="fleet"} 1"#,
        r#"roster_source_snapshot_age_seconds{source="fleet"} 30.0"#,
        r#"roster_source_last_success_timestamp_seconds{source="fleet"} 100.0"#,
        r#"roster_source_instances{source="fleet"} 2"#,
        r#"roster_source_rejects{source="fleet"} 1"#,
        r#"roster_source_errors_total{source="fleet"} 0"#,
        r#"roster_source_api_calls_total{source="fleet",api="DescribeInstances",code="200"} 2"#,
        r#"roster_target_up{target="local"} 0"#,
        r#"roster_pending_operations{target="local"} 5"#,
        r#"roster_guard_active{target="local"} 1"#,
        r#"roster_haproxy_old_workers{target="local"} 2"#,
        r#"roster_held{target="local",backend="web",guard="share"} 3"#,
        r#"roster_instances_kept_out{target="local",backend="web"} 1"#,
        r#"roster_slots{target="local",backend="web",state="active"} 2"#,
        r#"roster_slots{target="local",backend="web",state="down"} 0"#,
        r#"roster_commands_total{target="local",op="ready",result="done"} 1"#,
        r#"roster_passes_total{target="local",result="settled"} 1"#,
        r#"roster_passes_total{target="local",result="failed"} 0"#,
        r#"roster_reloads_total{target="local",reason="structure"} 0"#,
        r#"roster_convergence_seconds_bucket{le="0.0025",target="local"} 0"#,
        r#"roster_convergence_seconds_bucket{le="0.005",target="local"} 1"#,
        "roster_config_last_reload_successful 1",
        "roster_config_last_reload_timestamp_seconds 7.0",
    ] {
        assert!(text.lines().any(|told| told == line), "no {line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_gone_from_the_configuration_is_gone_from_the_scrape() {
    let metrics = Metrics::default();
    metrics.keep([&fleet()], [&local()]);
    metrics.commands(&local(), "ready", "done", 1);
    metrics.source_error(&fleet());
    metrics.keep([], [&"other".parse().unwrap()]);
    let text = scrape(&metrics, &Overview::default());
    assert!(!text.contains("fleet") && !text.contains(r#"target="local""#), "{text}");
    assert!(text.contains(r#"roster_passes_total{target="other",result="settled"} 0"#), "{text}");
}

#[test]
fn what_stays_in_the_configuration_goes_on_counting() {
    let metrics = Metrics::default();
    metrics.keep([&fleet()], [&local()]);
    metrics.source_error(&fleet());
    metrics.keep([&fleet()], [&local()]);
    metrics.source_error(&fleet());
    assert!(scrape(&metrics, &overview()).contains(r#"roster_source_errors_total{source="fleet"} 2"#));
}

/// `docs/metrics.md` has a row for each metric, and for no other.
#[test]
fn the_page_of_metrics_is_that_of_the_registry() {
    let metrics = Metrics::default();
    metrics.keep([&fleet()], [&local()]);
    metrics.commands(&local(), "ready", "done", 1);
    metrics.source_call(&fleet(), "DescribeInstances", "200");
    metrics.task("keeper local");
    let text = scrape(&metrics, &overview());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let registered: BTreeSet<String> = types
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(['`', '{']));
    let told: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    assert!(registered.len() > 20, "{registered:?}");
    assert_eq!(told, registered);
}
