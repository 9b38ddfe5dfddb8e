//! Sources of clouds.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use roster_config::native::{AzureCloud, AzureCredential, Source};
use roster_core::fleet::TagRules;
use roster_haproxy::name::TargetName;
use roster_haproxy::render::RawLine;

use super::{COMPLETE, errors, parse};

/// The smallest file with this source.
fn file(source: &str) -> String {
    format!(
        "sources: {{ fleet: {source} }}\ntargets: {{ local: {{ runtime: {{ socket: /run/a.sock }} }} }}\n"
    )
}

#[test]
fn the_smallest_source_of_each_cloud_asks_for_the_usual_tags_as_often_as_is_usual() {
    let config = parse(&file("{ aws: { region: us-east-2 } }")).unwrap();
    let Source::Aws(aws) = &config.sources["fleet"] else { panic!("{:?}", config.sources) };
    let usual = TagRules { kept: Some(BTreeSet::new()), ..TagRules::default() };
    assert_eq!(aws.rules(), usual);
    assert_eq!((aws.poll.every.get().as_secs(), aws.poll.jitter.get().as_secs()), (30, 5));
    let backoff = aws.poll.backoff;
    assert_eq!((backoff.base.get().as_secs(), backoff.max.get().as_secs()), (5, 300));
    let subscription = "00000000-1111-2222-3333-444444444444";
    let config = parse(&file(&format!("{{ azure: {{ subscription: {subscription} }} }}"))).unwrap();
    let Source::Azure(azure) = &config.sources["fleet"] else { panic!("{:?}", config.sources) };
    assert_eq!((azure.credential, azure.cloud), (AzureCredential::Default, AzureCloud::Public));
    assert_eq!(azure.rules(), usual);
}

#[test]
fn names_of_tags_that_exposures_choose_by_reach_the_sources() {
    let subscription = "00000000-1111-2222-3333-444444444444";
    let text = file(&format!("{{ azure: {{ subscription: {subscription} }} }}"));
    let expose = "expose: [ { each: fleet, select: { metadata: { Team: web, Env: [a, b] } } } ]\n";
    let config = parse(&format!("{text}{expose}")).unwrap();
    let Source::Azure(azure) = &config.sources["fleet"] else { panic!("{:?}", config.sources) };
    assert_eq!(azure.selected_tags, ["Env", "Team"].map(str::to_owned).into());
    let aws = parse(&format!("{}{expose}", file("{ aws: { region: us-east-2 } }"))).unwrap();
    let Source::Aws(aws) = &aws.sources["fleet"] else { panic!("{:?}", aws.sources) };
    assert_eq!(aws.rules().kept, Some(azure.selected_tags.clone()));
    let text = text.replace("azure: {", "azure: { selected_tags: [x],");
    assert!(errors(&text).contains("selected_tags"), "it is no key of the file");
}

#[test]
fn tags_with_colons_and_lists_of_values_come_to_what_they_say() {
    let config = parse(COMPLETE).unwrap();
    let Source::Aws(aws) = &config.sources["machines"] else { panic!("{:?}", config.sources) };
    let rules = aws.rules();
    assert_eq!(rules.allow["environment"], ["canary:eu", "production"].map(str::to_owned).into());
    assert_eq!(rules.allow["team"], ["web".to_owned()].into());
    assert_eq!(rules.deny["HAProxy:Exclude"], ["true".to_owned()].into());
}

#[test]
fn each_wrong_cloud_says_what_to_do() {
    let sources = [
        "{ aws: {} }",
        "{ aws: { region: '' } }",
        "{ aws: { region: us-east-1a } }",
        "{ aws: { region: 'x.evil.example/1' } }",
        "{ aws: { region: us-east-2, regoin: us-east-1 } }",
        "{ aws: { region: us-east-2, profile: '' } }",
        "{ aws: { region: us-east-2, endpoint: 'http://user:pw@h' } }",
        "{ aws: { region: us-east-2, discover: { tags: { nmae: x } } } }",
        "{ aws: { region: us-east-2, discover: { tags: { name: '' } } } }",
        "{ aws: { region: us-east-2, allow: { env: [] } } }",
        "{ aws: { region: us-east-2, deny: { env: { is: x } } } }",
        "{ aws: { region: us-east-2, poll: { every: 100ms, backoff: { base: 0s } } } }",
        "{ aws: { region: us-east-2, poll: { backoff: { base: 10s, max: 5s } } } }",
        "{ aws: { region: us-east-2, poll: 30s } }",
        "{ aws: { region: us-east-2, timeout: 0s } }",
        "{ aws: { region: us-east-2, filters: { instance-state-name: pending, '': x } } }",
        "{ aws: { region: us-east-2, address: { interface: -1, family: ipv5 }, zone: number } }",
        "{ azure: { subscription: mine } }",
        "{ azure: { subscription: 00000000-1111-2222-3333-444444444444, resource_groups: [] } }",
        "{ azure: { subscription: 00000000-1111-2222-3333-444444444444, resource_groups: a/b } }",
        "{ azure: { subscription: 00000000-1111-2222-3333-444444444444, credential: password } }",
        "{ azure: { subscription: 00000000-1111-2222-3333-444444444444, cloud: germany } }",
    ];
    let told: Vec<String> =
        sources.iter().map(|source| format!("{source}\n{}\n", errors(&file(source)))).collect();
    assert_snapshot!(told.join("\n"));
}

/// The layouts of the rules that come of an exposure on a managed target, an API and a runtime socket: for each its targets,
/// lines and options.
fn layouts(expose: &str) -> Vec<String> {
    let api = "url: http://h:5555, username: admin, password: x";
    let text = format!(
        "sources: {{ fleet: {{ file: {{ path: a.yaml }} }} }}
targets:
  own: {{ managed: {{ config: haproxy.cfg }} }}
  live: {{ dataplane: {{ {api} }} }}
  bare: {{ runtime: {{ socket: /run/a.sock }} }}
expose: [{{ {expose} }}]
"
    );
    let rules = parse(&text).unwrap().rules;
    let told = rules.iter().map(|rule| {
        let targets: Vec<&str> = rule.targets.iter().map(TargetName::as_str).collect();
        let lines: Vec<&str> = rule.layout.lines.iter().map(RawLine::as_str).collect();
        let options = serde_json::Value::Object(rule.layout.options.clone());
        format!("{}: {lines:?} {options}", targets.join(" "))
    });
    told.collect()
}

#[test]
fn a_backend_whose_servers_may_all_be_backups_uses_all_of_them() {
    let zone = "zone: { local: a, others: backup }";
    let line = "[\"option allbackups\"] {}";
    let field = "{\"allbackups\":\"enabled\"";
    assert_eq!(layouts(zone), [format!("bare live own: {line}")]);
    assert_eq!(
        layouts(&format!("{zone}, backend: {{ options_of: {{ web: {{ server_timeout: 1 }} }} }}")),
        [format!("bare own: {line}"), format!("live: [] {field}}}")],
        "an object with fields of its own takes no lines"
    );
    for said in ["option allbackups", "no option allbackups"] {
        let told = layouts(&format!("{zone}, backend: {{ lines: [\"{said}\"] }}"));
        assert_eq!(told, [format!("bare live own: [\"{said}\"] {{}}")], "what is said is left as it is");
    }
    for other in ["zone: { local: a, others: same }", "zone: { local: a, others: { weight: 5 } }", "on: live"]
    {
        assert_eq!(layouts(other).len(), 1);
        assert!(!layouts(other)[0].contains("allbackups"), "{other}");
    }
}
