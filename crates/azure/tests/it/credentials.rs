//! Each way to a token, and the order in which they are taken.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use roster_azure::{
    Chosen, Client, CredentialError, CredentialKind, Environment, Error, IdentitySource, Memory, Settings,
};
use roster_testkit::{ArmFault, ArmStandIn, OrFail, dead_port};
use serde_json::json;
use tempfile::TempDir;

use super::{TAGS, Told, anew, principal, settings};

pub(super) fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.add_vm("web-1", "10.0.0.4", &TAGS);
    });
    arm
}

pub(super) fn with(arm: &ArmStandIn, credential: CredentialKind, environment: Environment) -> Client {
    Client::new(Settings { credential, environment, ..settings(arm, &Arc::default()) }).or_fail()
}

/// Lists once and says which way was taken, and which token ARM was shown.
pub(super) async fn taken(arm: &ArmStandIn, client: &Client) -> (Chosen, String) {
    assert_eq!(anew(client).await.machines.len(), 1);
    let shown = arm.calls().iter().rev().find_map(|call| call.token.clone()).unwrap();
    (client.credential().unwrap(), shown)
}

pub(super) async fn refused(client: &Client) -> (CredentialError, String) {
    match client.list(&Memory::default()).await.unwrap_err() {
        Error::Credential(error) => {
            let text = error.to_string();
            assert!(!text.contains("hush"), "{text}");
            (error, text)
        }
        error @ Error::Arm { .. } => panic!("{error}"),
    }
}

/// A folder with an `az` that does this.
pub(super) fn az(script: &str) -> (TempDir, OsString) {
    let dir = TempDir::new().or_fail();
    let path = dir.path().join("az");
    // Written by another process: an open descriptor of ours would be inherited by a test's child that starts just now,
    // and the program could not be run.
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\"", "sh", script])
        .arg(&path)
        .status()
        .or_fail();
    assert!(status.success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).or_fail();
    let search = OsString::from(dir.path());
    (dir, search)
}

pub(super) fn metadata(arm: &ArmStandIn) -> Environment {
    Environment { metadata: Some(arm.url().to_owned()), ..Environment::default() }
}

pub(super) fn no_metadata() -> Environment {
    let dead = format!("http://127.0.0.1:{}", dead_port().or_fail());
    Environment { metadata: Some(dead), path: Some("/nowhere".into()), ..Environment::default() }
}

#[tokio::test]
async fn a_client_secret_gets_a_token_of_entra() {
    let arm = stage();
    let client = with(&arm, CredentialKind::Environment, principal(&arm));
    let (chosen, token) = taken(&arm, &client).await;
    assert!(matches!(chosen, Chosen::Environment { .. }));
    assert_eq!(token, "stand-in-secret-token-1");
}

#[tokio::test]
async fn a_service_accounts_token_is_read_anew_each_time() {
    let arm = stage();
    let dir = TempDir::new().or_fail();
    let file = dir.path().join("token");
    fs::write(&file, "JWT-OF-THE-POD\n").or_fail();
    let environment = Environment { secret: None, token_file: Some(file.clone()), ..principal(&arm) };
    let client = with(&arm, CredentialKind::WorkloadIdentity, environment);
    let (chosen, token) = taken(&arm, &client).await;
    assert!(matches!(chosen, Chosen::WorkloadIdentity { .. }));
    assert_eq!(token, "stand-in-assertion-token-1");

    fs::write(&file, "THE-NEXT-JWT").or_fail();
    arm.world(|world| world.assertion = "THE-NEXT-JWT".to_owned());
    arm.revoke_tokens();
    assert_eq!(taken(&arm, &client).await.1, "stand-in-assertion-token-2");

    arm.revoke_tokens();
    for odd in ["", " \n", "hush\nhush"] {
        fs::write(&file, odd).or_fail();
        assert!(matches!(refused(&client).await, (CredentialError::TokenFile { .. }, _)), "{odd:?}");
    }
    fs::remove_file(&file).or_fail();
    assert!(matches!(refused(&client).await, (CredentialError::TokenFile { .. }, _)));
}

#[tokio::test]
async fn a_managed_identity_is_asked_of_the_metadata_service() {
    let arm = stage();
    let client = with(&arm, CredentialKind::ManagedIdentity, metadata(&arm));
    let (chosen, token) = taken(&arm, &client).await;
    let (source, client) =
        (IdentitySource::Metadata(arm.url().to_owned()), arm.world(|world| world.client.clone()));
    let whose = Chosen::ManagedIdentity { source, client: Some(client.clone()), named_by: None };
    assert_eq!(chosen, whose);
    let words =
        format!("this machine's managed identity {client}, from the metadata service at {}", arm.url());
    assert_eq!(whose.to_string(), words);
    assert_eq!(token, "stand-in-imds-token-1");
    let asked = arm.calls().into_iter().find(|call| call.status == 200).unwrap();
    assert_eq!(asked.query, "api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com");
}

#[tokio::test]
async fn an_identity_that_the_user_assigned_is_named_and_a_wrong_one_is_told() {
    let arm = stage();
    let assigned = arm.world(|world| world.client.clone());
    let of = |client: &str| {
        let settings = settings(&arm, &Arc::default());
        let credential = CredentialKind::ManagedIdentity;
        let client_id = Some(client.to_owned());
        Client::new(Settings { credential, client_id, environment: metadata(&arm), ..settings }).or_fail()
    };
    let chosen = taken(&arm, &of(&assigned)).await.0;
    assert!(
        chosen.to_string().starts_with(&format!("the managed identity {assigned} of `client_id`, ")),
        "{chosen}"
    );
    let (error, text) = refused(&of("another")).await;
    assert!(
        matches!(error, CredentialError::NoIdentity { .. }) && text.contains("Identity not found"),
        "{text}"
    );
    assert!(text.contains("no managed identity another of `client_id`"), "{text}");
}

#[tokio::test]
async fn an_app_asks_the_endpoint_in_its_environment() {
    let arm = stage();
    let header = arm.world(|world| world.identity_header.clone());
    let app = |header: &str| Environment {
        identity_endpoint: Some(arm.identity_endpoint()),
        identity_header: Some(header.into()),
        ..Environment::default()
    };
    let client = with(&arm, CredentialKind::Default, app(&header));
    let (chosen, token) = taken(&arm, &client).await;
    assert!(matches!(chosen, Chosen::ManagedIdentity { source: IdentitySource::AppService, .. }), "{chosen}");
    assert_eq!(token, "stand-in-app-token-1");
    let (error, _) = refused(&with(&arm, CredentialKind::Default, app("hush"))).await;
    assert!(matches!(error, CredentialError::Refused { .. }), "what is there and refuses is not passed over");
}

#[tokio::test]
async fn the_cli_is_asked_as_its_users_do_and_an_old_one_is_good_enough() {
    let arm = stage();
    let new = r#"[ "$*" = "account get-access-token --output json --resource https://management.azure.com" ] || exit 2
echo '{"accessToken": "az-token", "expiresOn": "2026-11-21 05:00:00.000000", "expires_on": 4102444800, "tokenType": "Bearer"}'"#;
    let old = r#"echo '{"accessToken": "old-az-token", "expiresOn": "2026-11-21 05:00:00.000000", "tokenType": "Bearer"}'"#;
    for (script, expected) in [(new, "az-token"), (old, "old-az-token")] {
        let (_dir, path) = az(script);
        let environment = Environment { path: Some(path), ..Environment::default() };
        let client = with(&arm, CredentialKind::Cli, environment);
        assert_eq!(taken(&arm, &client).await, (Chosen::Cli, expected.to_owned()));
    }
}

fn cli(path: &OsString) -> Environment {
    Environment { path: Some(path.clone()), ..Environment::default() }
}

pub(super) const PERSON: &str = "echo '{\"accessToken\": \"az-token\", \"expires_on\": 4102444800}'";

#[tokio::test]
async fn a_cli_that_fails_is_quoted_by_its_error_and_never_by_its_output() {
    let arm = stage();
    let (_dir, path) = az(
        "echo hush; echo 'WARNING: x' >&2; echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
    );
    let (error, text) = refused(&with(&arm, CredentialKind::Cli, cli(&path))).await;
    assert!(matches!(error, CredentialError::Cli { .. }), "{text}");
    assert!(text.contains("no token: ERROR: Please run 'az login'"), "{text}");
    let (_dir, path) = az("echo '{\"accessToken\": 7, \"hush\": 1}'");
    let (_, text) = refused(&with(&arm, CredentialKind::Cli, cli(&path))).await;
    assert!(text.contains("it printed no JSON with an accessToken"), "{text}");
    let (_dir, path) = az("printf '%s' '{\"accessToken\": \"hu\\nsh\"}'");
    let (_, text) = refused(&with(&arm, CredentialKind::Cli, cli(&path))).await;
    assert!(text.contains("it printed a token with a blank, a line break"), "{text}");
    let (error, _) = refused(&with(&arm, CredentialKind::Cli, no_metadata())).await;
    assert!(matches!(error, CredentialError::NoCli { .. }));
    let (_dir, path) = az("exit 127");
    let (error, _) = refused(&with(&arm, CredentialKind::Cli, cli(&path))).await;
    assert!(matches!(error, CredentialError::NoCli { .. }));
}

#[tokio::test]
async fn notices_around_the_clis_json_do_not_matter() {
    let arm = stage();
    let (_dir, path) = az(&format!("echo 'A new release is available.'; {PERSON}; echo '{{bye}}'"));
    assert_eq!(taken(&arm, &with(&arm, CredentialKind::Cli, cli(&path))).await.1, "az-token");
}

#[tokio::test]
async fn a_cli_that_hangs_is_ended_after_the_time_that_a_call_may_take() {
    let arm = stage();
    let (_dir, path) = az("/bin/sleep 60");
    let timeout = Duration::from_secs(1);
    let settings = Settings { timeout, environment: cli(&path), ..settings(&arm, &Arc::default()) };
    let client = Client::new(Settings { credential: CredentialKind::Cli, ..settings }).or_fail();
    let (_, text) = refused(&client).await;
    assert!(text.contains("longer than 1s and was ended"), "{text}");
}

#[tokio::test]
async fn entras_wait_is_handed_to_the_caller() {
    let arm = stage();
    arm.fault(ArmFault::Throttled(300), "/oauth2/", 1);
    let client = with(&arm, CredentialKind::Environment, principal(&arm));
    let error = client.list(&Memory::default()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(300)));
}

#[tokio::test]
async fn a_refusal_that_lasts_is_one_cause_whatever_its_trace_says() {
    let arm = stage();
    let mut causes = Vec::new();
    for trace in ["11", "22"] {
        let words = format!(
            "AADSTS7000222: The provided client secret keys are expired. Trace ID: {trace} Timestamp: {trace}"
        );
        let body = json!({"error": "invalid_client", "error_description": words, "correlation_id": trace});
        arm.fault(ArmFault::Json(401, body), "/oauth2/", 1);
        let client = with(&arm, CredentialKind::Environment, principal(&arm));
        let error = client.list(&Memory::default()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("expired., request {trace}")), "{error}");
        causes.push(error.cause());
    }
    assert_eq!(causes[0], causes[1]);
}

#[tokio::test]
async fn a_wrong_secret_is_told_with_entras_words_and_is_in_no_text() {
    let arm = stage();
    let environment = Environment { secret: Some("hush".into()), ..principal(&arm) };
    let settings = Settings { environment, ..settings(&arm, &Arc::default()) };
    assert!(!format!("{settings:?}").contains("hush"));
    let (error, text) = refused(&Client::new(settings).or_fail()).await;
    assert!(matches!(error, CredentialError::Refused { .. }), "{text}");
    assert!(text.contains("401 invalid_client AADSTS7000215"), "{text}");
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_replaced_before_it_does() {
    let arm = stage();
    arm.world(|world| world.token_life = 0);
    let told: Arc<Told> = Arc::default();
    let client = Client::new(settings(&arm, &told)).or_fail();
    anew(&client).await;
    anew(&client).await;
    assert_eq!(told.count("token_entra"), 2);
    arm.world(|world| world.token_life = 3599);
    anew(&client).await;
    anew(&client).await;
    assert_eq!(told.count("token_entra"), 3);
}
