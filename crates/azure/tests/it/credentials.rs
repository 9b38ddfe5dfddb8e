//! Each way to a token, and the order in which they are taken.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_azure::{
    Chosen, Client, CredentialError, CredentialKind, Environment, Error, IdentitySource, Settings,
};
use roster_testkit::{ArmFault, ArmStandIn, OrFail, dead_port};
use tempfile::TempDir;

use super::{TAGS, Told, principal, settings};

fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.add_vm("web-1", "10.0.0.4", &TAGS);
    });
    arm
}

fn with(arm: &ArmStandIn, credential: CredentialKind, environment: Environment) -> Client {
    Client::new(Settings { credential, environment, ..settings(arm, &Arc::default()) }).or_fail()
}

/// Lists once and says which way was taken, and which token ARM was shown.
async fn taken(arm: &ArmStandIn, client: &Client) -> (Chosen, String) {
    assert_eq!(client.list(&[]).await.or_fail().machines.len(), 1);
    let shown = arm.calls().iter().rev().find_map(|call| call.token.clone()).unwrap();
    (client.credential().unwrap(), shown)
}

async fn refused(client: &Client) -> (CredentialError, String) {
    match client.list(&[]).await.unwrap_err() {
        Error::Credential(error) => {
            let text = error.to_string();
            assert!(!text.contains("hush"), "{text}");
            (error, text)
        }
        error @ Error::Arm { .. } => panic!("{error}"),
    }
}

/// A folder with an `az` that does this.
fn az(script: &str) -> (TempDir, OsString) {
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

fn metadata(arm: &ArmStandIn) -> Environment {
    Environment { metadata: Some(arm.url().to_owned()), ..Environment::default() }
}

fn no_metadata() -> Environment {
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

    fs::remove_file(&file).or_fail();
    arm.revoke_tokens();
    assert!(matches!(refused(&client).await, (CredentialError::TokenFile { .. }, _)));
}

#[tokio::test]
async fn a_managed_identity_is_asked_of_the_metadata_service() {
    let arm = stage();
    let client = with(&arm, CredentialKind::ManagedIdentity, metadata(&arm));
    let (chosen, token) = taken(&arm, &client).await;
    assert_eq!(chosen, Chosen::ManagedIdentity { source: IdentitySource::Metadata, client: None });
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
    assert!(matches!(taken(&arm, &of(&assigned)).await.0, Chosen::ManagedIdentity { client: Some(_), .. }));
    let (error, text) = refused(&of("another")).await;
    assert!(matches!(error, CredentialError::NoIdentity(_)) && text.contains("Identity not found"), "{text}");
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
    assert_eq!(chosen, Chosen::ManagedIdentity { source: IdentitySource::AppService, client: None });
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

#[tokio::test]
async fn a_cli_that_fails_is_quoted_by_its_error_and_never_by_its_output() {
    let arm = stage();
    let (_dir, path) = az("echo hush; echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let (error, text) =
        refused(&with(&arm, CredentialKind::Cli, Environment { path: Some(path), ..Environment::default() }))
            .await;
    assert!(matches!(error, CredentialError::Cli { .. }) && text.contains("Please run 'az login'"), "{text}");
    let (_dir, path) = az("echo '{\"accessToken\": 7, \"hush\": 1}'");
    refused(&with(&arm, CredentialKind::Cli, Environment { path: Some(path), ..Environment::default() }))
        .await;
    let (error, _) = refused(&with(&arm, CredentialKind::Cli, no_metadata())).await;
    assert!(matches!(error, CredentialError::NoCli { .. }));
}

#[tokio::test]
async fn by_default_the_machines_identity_is_taken_and_without_one_the_cli() {
    let arm = stage();
    let (_dir, path) = az("echo '{\"accessToken\": \"az-token\", \"expires_on\": 4102444800}'");
    let environment = Environment { path: Some(path), ..metadata(&arm) };
    let client = with(&arm, CredentialKind::Default, environment.clone());
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));

    arm.world(|world| world.has_identity = false);
    let client = with(&arm, CredentialKind::Default, environment.clone());
    assert_eq!(taken(&arm, &client).await.0, Chosen::Cli);

    // It was chosen, so it stays, also when the other one comes up.
    arm.world(|world| world.has_identity = true);
    arm.revoke_tokens();
    client.list(&[]).await.unwrap_err();
    assert_eq!(client.credential(), Some(Chosen::Cli));
}

#[tokio::test]
async fn a_metadata_service_that_fails_is_not_passed_over() {
    let arm = stage();
    let (_dir, path) = az("echo '{\"accessToken\": \"az-token\", \"expires_on\": 4102444800}'");
    let client = with(&arm, CredentialKind::Default, Environment { path: Some(path), ..metadata(&arm) });
    // The first call only asks whether it is there.
    arm.fault(ArmFault::Throttled(600), "/metadata/", 2);
    let (error, _) = refused(&client).await;
    assert!(matches!(error, CredentialError::Refused { .. }));
    assert_eq!(client.credential(), None);
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));
}

#[tokio::test]
async fn where_there_is_nothing_each_way_is_named_with_its_reason() {
    let arm = stage();
    let (error, text) = refused(&with(&arm, CredentialKind::Default, no_metadata())).await;
    assert!(matches!(error, CredentialError::None { .. }));
    for part in ["AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "metadata service", "no `az` in PATH"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[tokio::test]
async fn a_metadata_service_that_never_answers_is_given_up_soon() {
    let arm = stage();
    arm.fault(ArmFault::Slow(Duration::from_mins(1)), "/metadata/", 1);
    let began = Instant::now();
    let (error, _) = refused(&with(&arm, CredentialKind::ManagedIdentity, metadata(&arm))).await;
    assert!(matches!(error, CredentialError::NoMetadata { .. }));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
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
    client.list(&[]).await.or_fail();
    client.list(&[]).await.or_fail();
    assert_eq!(told.count("token_entra"), 2);
    arm.world(|world| world.token_life = 3599);
    client.list(&[]).await.or_fail();
    client.list(&[]).await.or_fail();
    assert_eq!(told.count("token_entra"), 3);
}
