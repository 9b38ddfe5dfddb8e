use proptest::prelude::*;

use super::documents::{all, backend, bind, document, server};
use super::*;
use crate::keywords::Millis;
use crate::name::CookieValue;
use crate::render::*;
use crate::weight::Weight;

fn reasons(before: &Document, after: &Document) -> Vec<String> {
    let (before, after) = (rendered(before), rendered(after));
    let reasons = before.structure.reload_reasons(&after.structure);
    assert_eq!(reasons.is_empty(), before.structure == after.structure);
    reasons.iter().map(|reason| format!("{}: {reason}", reason.word())).collect()
}

fn one_backend(balance: Balance) -> Document {
    let mut backend = backend("web", vec![server(1, "10.0.0.1:80"), server(2, "10.0.0.2:80")]);
    backend.pool.balance = balance;
    document(FOLDER, vec![Section::Backend(backend)])
}

fn servers(document: &mut Document) -> &mut Vec<ServerLine> {
    match document.sections.first_mut() {
        Some(Section::Backend(backend)) => &mut backend.pool.servers,
        _ => panic!("no backend"),
    }
}

#[test]
fn what_a_live_haproxy_takes_is_no_reason_to_reload() {
    let before = one_backend(Balance::Uri);
    let mut after = before.clone();
    servers(&mut after)[0].at = "10.9.9.9:99".parse().unwrap();
    servers(&mut after)[0].weight = Some(Weight::MAX);
    servers(&mut after)[1].disabled = true;
    servers(&mut after)[1].keywords.backup = true;
    servers(&mut after).push(server(3, "10.0.0.3:80"));
    assert_ne!(rendered(&before).config, rendered(&after).config);
    assert_eq!(reasons(&before, &after), [""; 0]);
    servers(&mut after).clear();
    assert_eq!(reasons(&before, &after), [""; 0]);
}

#[test]
fn a_static_algorithm_needs_a_reload_for_servers_and_weights_but_not_for_addresses() {
    let before = one_backend(Balance::StaticRr);
    let mut after = before.clone();
    servers(&mut after)[0].at = "10.9.9.9:99".parse().unwrap();
    servers(&mut after)[0].weight = Some(Weight::ZERO);
    servers(&mut after)[1].disabled = true;
    assert_eq!(reasons(&before, &after), [""; 0]);
    servers(&mut after)[0].weight = Some(Weight::MAX);
    let told =
        ["servers_changed: backend web has other servers, and they cannot be changed while HAProxy runs"];
    assert_eq!(reasons(&before, &after), told);
    let mut after = before.clone();
    servers(&mut after).push(server(3, "10.0.0.3:80"));
    assert_eq!(reasons(&before, &after), told);
}

#[test]
fn servers_with_cookies_are_added_by_a_reload_where_haproxy_takes_no_cookie_live() {
    let before = one_backend(Balance::RoundRobin);
    let mut after = before.clone();
    servers(&mut after)[0].keywords.cookie = Some(CookieValue::new("a").unwrap());
    let structure = |document, version| render(document, version).unwrap().structure;
    assert_eq!(structure(&before, V3_0), structure(&after, V3_0));
    let reasons = structure(&before, V2_6).reload_reasons(&structure(&after, V2_6));
    assert_eq!(reasons.iter().map(ReloadReason::word).collect::<Vec<_>>(), ["servers_changed"]);
    let mut moved = after.clone();
    servers(&mut moved)[0].at = "10.9.9.9:99".parse().unwrap();
    servers(&mut moved)[0].weight = Some(Weight::MAX);
    assert_eq!(structure(&moved, V2_6), structure(&after, V2_6));
}

#[test]
fn routes_and_certificates_come_and_go_without_a_reload() {
    let before = named("web");
    let mut after = before.clone();
    let Some(Section::Frontend(front)) = after.sections.first_mut() else { panic!("no frontend") };
    front.routing.as_mut().unwrap().routes.clear();
    after.crt_lists[0].entries.pop();
    assert_ne!(rendered(&before).files, rendered(&after).files);
    assert_eq!(reasons(&before, &after), [""; 0]);
}

#[test]
fn comments_indentation_and_the_order_of_sections_are_no_reason() {
    let before = named("user_text");
    let mut after = before.clone();
    after.user.global = "maxconn 4096\nmaster-worker\n  # new\nlog 127.0.0.1 local0".to_owned();
    assert_eq!(reasons(&before, &after), [""; 0]);
    let before = named("web");
    let mut after = before.clone();
    after.sections.reverse();
    assert_eq!(reasons(&before, &after), [""; 0]);
}

#[test]
fn each_reason_is_told_in_plain_words() {
    let before = named("web");
    let mut after = before.clone();
    after.user.sections = "peers p\n    peer me 127.0.0.1:1".to_owned();
    after.user.defaults.push_str("\n    retries 1");
    after.ours.hard_stop_after = Millis::new(1000).ok();
    after.sections.pop();
    after.sections.push(Section::Backend(backend("new", Vec::new())));
    match after.sections.as_mut_slice() {
        [Section::Frontend(front), Section::Backend(shop), ..] => {
            front.default_backend = None;
            front.binds[0] = bind("*:12381");
            shop.pool.balance = Balance::Source;
        }
        _ => panic!("another document"),
    }
    insta::assert_snapshot!(reasons(&before, &after).join("\n"), @r#"
    global_changed: the global section changed
    defaults_changed: the defaults changed
    user_sections_changed: the operator's own sections changed
    frontend_changed: frontend http-in changed
    bind_removed: frontend http-in no longer listens on *:12380
    bind_added: frontend http-in listens on *:12381
    backend_removed: backend api-v2 is gone
    backend_added: backend new is new
    backend_changed: backend shop changed
    "#);
    insta::assert_snapshot!(reasons(&named("tcp"), &named("minimal")).join("\n"), @r#"
    global_changed: the global section changed
    backend_added: backend web is new
    listen_removed: listen db is gone
    listen_removed: listen db2 is gone
    "#);
}

#[test]
fn a_structure_survives_json() {
    for (name, document) in all(FOLDER) {
        let structure = rendered(&document).structure;
        let json = serde_json::to_string(&structure).unwrap();
        assert_eq!(serde_json::from_str::<Structure>(&json).unwrap(), structure, "{name}");
    }
}

proptest! {
    #[test]
    fn any_live_change_leaves_the_structure_and_any_two_documents_differ_by_reasons(
        slots in prop::collection::vec((any::<u8>(), prop::option::of(0..=256u32), any::<bool>(), any::<bool>()), 0..6),
        order in Just(all(FOLDER)).prop_shuffle(),
        balance in prop::sample::select(vec![Balance::RoundRobin, Balance::Source, Balance::LeastConn, Balance::Random]),
    ) {
        let before = one_backend(balance.clone());
        let mut after = one_backend(balance);
        *servers(&mut after) = (1..).zip(&slots).map(|(slot, (ip, weight, disabled, backup))| {
            let mut server = server(slot, &format!("10.0.0.{ip}:80"));
            server.weight = weight.map(|weight| Weight::new(weight).unwrap());
            server.disabled = *disabled;
            server.keywords.backup = *backup;
            server
        }).collect();
        prop_assert_eq!(rendered(&before).structure, rendered(&after).structure);
        if let [(one, first), (two, second), ..] = order.as_slice() {
            prop_assert_ne!(one, two);
            prop_assert!(!reasons(first, second).is_empty());
            prop_assert!(reasons(first, first).is_empty());
        }
    }
}
