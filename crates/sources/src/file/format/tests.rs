//! What the forms come to, and what is said of mistakes.

mod unread;

use std::path::Path;

use proptest::prelude::*;
use roster_config::document::NotPlain;
use roster_core::instance::{HealthAuthority, Lifecycle};

use super::*;

const WRONG: &str = include_str!("wrong.yaml");
const WRONG_SD: &str = include_str!("wrong_sd.yaml");

fn form(format: FileFormat) -> Form {
    Form::new(Path::new("/etc/roster/stem.yaml"), format, "job")
}

fn read(text: &str) -> Result<Snapshot, Problems> {
    parse("web.yaml", text, &form(FileFormat::Auto), None, Timestamp::UNIX_EPOCH)
}

fn rejects(snapshot: &Snapshot) -> String {
    snapshot.rejects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Each service with its instances' ids.
fn ids(snapshot: &Snapshot) -> String {
    let line = |(name, instances): (&_, &roster_core::instance::Members)| {
        let ids: Vec<&str> = instances.iter().map(|instance| instance.id.as_str()).collect();
        format!("{name}: {}\n", ids.join(" "))
    };
    snapshot.services.iter().map(line).collect()
}

#[test]
fn every_way_to_write_an_instance_is_read() {
    let snapshot = read(
        r#"
        x-common: &common { region: eu-west-1, health: passing }
        services:
          web:
            - 10.0.0.1:8080
            - { <<: *common, address: "10.0.0.2:8080", id: web-2, weight: 10, zone: eu-west-1a, group: blue,
                state: leaving, metadata: { env: prod, canary: true, share: 0.5, secret: "${HOME}" } }
            - { address: 10.0.0.3, port: 8080, weight: "0" }
            - "[fd00::1]:8080"
            - { address: "fd00::2", port: "8081" }
          api: []
          db: { instances: ["10.0.1.1:5432"] }
        "#,
    )
    .unwrap();
    assert_eq!(rejects(&snapshot), "");
    let wanted =
        "api: \ndb: 10.0.1.1:5432\nweb: 10.0.0.1:8080 web-2 10.0.0.3:8080 [fd00::1]:8080 [fd00::2]:8081\n";
    assert_eq!(ids(&snapshot), wanted);
    let second = &snapshot.services["web"][1];
    assert_eq!(second.lifecycle, Lifecycle::Leaving);
    insta::assert_debug_snapshot!("an_instance_with_every_key", second);
}

#[test]
fn json_is_read_as_json_libraries_write_it() {
    let text = "{\n\t\"services\": {\n\t\t\"web\": [\n\t\t\t{\"address\": \"10.0.0.1:80\", \"metadata\": \
                {\"a\\/b\": \"caf\\u00e9 \\ud83d\\ude00\"}},\r\n\t\t\t\"10.0.0.2:80\"\n\t\t]\n\t}\n}";
    let snapshot = read(text).unwrap();
    assert_eq!(ids(&snapshot), "web: 10.0.0.1:80 10.0.0.2:80\n");
    assert_eq!(snapshot.services["web"][0].metadata["a/b"], "café 😀");
}

#[test]
fn a_mark_of_byte_order_is_no_content() {
    assert_eq!(ids(&read("\u{feff}services: { web: [\"10.0.0.1:80\"] }").unwrap()), "web: 10.0.0.1:80\n");
}

#[test]
fn each_mistake_is_reported_with_its_place_and_costs_no_other_instance() {
    let snapshot = read(WRONG).unwrap();
    assert_eq!(ids(&snapshot), "listed: 10.0.0.22:80\nweb: 10.0.0.1:8080 same 10.0.0.16:8080\n");
    insta::assert_snapshot!("mistakes_in_rosters_form", rejects(&snapshot));
}

#[test]
fn a_service_that_cannot_be_read_keeps_what_was_known_of_it() {
    let known = read("services: { web: [\"10.0.0.1:80\"], api: [\"10.0.0.9:80\"] }").unwrap();
    let text = "services:\n  web:\n  new: 5\n  api: [\"10.0.0.8:80\"]\n";
    let now = parse("web.yaml", text, &form(FileFormat::Auto), Some(&known), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ids(&now), "api: 10.0.0.8:80\nweb: 10.0.0.1:80\n");
    insta::assert_snapshot!("services_that_cannot_be_read", rejects(&now));
}

#[test]
fn a_file_that_may_be_cut_off_or_of_another_kind_is_no_answer() {
    let long_key = format!("services: {{ {}: 1, {0}: 2 }}", "k".repeat(1000));
    let texts = [
        "",
        "# nothing\n",
        "---\n",
        "services:",
        "services:\n  web: [",
        "{\"services\": {\"web\": [\"10.0.0.1:80\"",
        "services: []",
        "servcies: { web: [] }",
        "web: []\napi: []",
        "{}",
        "null",
        "just text",
        "services: { web: [], web: [] }",
        "a: 1\n---\nb: 2",
        "services: {}\n\tx: 1",
        "services: { \0 }",
        &long_key,
    ];
    let said = texts.map(|text| format!("{:?}\n  {}\n", text.get(..50).unwrap_or(text), error_of(text)));
    insta::assert_snapshot!("files_that_are_no_answer", said.concat());
}

fn error_of(text: &str) -> String {
    super::super::FileError::Invalid(read(text).unwrap_err()).to_string()
}

#[test]
fn no_service_at_all_is_an_answer_when_it_is_written_out() {
    for text in ["services: {}", "{\"services\": {}}", "[]"] {
        assert!(read(text).unwrap().services.is_empty(), "{text}");
    }
}

#[test]
fn target_groups_become_services_by_their_labels() {
    let snapshot = read(
        r#"[ { "targets": ["10.0.0.1:80", "10.0.0.2:80"],
               "labels": { "job": "web", "service": "other", "zone": "a", "region": "r", "group": "g", "weight": "7",
                           "env": "prod", "__meta_x": "y", "none": "" } },
             { "targets": ["10.0.0.3:80"], "labels": { "service": "api" } },
             { "targets": ["10.0.0.4:80"] },
             { "targets": [], "labels": { "job": "empty" } },
             { "targets": ["10.0.0.5:80"], "labels": { "job": "web" } } ]"#,
    )
    .unwrap();
    assert_eq!(rejects(&snapshot), "");
    let wanted = "api: 10.0.0.3:80\nempty: \nstem: 10.0.0.4:80\nweb: 10.0.0.1:80 10.0.0.2:80 10.0.0.5:80\n";
    assert_eq!(ids(&snapshot), wanted);
    insta::assert_debug_snapshot!("a_target_with_labels", snapshot.services["web"][0]);
}

#[test]
fn the_configured_label_names_the_service_before_all_others() {
    let form = Form { service_label: "app".into(), ..form(FileFormat::FileSd) };
    let text = "- { targets: ['10.0.0.1:80'], labels: { job: web, app: shop } }";
    let snapshot = parse("sd.yaml", text, &form, None, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ids(&snapshot), "shop: 10.0.0.1:80\n");
}

#[test]
fn each_mistake_in_a_target_group_is_reported_with_its_place() {
    let snapshot = read(WRONG_SD).unwrap();
    assert_eq!(ids(&snapshot), "web: 10.0.0.1:80 10.0.0.6:80\n");
    insta::assert_snapshot!("mistakes_in_target_groups", rejects(&snapshot));
}

#[test]
fn a_file_of_which_no_target_group_can_be_read_is_no_answer() {
    let texts = [
        "- web",
        "- { labels: {} }",
        "- { targets: web }",
        "- { targets: [], lables: {} }",
        "- { targets: [], labels: [] }",
        "- { targets: [], labels: { a: [] } }\n- 5",
    ];
    let said = texts.map(|text| format!("{text:?}\n  {}\n", error_of(text)));
    insta::assert_snapshot!("target_groups_of_another_form", said.concat());
}

#[test]
fn a_form_that_is_told_is_not_guessed() {
    let said = |format, text| {
        parse("web.yaml", text, &form(format), None, Timestamp::UNIX_EPOCH)
            .unwrap_err()
            .iter()
            .next()
            .unwrap()
            .to_string()
    };
    let both = [said(FileFormat::Roster, "[]"), said(FileFormat::FileSd, "services: {}")];
    insta::assert_snapshot!("a_form_other_than_the_one_told", both.join("\n"));
}

#[test]
fn the_files_in_the_documentation_are_read_without_a_complaint() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sources/file.md"));
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let data: Vec<&str> = blocks.map(|(_, text)| text).filter(|text| !text.starts_with("sources:")).collect();
    assert_eq!(data.len(), 2);
    for text in data {
        let snapshot = read(text).unwrap();
        assert_eq!(rejects(&snapshot), "");
        assert!(snapshot.services["web"].len() > 1);
    }
}

#[test]
fn an_instance_with_health_has_its_source_for_authority_and_one_without_changes_no_other() {
    let text = "services: { web: [{ address: '10.0.0.1:1', health: passing }, { address: '10.0.0.2:1', health: failing }, \
                '10.0.0.3:1', { address: '10.0.0.4:1', health: unknown }] }";
    let authorities: Vec<HealthAuthority> =
        read(text).unwrap().services["web"].iter().map(|one| one.health_authority).collect();
    assert_eq!(
        authorities,
        [HealthAuthority::Source, HealthAuthority::Source, HealthAuthority::Checks, HealthAuthority::Checks]
    );
}

#[test]
fn a_file_of_nothing_but_mistakes_fills_no_log() {
    let text = format!("services: {{ web: [{}] }}", "x, ".repeat(5000));
    let snapshot = read(&text).unwrap();
    assert_eq!(snapshot.rejects.len(), 1001);
    let last = snapshot.rejects.last().unwrap().to_string();
    assert_eq!(last, "web.yaml: 4000 more mistakes are not listed; correct the first ones");
}

/// Pieces of which now and then a sound file is made.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("services:\n"),
        Just("  web:\n"),
        Just("    - "),
        Just("10.0.0.1:80\n"),
        Just("{ address: 10.0.0.2:80"),
        Just(" }\n"),
        Just(", weight: "),
        Just("300"),
        Just("- targets: ["),
        Just("]\n"),
        Just("  labels: { job: "),
        Just("\"services\""),
        Just(": {"),
        Just("}"),
        Just("["),
        Just(","),
        Just("&a "),
        Just("*a "),
        Just("<<: "),
        Just("\u{0}"),
        Just("é"),
        Just("\t"),
        Just("\r\n"),
        Just("${HOME}"),
        Just("---\n"),
        Just("!!str "),
        Just("~"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Whether a text can mean that there is no service: an empty list or mapping stands in it.
fn says_nobody(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    ["[]", "{}", "[,", "{,"].iter().any(|empty| bare.contains(empty))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_takes_what_is_unsound_for_nobody(text in prop_oneof![any::<String>(), pieces()]) {
        if let Ok(snapshot) = read(&text)
            && snapshot.services.is_empty()
            && snapshot.rejects.is_empty()
        {
            prop_assert!(says_nobody(&text), "{text:?} was taken for no service at all");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_answer_in_json(at in 0_usize..1000) {
        let whole = r#"{"services": {"web": ["10.0.0.1:80", {"address": "10.0.0.2:80", "id": "b"}], "api": []}}"#;
        let (cut, _) = whole.split_at(at % whole.len());
        prop_assert!(read(cut).is_err());
    }
}

/// The same text for nobody but the reader of all of YAML: a tab is no part of plain YAML.
fn in_full(text: &str) -> String {
    let text = format!("{text}#\t");
    assert_eq!(Text::new(&text).entries("services", |_| ()), Err(NotPlain));
    text
}

/// Services as they may be written, sound and not.
fn service() -> impl Strategy<Value = String> {
    let items = "10.0.0.1:80§10.0.0.1:080§\"10.0.0.2:80\"§'[fd00::1]:80'§10.0.0.300:80§10.0.0.3§null§[10.0.0.5:80]§{}§\
        { address: 10.0.0.2:80, id: b }§{ address: \"10.0.0.4\", port: 80, weight: 300 }§address: 10.0.0.6:80§\
        id: b§id: 10.0.0.1:80\n      address: 10.0.0.7:80\n      weight: 10\n      zone: eu west§\
        address: 10.0.0.8\n      port: '80' # c\n      wieght: 1\n      metadata:\n        env: prod\n        v: 1.4§\
        address: 10.0.0.9:80\n\n      health: passing\n      metadata: { a: b }";
    let items: Vec<&str> = items.split('§').collect();
    let items = prop::collection::vec(prop::sample::select(items), 1..6);
    let listed = |indent: &'static str| {
        move |items: Vec<&str>| items.iter().flat_map(|item| ["\n", indent, "- ", item]).collect::<String>()
    };
    let other = ["{}", "[]", "{ instances: [10.0.1.1:80] }", "none", "\n    instance: x\n    instances: []"];
    prop_oneof![
        4 => items.clone().prop_map(listed("    ")),
        1 => items.prop_map(listed("    ")).prop_map(|items| format!("\n   instances:{items}")),
        1 => prop::sample::select(other.map(|value| format!(" {value}")).to_vec()),
    ]
}

proptest! {
    #[test]
    fn a_plain_text_says_what_it_says_to_the_reader_of_all_of_yaml(
        services in prop::collection::vec(service(), 1..5),
        names in Just(["known", "web", "we,b", "web-2", "known"]).prop_shuffle(),
    ) {
        let services = names.iter().zip(services).map(|(name, service)| format!("  {name}:{service}\n"));
        let text = format!("services:\n{}", services.collect::<String>());
        let known = read("services: { known: [\"10.0.0.1:80\"] }").unwrap();
        let read = |text| parse("web.yaml", text, &form(FileFormat::Auto), Some(&known), Timestamp::UNIX_EPOCH);
        match Text::new(&text).entries("services", |_| ()) {
            Ok(()) => prop_assert_eq!(read(&text).unwrap(), read(&in_full(&text)).unwrap()),
            Err(NotPlain) => prop_assert!(read(&text).is_err() && read(&in_full(&text)).is_err(), "{}", text),
        }
    }

    #[test]
    fn an_instance_without_an_id_is_called_by_its_address_as_it_is_printed(
        ip in any::<std::net::IpAddr>(),
        port in any::<u16>(),
        form in 0..5,
    ) {
        let address = match (form, ip) {
            (0, _) => format!("[{ip}]:{port}"),
            (1, _) => format!("{ip}:0{port}"),
            (2, std::net::IpAddr::V4(ip)) => format!("[{}]:{port}", ip.to_ipv6_mapped()),
            _ => std::net::SocketAddr::new(ip, port).to_string(),
        };
        let snapshot = read(&format!("services:\n  web:\n    - '{address}'\n    - address: '{address}'\n      port: {port}")).unwrap();
        for instance in &snapshot.services["web"] {
            prop_assert_eq!(instance.id.as_str(), instance.endpoint.to_string());
        }
    }
}

#[test]
fn every_way_to_write_many_instances_is_read_service_by_service() {
    for text in [
        "services:\n  a:\n    - 10.0.0.1:80\n    - \"10.0.0.2:80\"\n    - { address: \"10.0.0.3:80\", id: \"c\" }\n  b: []\n",
        "services:\n  a:\n  - address: 10.0.0.1:80\n    id: b\n    metadata:\n      env: prod\n    weight: '10'\n  - 10.0.0.2:80\n",
        "# by hand\nservices:\n  a:   # the first\n    - 10.0.0.1:80   # a comment\n\n    - {address: 10.0.0.2, port: 80}\n",
    ] {
        let mut services = 0;
        let read = Text::new(text).entries("services", |_| services += 1);
        assert_eq!((read, services > 0), (Ok(()), true), "{text}");
        assert_eq!(
            rejects(&parse("a", text, &form(FileFormat::Auto), None, Timestamp::UNIX_EPOCH).unwrap()),
            ""
        );
    }
}
