use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;

use super::Legacy;
use crate::legacy::Translated as _;
use crate::native::{AzureCredential, Config, LogFormat, LogLevel, Reach, Source};

const SUBSCRIPTION: &str = "00000000-1111-2222-3333-444444444444";
const AWS: &str = "aws: { region: us-east-2 }\n";

fn env() -> BTreeMap<String, String> {
    let set = [
        ("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION),
        ("AWS_REGION", "us-east-2"),
        ("HAPROXY_DATAPLANE_PASSWORD", "hunter2"),
        ("EMPTY", ""),
        ("TEN", "10"),
        ("odd name", "odd"),
    ];
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn read(text: &str) -> Legacy {
    Legacy::parse("config.yaml", text, &env()).unwrap()
}

fn config(text: &str) -> Config {
    read(text).config(&env()).unwrap()
}

fn errors(text: &str) -> String {
    Legacy::parse("config.yaml", text, &env()).unwrap_err().to_string()
}

/// Every key of the original's reference, none at its default.
const WHOLE: &str = r#"
aws:
  region: "${AWS_REGION}"
  account_id: "prod"
  credential_profile: "fleet"
tags:
  service_name_tag: "Svc:Name"
  service_port_tag: "Svc:Port"
  instance_port_tag: "Inst:Port"
  allowlist: { environment: "production", "team:x": web }
  denylist: { "HAProxy:Exclude": "true" }
haproxy:
  base_url: "https://lb:5555"
  api_version: "v3"
  username: "roster"
  password: "${HAPROXY_DATAPLANE_PASSWORD}"
  timeout: 7
  verify_ssl: no
  backend: { name_prefix: "aws", name_separator: "_", balance: "leastconn", mode: "tcp" }
  server_slots: { base: 12, growth_factor: 2, growth_type: "exponential" }
  availability_zone: "us-east-2a"
  az_weight_tag: "Inst:Perc"
  backend_options:
    WebApp: { cookie: { name: SRVID, type: insert, indirect: true, nocache: yes }, server_timeout: 60000 }
polling: { interval_seconds: 60, jitter_seconds: 0, max_backoff_seconds: 120, backoff_base_seconds: 2.5 }
logging: { level: "warning", format: "text" }
"#;

#[test]
fn every_key_comes_to_its_place() {
    let legacy = read(WHOLE);
    assert_eq!(legacy.warnings, [""; 0]);
    assert_snapshot!(legacy.printed());
    assert_eq!((legacy.log().level, legacy.log().format), (LogLevel::Warn, LogFormat::Text));
}

#[test]
fn what_is_not_said_has_the_originals_defaults() {
    let text = "azure: { subscription_id: \"${AZURE_SUBSCRIPTION_ID}\" }\n";
    assert_snapshot!(read(text).printed());
    let nothing =
        format!("{text}aws:\ntags: {{ allowlist: , denylist: null }}\nhaproxy:\npolling: {{}}\nlogging: ~\n");
    assert_eq!(read(&nothing).printed(), read(text).printed(), "a section of comments alone is none");
}

#[test]
fn what_is_printed_is_what_runs() {
    let azure = "azure: { subscription_id: \"${AZURE_SUBSCRIPTION_ID}\", resource_groups: [web, api] }\n\
                 haproxy: { password: \"${HAPROXY_DATAPLANE_PASSWORD}\" }\n";
    for text in [WHOLE, azure] {
        let printed = read(text).printed();
        assert!(!printed.contains("hunter2") && !printed.contains(SUBSCRIPTION), "{printed}");
        let loaded = Config::parse("roster.yaml", &printed, Path::new("/"), &env()).unwrap();
        assert_eq!(loaded, config(text));
    }
}

#[test]
fn each_key_alone_changes_what_it_is_for() {
    let before = read(AWS).printed();
    for (text, line) in [
        ("tags: { service_name_tag: a }", "name: \"a\""),
        ("tags: { service_port_tag: a }", "port: \"a\""),
        ("tags: { instance_port_tag: a }", "instance_port: \"a\""),
        ("tags: { allowlist: { a: 1 } }", "\"a\": \"1\""),
        ("tags: { denylist: { a: true } }", "\"a\": \"true\""),
        ("haproxy: { base_url: \"http://h:1\" }", "url: \"http://h:1\""),
        ("haproxy: { api_version: v3 }", "version: \"v3\""),
        ("haproxy: { username: a }", "username: \"a\""),
        ("haproxy: { timeout: 3 }", "timeout: \"3s\""),
        ("haproxy: { timeout: \"${TEN}\" }", "timeout: \"${TEN}s\""),
        ("haproxy: { verify_ssl: false, base_url: \"https://h:1\" }", "tls: { verify: false }"),
        ("haproxy: { backend: { name_prefix: aws } }", "name: \"aws-{service}-{port}-{region}\""),
        ("haproxy: { backend: { name_separator: _ } }", "name: \"azure_{service}_{port}_{region}\""),
        ("haproxy: { backend: { balance: source } }", "balance: \"source\""),
        ("haproxy: { backend: { mode: tcp } }", "mode: \"tcp\""),
        ("haproxy: { server_slots: { base: 20 } }", "base: 20"),
        ("haproxy: { server_slots: { base: \"${TEN}\", growth_factor: 2 } }", "base: \"${TEN}\""),
        ("haproxy: { server_slots: { growth_factor: 2.5 } }", "growth: { linear: 2.5 }"),
        ("haproxy: { server_slots: { growth_type: exponential } }", "growth: { exponential: 1.5 }"),
        ("haproxy: { availability_zone: \"1\" }", "zone: { local: \"1\", others: backup }"),
        ("haproxy: { az_weight_tag: a }", "share: \"a\""),
        (
            "haproxy: { backend_options: { API: { server_timeout: 60000 } } }",
            "\"API\": {\"server_timeout\":60000}",
        ),
        ("polling: { interval_seconds: 5 }", "every: \"5s\""),
        ("polling: { jitter_seconds: 0.5 }", "jitter: \"0.5s\""),
        ("polling: { max_backoff_seconds: 60 }", "backoff: { base: \"5s\", max: \"60s\" }"),
        ("polling: { max_backoff_seconds: 2 }", "backoff: { base: \"2s\", max: \"2s\" }"),
        ("polling: { backoff_base_seconds: 9 }", "backoff: { base: \"9s\", max: \"300s\" }"),
        ("logging: { level: debug }", "level: debug"),
        ("logging: { format: text }", "format: text"),
    ] {
        let text = format!("{AWS}{text}\n");
        let printed = read(&text).printed();
        assert!(printed.contains(line) && !before.contains(line), "{text}: no {line} in\n{printed}");
        config(&text);
    }
}

#[test]
fn a_region_is_all_that_aws_needs() {
    let found = config(AWS);
    let Some(Source::Aws(aws)) = found.sources.values().next() else { panic!("{found:?}") };
    assert_eq!((found.sources.len(), aws.region.as_str()), (1, "us-east-2"));
    assert_eq!((&aws.profile, &aws.account), (&None, &None), "AWS's own order of credentials");
}

#[test]
fn each_level_of_python_is_one_of_rosters() {
    for (given, wanted) in [
        ("debug", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("WARNING", LogLevel::Warn),
        ("ERROR", LogLevel::Error),
        ("CRITICAL", LogLevel::Error),
    ] {
        let legacy = read(&format!("{AWS}logging: {{ level: {given} }}\n"));
        assert_eq!((legacy.log().level, legacy.log().format), (wanted, LogFormat::Json), "{given}");
    }
    let odd = read(&format!("{AWS}logging: {{ level: loud }}\n"));
    assert_eq!(odd.log().level, LogLevel::Info);
    assert!(odd.warnings.iter().any(|warning| warning.contains("INFO is taken")), "{:?}", odd.warnings);
}

#[test]
fn each_wrong_file_says_what_to_do() {
    let wrong = [
        "{}",
        "azure: { resource_groups: [a] }",
        "aws: { account_id: a }",
        "aws: { region: us-east-2 }\nazure: { subscription_id: a }",
        "aws: { region: \"${NOT_SET}\" }\nazure: { subscription_id: \"${NOR_THIS:-x}\" }",
        "aws: { region: us-east-2 }\nhaproxy: { availability_zone: 1 }",
        "aws: { region: us-east-2 }\nhaproxy: { server_slots: { base: 9 } }",
        "aws: { region: us-east-2 }\nhaproxy: { server_slots: { base: \"12\" } }",
        "aws: { region: us-east-2 }\nhaproxy: { server_slots: { growth_type: cubic } }",
        "aws: { region: us-east-2 }\nhaproxy: { server_slots: { growth_type: exponential, growth_factor: 1 } }",
        "aws: { region: us-east-2 }\nhaproxy: { backend: { mode: udp, balance: fastest, name_prefix: \"a b\" } }",
        "aws: { region: us-east-2 }\nhaproxy: { api_version: v1, timeout: 0, verify_ssl: maybe }",
        "aws: { region: us-east-2 }\nhaproxy: { backend_options: { a: 5 } }",
        "aws: { region: us-east-2 }\npolling: { interval_seconds: 4, jitter_seconds: -1 }",
        "aws: [us-east-2]\ntags: { allowlist: x }",
        "aws: { region: [a] }",
        "just a text",
        "- a list",
        "aws: {",
    ];
    let told: Vec<String> = wrong.iter().map(|text| format!("{text}\n{}\n", errors(text))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn unknown_keys_are_warned_of_with_the_nearest_and_otherwise_ignored() {
    let text = format!("{AWS}haproxy: {{ base_ulr: x, server_slots: {{ bse: 1 }} }}\nextra: 1\n");
    let legacy = read(&text);
    let unknown: Vec<&String> =
        legacy.warnings.iter().filter(|warning| warning.contains("unknown")).collect();
    assert_eq!(unknown.len(), 3, "{unknown:?}");
    assert!(
        legacy
            .warnings
            .iter()
            .any(|warning| warning.contains("`haproxy.base_ulr` is ignored (did you mean `base_url`?)"))
    );
    assert_eq!(legacy.printed(), read(AWS).printed());
}

#[test]
fn variables_follow_the_originals_rules() {
    for (given, wanted) in [
        ("pre-${TEN}-${TEN}", "pre-10-10"),
        ("${EMPTY}x", "x"),
        ("$${TEN}", "$10"),
        ("${}", "${}"),
        ("${TEN", "${TEN"),
        ("${}${TEN}", "${}10"),
        ("${odd name}", "odd"),
        ("$TEN", "$TEN"),
    ] {
        let text = format!("{AWS}haproxy: {{ username: '{given}' }}\n");
        let found = config(&text);
        let Some(Reach::Dataplane(reach)) = found.targets.values().next() else { panic!("{found:?}") };
        assert_eq!(reach.username, wanted, "{given}");
        let printed = Config::parse("n", &read(&text).printed(), Path::new("/"), &env()).unwrap();
        let Some(Reach::Dataplane(reach)) = printed.targets.values().next() else { panic!("{printed:?}") };
        assert_eq!(reach.username, wanted, "{given}, printed");
    }
}

#[test]
fn a_secret_in_the_file_is_printed_nowhere_and_works() {
    let text = format!("{AWS}haproxy: {{ password: s3cret }}\n");
    let legacy = read(&text);
    assert!(!legacy.printed().contains("s3cret") && !format!("{legacy:?}").contains("s3cret"));
    let found = config(&text);
    let Some(Reach::Dataplane(reach)) = found.targets.values().next() else { panic!("{found:?}") };
    assert_eq!(reach.password.expose(), "s3cret");
}

#[test]
fn an_empty_password_is_warned_of_and_sent_and_printed_as_it_is() {
    for text in [AWS.to_owned(), format!("{AWS}haproxy: {{ password: '' }}\n")] {
        let legacy = read(&text);
        assert!(legacy.warnings.iter().any(|warning| warning.contains("`haproxy.password` is empty")));
        let printed = Config::parse("n", &legacy.printed(), Path::new("/"), &env()).unwrap();
        assert_eq!(printed, config(&text));
        let Some(Reach::Dataplane(reach)) = printed.targets.values().next() else { panic!("{printed:?}") };
        assert_eq!(reach.password.expose(), "");
    }
}

#[test]
fn an_empty_variable_for_the_password_is_sent_but_stays_a_variable_where_it_is_printed() {
    let text = format!("{AWS}haproxy: {{ password: \"${{EMPTY}}\" }}\n");
    let found = config(&text);
    let Some(Reach::Dataplane(reach)) = found.targets.values().next() else { panic!("{found:?}") };
    assert_eq!(reach.password.expose(), "");
    let printed = read(&text).printed();
    assert!(printed.contains("password: \"${EMPTY}\"\n"), "{printed}");
    let told = Config::parse("n", &printed, Path::new("/"), &env()).unwrap_err().to_string();
    assert!(told.contains("the secret is empty; set it"), "{told}");
}

#[test]
fn what_the_cloud_would_refuse_is_told_at_the_file() {
    let told = read("aws: { region: nowhere }\n").config(&env()).unwrap_err().to_string();
    assert!(told.starts_with("config.yaml:1:") && told.contains("region"), "{told}");
    let found = config(&format!("azure: {{ subscription_id: {SUBSCRIPTION}, resource_groups: [a] }}\n"));
    assert!(
        matches!(found.sources.values().next(), Some(Source::Azure(azure)) if azure.resource_groups.is_some())
    );
}

#[test]
fn what_only_the_native_configuration_refuses_is_reported_at_the_line_of_the_file() {
    let text = "\
azure:
  subscription_id: 00000000-1111-2222-3333-444444444444
haproxy:
  base_url: ftp://api.example
  backend_options:
    web:
      timeout_connect: 5
    api:
      no_such_field: 1
";
    let told = read(text).config(&env()).unwrap_err().to_string();
    let places: Vec<&str> =
        told.lines().filter_map(|line| line.strip_prefix("config.yaml:")?.get(..4)).collect();
    assert_eq!(places, ["4:13"], "{told}");
    assert!(told.contains("ftp://api.example"), "{told}");
}

/// The file's Azure source, as the native configuration has it.
fn azure(keys: &str, variables: &BTreeMap<String, String>) -> (Box<crate::native::AzureSource>, Vec<String>) {
    let text = format!(
        "azure: {{ subscription_id: \"${{AZURE_SUBSCRIPTION_ID}}\"{keys} }}\nhaproxy: {{ password: x }}\n"
    );
    let legacy = Legacy::parse("config.yaml", &text, variables).unwrap();
    let printed = Config::parse(
        "n",
        &legacy.printed(),
        Path::new("/"),
        &with(variables, "HAPROXY_DATAPLANE_PASSWORD", "x"),
    );
    let found = legacy.config(variables).unwrap();
    assert_eq!(printed.unwrap().sources, found.sources);
    let Some(Source::Azure(azure)) = found.sources.into_values().next() else { panic!("no Azure in {text}") };
    (azure, legacy.warnings)
}

fn with(variables: &BTreeMap<String, String>, name: &str, value: &str) -> BTreeMap<String, String> {
    let mut variables = variables.clone();
    variables.insert(name.to_owned(), value.to_owned());
    variables
}

#[test]
fn a_credential_type_is_honoured_by_rosters_name_and_by_azures() {
    for (given, wanted) in [
        ("default", AzureCredential::Default),
        ("DefaultAzureCredential", AzureCredential::Default),
        ("environment", AzureCredential::Environment),
        ("EnvironmentCredential", AzureCredential::Environment),
        ("workload_identity", AzureCredential::WorkloadIdentity),
        ("WorkloadIdentityCredential", AzureCredential::WorkloadIdentity),
        ("managed_identity", AzureCredential::ManagedIdentity),
        ("managed-identity", AzureCredential::ManagedIdentity),
        ("ManagedIdentityCredential", AzureCredential::ManagedIdentity),
        ("msi", AzureCredential::ManagedIdentity),
        ("cli", AzureCredential::Cli),
        ("azure_cli", AzureCredential::Cli),
        ("AzureCliCredential", AzureCredential::Cli),
    ] {
        let (found, warnings) = azure(&format!(", credential_type: {given}"), &env());
        assert_eq!((found.credential, warnings), (wanted, vec![]), "{given}");
    }
}

#[test]
fn an_unknown_credential_type_is_warned_of_with_the_choices_and_is_the_default() {
    let (found, warnings) = azure(", credential_type: certificate", &env());
    assert_eq!(found.credential, AzureCredential::Default);
    assert_eq!(
        warnings,
        [
            "config.yaml:1:72: `azure.credential_type`: \"certificate\" is no way to get tokens, so `default` is taken; there are \
          default, environment, workload_identity, managed_identity and cli"
        ]
    );
    let secret = with(&env(), "TYPE", "hush");
    let (_, warnings) = azure(", credential_type: \"${TYPE}\"", &secret);
    assert!(warnings.len() == 1 && !warnings[0].contains("hush"), "{warnings:?}");
}

#[test]
fn what_is_no_subscription_is_valid_and_warned_of_and_cannot_be_run() {
    for given in ["your-subscription-id", "../../tenants?x=y#z"] {
        let text = format!("azure: {{ subscription_id: \"{given}\" }}\nhaproxy: {{ password: x }}\n");
        let legacy = read(&text);
        assert!(
            legacy.warnings.len() == 1 && legacy.warnings[0].contains("no subscription's id"),
            "{legacy:?}"
        );
        legacy.config(&env()).unwrap();
        let refused = legacy.refused().unwrap().to_string();
        assert!(refused.starts_with("config.yaml:1:27: `azure.subscription_id`"), "{refused}");
    }
    assert_eq!(read(&format!("azure: {{ subscription_id: {SUBSCRIPTION} }}\n")).refused(), None);
    assert_eq!(read(AWS).refused(), None);
}

#[test]
fn the_address_of_azure_resource_manager_comes_from_a_variable() {
    let (found, _) = azure("", &with(&env(), "ROSTER_AZURE_ENDPOINT", "http://127.0.0.1:1"));
    assert_eq!(found.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    let (found, _) = azure("", &with(&env(), "ROSTER_AZURE_ENDPOINT", ""));
    assert_eq!(found.endpoint, None);
}
