//! Each way to credentials, against its fake.

use std::path::Path;

use tempfile::TempDir;

use super::{assumed, aws, file, is_child, json, list_with, metadata, signers};
use crate::scripted::{Reply, Scripted, refusal};

#[test]
fn the_environment_gives_keys_a_session_and_an_endpoint() {
    if is_child() {
        return;
    }
    let server = aws(|_| None);
    let said = list_with(
        the_environment_gives_keys_a_session_and_an_endpoint,
        None,
        &[
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "the-session"),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1") && said.contains("asked as a session of the environment"), "{said}");
    assert_eq!(signers(&server), ["AKIAENV", "AKIAENV"]);
    assert!(server.seen().iter().all(|request| request.headers["x-amz-security-token"] == "the-session"));
}

#[test]
fn a_service_may_have_an_endpoint_of_its_own() {
    if is_child() {
        return;
    }
    let (ec2, scaling) = (aws(|_| None), aws(|_| None));
    let said = list_with(
        a_service_may_have_an_endpoint_of_its_own,
        None,
        &[
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL_EC2", &ec2.url()),
            ("AWS_ENDPOINT_URL_AUTO_SCALING", &scaling.url()),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ],
    );
    assert!(said.contains("listed 1"), "{said}");
    let actions =
        |server: &Scripted| server.seen().iter().map(|seen| seen.action().to_owned()).collect::<Vec<_>>();
    assert_eq!(actions(&ec2), ["DescribeInstances"]);
    assert_eq!(actions(&scaling), ["DescribeAutoScalingGroups"]);
}

#[test]
fn a_named_profile_goes_before_the_environment_and_has_its_own_endpoints() {
    if is_child() {
        return;
    }
    let (ec2, others) = (aws(|_| None), aws(|_| None));
    let folder = TempDir::new().unwrap();
    let text = format!(
        "[profile lb]\nservices = local\nendpoint_url = {}\n[services local]\nec2 =\n  endpoint_url = {}\n",
        others.url(),
        ec2.url()
    );
    let config = file(&folder, "config", &text);
    let keys = "[lb]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n";
    let credentials = file(&folder, "credentials", keys);
    let said = list_with(
        a_named_profile_goes_before_the_environment_and_has_its_own_endpoints,
        Some("lb"),
        &[
            ("AWS_CONFIG_FILE", &config),
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );
    assert!(
        said.contains("listed 1") && said.contains("asked as access key AKIAPROFILE of profile \"lb\""),
        "{said}"
    );
    assert_eq!(
        (signers(&ec2), signers(&others)),
        (vec!["AKIAPROFILE".to_owned()], vec!["AKIAPROFILE".to_owned()])
    );
}

#[test]
fn a_profile_that_is_not_there_is_told_by_its_name() {
    if is_child() {
        return;
    }
    let said = list_with(
        a_profile_that_is_not_there_is_told_by_its_name,
        Some("missing"),
        &[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "secret")],
    );
    assert!(said.contains("no AWS credentials") && said.contains("profile \"missing\""), "{said}");
}

#[test]
fn without_any_credentials_the_error_says_how_to_give_some() {
    if is_child() {
        return;
    }
    let said = list_with(without_any_credentials_the_error_says_how_to_give_some, None, &[]);
    assert!(
        said.contains("no AWS credentials were found") && said.contains("set AWS_ACCESS_KEY_ID"),
        "{said}"
    );
}

#[test]
fn a_machines_role_is_got_by_imdsv2() {
    if is_child() {
        return;
    }
    let server = aws(metadata);
    let said = list_with(
        a_machines_role_is_got_by_imdsv2,
        None,
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url()),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(
        said.contains("listed 1")
            && said.contains("asked as role lb-role of this machine, by the instance metadata service"),
        "{said} {:?}",
        server.seen()
    );
    assert_eq!(signers(&server), ["ASIAIMDS", "ASIAIMDS"]);
}

#[test]
fn a_tasks_role_is_got_from_its_container_service() {
    if is_child() {
        return;
    }
    let server = aws(|request| (request.line == "GET /task-role").then(|| json("ASIAECS", "ecs-session")));
    let said = list_with(
        a_tasks_role_is_got_from_its_container_service,
        None,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/task-role", server.url())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "task-token"),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(
        said.contains("listed 1")
            && said.contains("asked as the role of the container (AWS_CONTAINER_CREDENTIALS_FULL_URI)"),
        "{said} {:?}",
        server.seen()
    );
    assert_eq!(signers(&server), ["ASIAECS", "ASIAECS"]);
    assert_eq!(server.seen()[0].headers["authorization"], "task-token");
}

#[test]
fn a_web_identity_is_changed_for_a_role() {
    if is_child() {
        return;
    }
    let server = aws(|request| {
        (request.action() == "AssumeRoleWithWebIdentity" && request.form["WebIdentityToken"] == "jwt")
            .then(|| assumed("AssumeRoleWithWebIdentity", "ASIAWEB"))
    });
    let folder = TempDir::new().unwrap();
    let token = file(&folder, "token", "jwt");
    let said = list_with(
        a_web_identity_is_changed_for_a_role,
        None,
        &[
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/lb"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(
        said.contains("listed 1") && said.contains("asked as role arn:aws:iam::1:role/lb, by web identity"),
        "{said} {:?}",
        server.seen()
    );
    assert_eq!(signers(&server), ["ASIAWEB", "ASIAWEB"]);
}

#[test]
fn a_role_may_be_assumed_by_what_the_environment_the_machine_or_the_container_has() {
    if is_child() {
        return;
    }
    for (source, key) in
        [("Environment", "AKIAENV"), ("Ec2InstanceMetadata", "ASIAIMDS"), ("EcsContainer", "ASIAECS")]
    {
        let server = aws(move |request| match request.action() {
            "AssumeRole" => {
                let signed = &request.headers["authorization"];
                assert!(signed.contains(&format!("Credential={key}/")), "{signed}");
                Some(assumed("AssumeRole", "ASIAROLE"))
            }
            _ if request.line == "GET /task-role" => Some(json("ASIAECS", "ecs-session")),
            _ => metadata(request),
        });
        let folder = TempDir::new().unwrap();
        let config =
            format!("[profile lb]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = {source}\n");
        let said = list_with(
            a_role_may_be_assumed_by_what_the_environment_the_machine_or_the_container_has,
            Some("lb"),
            &[
                ("AWS_CONFIG_FILE", &file(&folder, "config", &config)),
                ("AWS_ACCESS_KEY_ID", "AKIAENV"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("AWS_EC2_METADATA_DISABLED", "false"),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url()),
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/task-role", server.url())),
                ("AWS_ENDPOINT_URL", &server.url()),
            ],
        );
        assert!(said.contains("listed 1"), "{source}: {said} {:?}", server.seen());
        assert!(said.contains("asked as role arn:aws:iam::1:role/r, by profile \"lb\""), "{source}: {said}");
        assert_eq!(signers(&server), ["ASIAROLE", "ASIAROLE"], "{source}");
    }
}

#[test]
fn a_login_by_sso_is_changed_for_a_role() {
    if is_child() {
        return;
    }
    let server = aws(|request| {
        let token = request.headers.get("x-amz-sso_bearer_token").map(String::as_str);
        (request.line.starts_with("GET /federation/credentials?") && token == Some("sso-token")).then(|| {
            let body = r#"{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"t",
                "expiration":4070908800000}}"#;
            Reply::Whole(200, &[("Content-Type", "application/json")], body.to_owned())
        })
    });
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let login = r#"{"accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z","region":"us-east-2",
        "startUrl":"https://corp.example/start"}"#;
    // The name is the SHA-1 of the session's name.
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), login).unwrap();
    let config = "[profile lb]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = lb\n[sso-session corp]\n\
                  sso_region = us-east-2\nsso_start_url = https://corp.example/start\n";
    let said = list_with(
        a_login_by_sso_is_changed_for_a_role,
        Some("lb"),
        &[
            ("AWS_CONFIG_FILE", &file(&folder, "config", config)),
            ("HOME", &folder.path().display().to_string()),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(
        said.contains("listed 1") && said.contains("asked as role lb of account 1, by SSO of profile \"lb\""),
        "{said} {:?}",
        server.seen()
    );
    assert_eq!(signers(&server), ["ASIASSO", "ASIASSO"]);
}

#[test]
fn credentials_that_aws_says_have_expired_are_got_anew_within_the_listing() {
    if is_child() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = process(folder.path());
    let config = file(&folder, "config", &format!("[default]\ncredential_process = /bin/sh {program}\n"));
    let server = aws(|request| {
        let old =
            request.headers.get("authorization").is_some_and(|signed| signed.contains("Credential=AKIA1/"));
        old.then(|| refusal(400, "RequestExpired", "Request has expired."))
    });
    let said = list_with(
        credentials_that_aws_says_have_expired_are_got_anew_within_the_listing,
        None,
        &[("AWS_CONFIG_FILE", &config), ("PATH", "/usr/bin:/bin"), ("AWS_ENDPOINT_URL", &server.url())],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
    assert_eq!(signers(&server), ["AKIA1", "AKIA2", "AKIA2"]);
}

/// A program that gives another key each time.
fn process(folder: &Path) -> String {
    let path = folder.join("process.sh");
    let count = folder.join("count");
    let text = format!(
        "echo x >>{0}\nprintf '{{\"Version\":1,\"AccessKeyId\":\"AKIA%s\",\"SecretAccessKey\":\"s\"}}' \
         $(wc -l <{0})\n",
        count.display()
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
