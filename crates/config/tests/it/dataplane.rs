//! A target that is kept through its Data Plane API.

use std::path::Path;

use insta::assert_snapshot;
use roster_config::native::{ApiVersion, Config, DataplaneReach, Reach};
use roster_haproxy::dataplane::Strategy;

use super::{COMPLETE, env, errors, parse};

fn reach_of(config: &Config, target: &str) -> DataplaneReach {
    match config.targets.iter().find(|(name, _)| name.as_str() == target) {
        Some((_, Reach::Dataplane(reach))) => (**reach).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_target_comes_to_what_it_says() {
    let config = parse(COMPLETE).unwrap();
    let api = reach_of(&config, "api");
    assert_eq!((api.url.as_str(), api.version), ("https://localhost:5555", ApiVersion::V3));
    assert_eq!((api.verify, api.ca_file.unwrap().to_str().unwrap()), (true, "/etc/ssl/ca.pem"));
    assert!(api.socket.is_some());
    let old = reach_of(&config, "old-api");
    assert_eq!(old.url, "http://10.0.0.1:5555");
    assert_eq!((old.strategy, old.timeout.as_secs(), old.poll.as_secs()), (Strategy::CreateNew, 30, 2));
}

#[test]
fn each_wrong_target_says_what_to_do() {
    let wrong = [
        "{}",
        "{ url: localhost:5555, username: a, password: b }",
        "{ url: 'http://a:b@localhost:5555', username: a, password: b }",
        "{ url: 'http://x', username: '', password: b }",
        "{ url: 'http://x', username: a, password: '${EMPTY}' }",
        "{ url: 'http://x', username: a, password: { file: nowhere } }",
        "{ url: 'http://x', username: a, password: b, version: v1 }",
        "{ url: 'http://x', username: a, password: b, tls: { verify: false } }",
        "{ url: 'http://x', username: a, password: b, timeout: 0s, poll: 0s }",
        "{ url: 'http://x', username: a, password: b, strategy: replace }",
    ];
    let around = |target: &str| {
        format!(
            "sources: {{ fleet: {{ file: {{ path: s.yaml }} }} }}\ntargets: {{ api: {{ dataplane: {target} }} }}\n"
        )
    };
    let shown: Vec<String> = wrong.iter().map(|one| format!("{one}\n{}\n", errors(&around(one)))).collect();
    let bind = around(wrong[1].replace("localhost", "http://localhost").as_str())
        + "expose: [{ backend: { bind: '*:80' } }]";
    assert_snapshot!(format!("{}\n{}", shown.join("\n"), errors(&bind)));
}

#[test]
fn the_example_is_a_configuration() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dataplane/roster.yaml");
    let config = Config::load(&example, &env()).unwrap();
    assert_eq!(reach_of(&config, "edge").url, "http://127.0.0.1:5555");
    assert_eq!(config.rules.iter().map(|rule| rule.layout.routes.len()).collect::<Vec<_>>(), [1, 1]);
}
