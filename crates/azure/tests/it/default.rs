//! `default`: which of the ways is taken, and which is never passed over.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_azure::{
    Broken, Chosen, Client, CredentialError, CredentialKind, Environment, Memory, Patience, Settings,
};
use roster_testkit::{ArmFault, OrFail};
use serde_json::json;

use super::credentials::{PERSON, az, metadata, no_metadata, refused, stage, taken, with};
use super::settings;

#[tokio::test]
async fn by_default_the_machines_identity_is_taken_and_without_one_the_cli() {
    let arm = stage();
    let (_dir, path) = az(PERSON);
    let environment = Environment { path: Some(path), ..metadata(&arm) };
    let client = with(&arm, CredentialKind::Default, environment.clone());
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));

    arm.world(|world| world.has_identity = false);
    let client = with(&arm, CredentialKind::Default, environment.clone());
    assert_eq!(taken(&arm, &client).await.0, Chosen::Cli);
}

#[tokio::test]
async fn what_was_taken_for_want_of_a_better_way_lasts_no_longer_than_its_token() {
    let arm = stage();
    let (dir, path) = az(PERSON);
    let environment = Environment { path: Some(path), ..metadata(&arm) };
    let client = with(&arm, CredentialKind::Default, environment);
    arm.world(|world| world.has_identity = false);
    assert_eq!(taken(&arm, &client).await.0, Chosen::Cli);
    arm.world(|world| world.has_identity = true);
    fs::remove_file(dir.path().join("az")).or_fail();
    arm.revoke_tokens();
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));
}

#[tokio::test]
async fn an_identity_that_has_worked_is_never_passed_over() {
    let arm = stage();
    let (_dir, path) = az(PERSON);
    let client = with(&arm, CredentialKind::Default, Environment { path: Some(path), ..metadata(&arm) });
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));
    arm.world(|world| world.has_identity = false);
    arm.revoke_tokens();
    let (error, text) = refused(&client).await;
    assert!(matches!(error, CredentialError::Unassigned(_)), "{text}");
    assert!(matches!(client.credential(), Some(Chosen::ManagedIdentity { .. })));
    arm.world(|world| world.has_identity = true);
    assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }));
}

#[tokio::test]
async fn a_metadata_service_that_is_there_and_gives_no_token_is_not_passed_over() {
    let arm = stage();
    let (_dir, path) = az(PERSON);
    let of = |client_id: Option<&str>| {
        let environment = Environment { path: Some(path.clone()), ..metadata(&arm) };
        let patience = Patience { attempts: 1, ..Patience::default() };
        let client_id = client_id.map(str::to_owned);
        let timeout = Duration::from_secs(5);
        let settings =
            Settings { environment, patience, client_id, timeout, ..settings(&arm, &Arc::default()) };
        Client::new(Settings { credential: CredentialKind::Default, ..settings }).or_fail()
    };
    let says = |words: &str| json!({"error": "invalid_request", "error_description": words});
    let several = "Multiple user assigned identities exist, please specify the clientId / resourceId";
    for (fault, client_id, wanted) in [
        (
            ArmFault::Json(400, says("Identity not found")),
            Some("another"),
            "no managed identity another of `client_id`",
        ),
        (ArmFault::Json(400, says(several)), None, "several managed identities"),
        (ArmFault::Json(400, says("resource is invalid")), None, "the metadata service refuses"),
        (ArmFault::Throttled(600), None, "the metadata service refuses"),
        (ArmFault::Json(410, says("gone for now")), None, "the metadata service refuses"),
        (ArmFault::Html(502), None, "the metadata service refuses"),
        (ArmFault::Html(200), None, "but not with a token"),
        (ArmFault::HalfBody, None, "ended early"),
        (ArmFault::Slow(Duration::from_secs(30)), None, "has not answered within 5s"),
    ] {
        let client = of(client_id);
        arm.fault(fault.clone(), "/metadata/", 1);
        let (_, text) = refused(&client).await;
        assert!(text.contains(wanted), "{fault:?}: {text}");
        assert_eq!(client.credential(), None);
    }
    let error = {
        arm.fault(ArmFault::Throttled(600), "/metadata/", 1);
        of(None).list(&Memory::default()).await.unwrap_err()
    };
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)), "the next listing comes when it may");
}

#[tokio::test]
async fn what_is_no_metadata_service_of_azures_is_passed_over() {
    let arm = stage();
    let (_dir, path) = az(PERSON);
    for fault in [
        ArmFault::Json(404, json!({})),
        ArmFault::Html(404),
        ArmFault::Html(401),
        ArmFault::Html(400),
        ArmFault::Json(403, json!({"message": "A socket operation was attempted to an unreachable network"})),
    ] {
        let environment = Environment { path: Some(path.clone()), ..metadata(&arm) };
        let patience = Patience { attempts: 1, ..Patience::default() };
        let settings = Settings { environment, patience, ..settings(&arm, &Arc::default()) };
        let client = Client::new(Settings { credential: CredentialKind::Default, ..settings }).or_fail();
        arm.fault(fault.clone(), "/metadata/", 1);
        assert_eq!(taken(&arm, &client).await.0, Chosen::Cli, "{fault:?}");
    }
}

#[tokio::test]
async fn a_metadata_service_that_is_being_updated_is_asked_again() {
    let arm = stage();
    for kind in [CredentialKind::Default, CredentialKind::ManagedIdentity] {
        for status in [404, 410] {
            arm.fault(ArmFault::Json(status, json!({})), "/metadata/", 1);
            let client = with(&arm, kind, metadata(&arm));
            assert!(
                matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }),
                "{kind} {status}"
            );
        }
    }
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
async fn a_metadata_service_that_is_slow_has_the_time_that_a_call_may_take() {
    let arm = stage();
    let of = |credential, timeout| {
        let settings = settings(&arm, &Arc::default());
        Client::new(Settings { credential, timeout, environment: metadata(&arm), ..settings }).or_fail()
    };
    for kind in [CredentialKind::Default, CredentialKind::ManagedIdentity] {
        arm.fault(ArmFault::Slow(Duration::from_secs(3)), "/metadata/", 1);
        let client = of(kind, Duration::from_secs(20));
        assert!(matches!(taken(&arm, &client).await.0, Chosen::ManagedIdentity { .. }), "{kind}");
    }
    arm.fault(ArmFault::Slow(Duration::from_mins(1)), "/metadata/", 1);
    let began = Instant::now();
    let (error, _) = refused(&of(CredentialKind::ManagedIdentity, Duration::from_secs(1))).await;
    assert!(matches!(error, CredentialError::Broken { why: Broken::Timeout { .. }, .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
