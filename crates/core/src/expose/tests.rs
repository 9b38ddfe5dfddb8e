use roster_haproxy::render::{Bind, BindAddress};

use super::*;
use crate::exposure::{Claim, FallbackRule, Own, Policy};
use crate::slots::SlotScheme;

type Made = (Vec<Exposure>, Vec<Unexposed>);

fn made(rule: Rule, target: &TargetName, service: ServiceView<'_>) -> Made {
    let (offers, unexposed) = offers(&[rule], target, &[service], &Held::default());
    (offers.into_iter().map(|offer| offer.exposure).collect(), unexposed)
}

fn exposed(service: &str, layout: Layout) -> Made {
    let target: TargetName = "own".parse().unwrap();
    let fallback = FallbackRule {
        backend: "{service}-far".parse().unwrap(),
        names: SlotScheme::default().names,
        all: true,
    };
    let rule = Rule {
        services: Services::All,
        targets: [target.clone()].into(),
        backend: "{service}".parse().unwrap(),
        own: Own::default(),
        claim: Claim::default(),
        slots: SlotScheme::default(),
        select: Selector::default(),
        fallback: Some(fallback),
        layout: Arc::new(layout),
        policy: Policy::default(),
    };
    let key = ServiceKey { source: "fleet".parse().unwrap(), service: service.parse().unwrap() };
    made(rule, &target, ServiceView { key: &key, instances: &[], definition: None })
}

fn of<'e>(exposed: &'e Made, name: &str) -> &'e Exposure {
    exposed.0.iter().find(|exposure| exposure.backend.as_str() == name).unwrap()
}

#[test]
fn only_the_first_backend_of_a_rule_has_a_frontend_and_routes() {
    let at: BindAddress = "127.0.0.1:80".parse().unwrap();
    let route = RoutePattern {
        frontend: "web".parse().unwrap(),
        host: "{service}.example.org".parse().ok(),
        path: "/{service|upper}".parse().ok(),
    };
    let layout = Layout { binds: vec![Bind::plain(at)], routes: vec![route], ..Layout::default() };
    let exposed = exposed("shop", layout);
    let binds = |name: &str| of(&exposed, name).layout.as_ref().unwrap().binds.len();
    assert_eq!((binds("shop"), binds("shop-far")), (1, 0));
    let routes = |name: &str| -> Vec<String> {
        of(&exposed, name).routes.iter().map(|route| route.of.to_string()).collect()
    };
    assert_eq!(routes("shop"), ["shop.example.org/SHOP"]);
    assert!(routes("shop-far").is_empty());
}

#[test]
fn a_service_whose_name_makes_no_route_is_left_out_and_told() {
    let route =
        |path: &str| RoutePattern { frontend: "web".parse().unwrap(), host: None, path: path.parse().ok() };
    for (path, says) in [("/{region}", "has no value here"), ("{service}", "must begin with /")] {
        let exposed = exposed("shop", Layout { routes: vec![route(path)], ..Layout::default() });
        assert!(exposed.0.is_empty());
        let told = exposed.1[0].to_string();
        assert!(told.starts_with("service fleet/shop is left out") && told.contains(says), "{told}");
    }
}

/// Whether it is a backup, and its weight.
fn expose_one(
    backend: &str,
    layout: Layout,
    definition: Option<&Definition>,
    instances: &[Instance],
) -> Made {
    let target: TargetName = "own".parse().unwrap();
    let rule = Rule {
        services: Services::All,
        targets: [target.clone()].into(),
        backend: backend.parse().unwrap(),
        own: Own::default(),
        claim: Claim::default(),
        slots: SlotScheme::default(),
        select: Selector::default(),
        fallback: None,
        layout: Arc::new(layout),
        policy: Policy::default(),
    };
    let key =
        ServiceKey { source: "fleet".parse().unwrap(), service: "myapp/8080/us-east-2".parse().unwrap() };
    made(rule, &target, ServiceView { key: &key, instances, definition })
}

fn definition() -> Definition {
    Definition {
        name: "myapp".parse().unwrap(),
        port: "8080".parse().ok(),
        region: "us-east-2".parse().ok(),
        empty_since: None,
    }
}

#[test]
fn a_backend_is_named_after_the_service_and_not_after_who_is_in_it() {
    let named = |instances: &[Instance]| {
        let exposed =
            expose_one("aws-{service}-{port}-{region}", Layout::default(), Some(&definition()), instances);
        exposed.0.iter().map(|exposure| exposure.backend.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(named(&[]), ["aws-myapp-8080-us-east-2"]);
    assert_eq!(named(&[Instance::at("10.0.0.1:81".parse().unwrap())]), named(&[]), "on a port of its own");
}

#[test]
fn options_of_a_service_replace_those_of_all() {
    let map = |json: serde_json::Value| json.as_object().unwrap().clone();
    let layout = Layout {
        options: map(serde_json::json!({ "server_timeout": 1, "cookie": { "name": "A" } })),
        options_of: [
            ("myapp".to_owned(), map(serde_json::json!({ "cookie": { "name": "B" } }))),
            ("other".to_owned(), map(serde_json::json!({ "server_timeout": 2 }))),
        ]
        .into(),
        ..Layout::default()
    };
    let options = |definition: Option<&Definition>| {
        let exposed = expose_one("x", layout.clone(), definition, &[]);
        serde_json::Value::Object(of(&exposed, "x").layout.as_ref().unwrap().options.clone())
    };
    let own = serde_json::json!({ "server_timeout": 1, "cookie": { "name": "B" } });
    assert_eq!(options(Some(&definition())), own);
    assert_eq!(options(None), serde_json::Value::Object(layout.options.clone()));
}
