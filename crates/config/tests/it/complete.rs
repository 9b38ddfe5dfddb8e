//! What is documented is accepted, means what its documentation says, and is what the checks know.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use roster_config::document::Document;
use roster_config::native::{Config, File, schema};
use roster_core::exposure::{BringUp, Guards, OtherZones, Own, Policy, Selector, Services};
use roster_core::slots::{Growth, NameScheme, SlotScheme};
use roster_haproxy::weight::Weight;
use serde_json::{Map, Value, json};

use super::{COMPLETE, MINIMAL, env, parse};

fn tree(text: &str) -> Value {
    Document::parse("roster.yaml", text, &env()).unwrap().decode().unwrap()
}

/// Every schema inside a schema, itself first.
fn schemas(schema: &Value) -> Vec<&Map<String, Value>> {
    match schema {
        Value::Object(keywords) => {
            std::iter::once(keywords).chain(keywords.values().flat_map(schemas)).collect()
        }
        Value::Array(all) => all.iter().flat_map(schemas).collect(),
        _ => Vec::new(),
    }
}

fn keys_and_words(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            keys_and_words(value, into);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys_and_words(item, into)),
        Value::String(word) => drop(into.insert(word.clone())),
        _ => {}
    }
}

#[test]
fn every_documented_key_and_word_is_accepted() {
    parse(COMPLETE).unwrap();
    let schema = schema();
    let mut known = BTreeSet::new();
    for keywords in schemas(&schema) {
        known.extend(
            keywords
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone()),
        );
        known.extend(keywords.get("const").and_then(Value::as_str).map(str::to_owned));
        let words = keywords.get("enum").and_then(Value::as_array).into_iter().flatten();
        known.extend(words.filter_map(Value::as_str).map(str::to_owned));
    }
    let mut used = BTreeSet::new();
    keys_and_words(&tree(COMPLETE), &mut used);
    for level in ["error", "warn", "debug", "trace", "json"] {
        let key = if level == "json" { "format" } else { "level" };
        parse(&format!("{MINIMAL}\nlog: {{ {key}: {level} }}")).unwrap();
        used.insert(level.to_owned());
    }
    for family in ["any", "ipv4"] {
        parse(&COMPLETE.replace("family: ipv6", &format!("family: {family}"))).unwrap();
        used.insert(family.to_owned());
    }
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "files/complete.yaml does not show {unused:?}");
}

#[test]
fn the_checks_know_every_keyword_that_the_schema_has() {
    let known = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "exclusiveMinimum",
        "format",
        "items",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "oneOf",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
        "uniqueItems",
        "writeOnly",
    ];
    let schema = schema();
    let mut names = BTreeSet::new();
    keywords(&schema, &mut names);
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "document::check does not look at {unknown:?}");
}

/// The keywords of a schema, without the names of properties and definitions.
fn keywords(schema: &Value, into: &mut BTreeSet<String>) {
    let Value::Object(own) = schema else { return };
    for (name, value) in own {
        into.insert(name.clone());
        match (name.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                named.values().for_each(|schema| keywords(schema, into));
            }
            ("oneOf" | "anyOf", Value::Array(all)) => all.iter().for_each(|schema| keywords(schema, into)),
            ("items" | "additionalProperties" | "propertyNames", schema) => keywords(schema, into),
            _ => {}
        }
    }
}

#[test]
fn the_schema_is_reviewed_when_it_changes() {
    assert_snapshot!(serde_json::to_string_pretty(&schema()).unwrap());
}

#[test]
fn the_smallest_file_exposes_every_service_on_every_target() {
    let config = parse(MINIMAL).unwrap();
    let [rule] = config.rules.as_slice() else { panic!("{:?}", config.rules) };
    assert_eq!(rule.services, Services::All);
    assert!(rule.targets.iter().eq(config.targets.keys()));
    assert_eq!(rule.backend.as_str(), "{service}");
    assert_eq!((&rule.slots, rule.own), (&SlotScheme::default(), Own::Servers));
    assert_eq!((&rule.policy, &rule.select), (&Policy::default(), &Selector::default()));
    assert_eq!(rule.fallback, None);
    assert_eq!(config.admin.unwrap().address.to_string(), "127.0.0.1:9876");
}

#[test]
fn a_written_admin_address_is_told_from_the_one_that_stands_for_it() {
    let given = |admin: &str| parse(&format!("{MINIMAL}admin: {admin}\n")).unwrap().admin;
    assert!(!parse(MINIMAL).unwrap().admin.unwrap().given);
    assert!(!given("{}").unwrap().given);
    assert!(given("{ listen: 127.0.0.1:9876 }").unwrap().given);
    assert_eq!(given("off"), None);
}

#[test]
fn a_rule_comes_to_what_it_says() {
    let config = parse(COMPLETE).unwrap();
    let (rule, policy) = (&config.rules[0], &config.rules[0].policy);
    assert!(
        matches!(&rule.services, Services::Listed(keys) if keys.iter().all(|key| key.to_string() == "fleet/web"))
    );
    assert_eq!(rule.targets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["local"]);
    assert_eq!(rule.backend.as_str(), "{service|lower|replace:_:-}-{source}");
    assert_eq!((rule.slots.base, rule.slots.growth), (12, Growth::linear(1.5).unwrap()));
    assert_eq!(rule.select.group, ["web-a", "web-b"].map(|label| label.parse().unwrap()).into());
    assert_eq!(rule.select.metadata["tier"], ["1", "2"].map(str::to_owned).into());
    let fallback = rule.fallback.as_ref().unwrap();
    assert_eq!((fallback.backend.as_str(), fallback.all), ("{service}-fallback", false));
    assert_eq!(policy.zones.as_ref().unwrap().others, OtherZones::Backup);
    assert_eq!((policy.weight, policy.bring_up), (Weight::new(100).ok(), Some(BringUp::Registry)));
    assert_eq!(
        policy.server.to_string(),
        " maxconn 1000 slowstart 30000ms init-state fully-down send-proxy-v2 ssl verify required ca-file \
         /etc/ssl/ca.pem verifyhost web.internal sni str(web.internal) alpn h2,http/1.1 check inter 2000ms fastinter \
         500ms downinter 10000ms rise 2 fall 3 port 8081 addr 10.0.0.9 check-ssl check-sni check.internal \
         check-send-proxy"
    );
    assert_eq!((policy.drain.cap.as_secs(), policy.rest.as_secs()), (60, 300));
    assert_eq!(policy.slow_start.unwrap().from_percent, 10);
    assert_eq!((policy.guard.max_removal_percent, policy.guard.hold_passes), (30, 2));
}

#[test]
fn each_word_comes_to_what_it_says() {
    let config = parse(COMPLETE).unwrap();
    let [_, second, third, ..] = config.rules.as_slice() else { panic!("{:?}", config.rules) };
    assert_eq!(second.slots.names, NameScheme::Address);
    assert_eq!(second.slots.growth, Growth::exponential(2.0).unwrap());
    assert_eq!((second.policy.bring_up, second.policy.guard), (Some(BringUp::Probe), Guards::OFF));
    assert_eq!(second.policy.zones.as_ref().unwrap().others, OtherZones::Same);
    assert!(second.policy.server.to_string().contains("send-proxy ssl verify none alpn h2 check"));
    assert_eq!(third.own, Own::Whole);
    assert_eq!(third.policy.zones.as_ref().unwrap().others, OtherZones::Weight(Weight::new(10).unwrap()));
    assert_eq!(third.policy.bring_up, Some(BringUp::Check));
}

#[test]
fn what_is_written_out_again_means_the_same() {
    for text in [MINIMAL, COMPLETE] {
        let file: File = Document::parse("roster.yaml", text, &env()).unwrap().decode().unwrap();
        let again = serde_json::to_string_pretty(&file).unwrap();
        assert_eq!(unnamed(parse(&again).unwrap()), unnamed(parse(text).unwrap()));
    }
}

/// But for who names the admin address: what is written out names it.
fn unnamed(mut config: Config) -> Config {
    config.admin.iter_mut().for_each(|listen| listen.given = false);
    config
}

/// Puts in every default that the schema names and the value does not have.
fn fill(value: &mut Value, schema: &Value, root: &Value) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        fill(value, root.pointer(target.trim_start_matches('#')).unwrap(), root);
    }
    for branch in ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
        let tagged = |tag: &Value| value.get(tag.as_str().unwrap_or_default()).is_some();
        if branch.get("required").and_then(Value::as_array).is_none_or(|tags| tags.iter().all(tagged)) {
            fill(value, branch, root);
        }
    }
    match value {
        Value::Object(entries) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, schema) in properties.into_iter().flatten() {
                if let Some(default) = schema.get("default") {
                    entries.entry(key).or_insert_with(|| default.clone());
                }
                if let Some(value) = entries.get_mut(key) {
                    fill(value, schema, root);
                }
            }
            if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                entries.values_mut().for_each(|value| fill(value, schema, root));
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for item in items {
                fill(item, schema, root);
            }
        }
        _ => {}
    }
}

#[test]
fn the_defaults_that_are_documented_are_those_that_hold() {
    let mut given = tree(MINIMAL);
    given["log"] = json!({});
    given["admin"] = json!({});
    given["expose"] = json!([{
        "backend": {}, "slots": {}, "probe": {}, "drain": {}, "guard": {}, "server": { "ssl": { "verify": "none" } },
        "zone": { "local": "a" }, "slow_start": { "over": "60s" },
        "select": { "zone": "a" }, "fallback": { "backend": "fb-{service}" },
    }, {
        "service": "fleet/web", "on": "own",
        "backend": { "name": "w", "http_check": {}, "bind": [{ "at": "*:80" }] }, "server": { "check": true },
    }]);
    given["targets"]["own"] = json!({ "managed": {
        "config": "haproxy.cfg", "settle": {}, "max_reloads": {}, "on_exit": "stop", "stop": {},
    } });
    given["targets"]["unit"] = json!({ "managed": {
        "config": "unit.cfg", "process": { "reload": { "command": ["true"] } },
    } });
    let mut filled = given.clone();
    fill(&mut filled, &schema(), &schema());
    assert_eq!(filled.pointer("/expose/0/guard/hold_for"), Some(&json!("5m")));
    assert_eq!(filled.pointer("/targets/own/managed/max_reloads/count"), Some(&json!(30)));
    assert_eq!(filled.pointer("/targets/unit/managed/process/reload/timeout"), Some(&json!("30s")));
    assert_eq!(unnamed(parse(&filled.to_string()).unwrap()), unnamed(parse(&given.to_string()).unwrap()));
}

#[test]
fn an_empty_section_is_no_different_from_none() {
    let with = format!(
        "{MINIMAL}\nexpose: [{{ backend: {{}}, slots: {{}}, probe: {{}}, drain: {{}}, guard: {{}}, server: {{}} }}]"
    );
    assert_eq!(parse(&with).unwrap(), parse(MINIMAL).unwrap());
}

#[test]
fn a_slot_with_a_cookie_rests_unless_the_file_says_otherwise() {
    let rest =
        |rule: &str| parse(&format!("{MINIMAL}\nexpose: [{rule}]")).unwrap().rules[0].policy.rest.as_secs();
    assert_eq!(rest("{ server: { cookie: true } }"), 300);
    assert_eq!(rest("{ server: { cookie: true }, cookie_rest: 1s }"), 1);
    assert_eq!(rest("{ server: { cookie: false } }"), 0);
}
