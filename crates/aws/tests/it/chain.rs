//! Where credentials and endpoints come from. A process of its own has the environment that a test wants.

use std::path::Path;
use std::process::Command;

use roster_aws::{Client, Credentials, Region, Settings, Unobserved};
use tempfile::TempDir;

use crate::common::query;
use crate::scripted::{Reply, Request, Scripted, groups, instances, refusal};

/// Set in the process that lists.
const CHILD: &str = "ROSTER_AWS_TEST_PROFILE";

/// Lists in a process with this environment and nothing else, and tells what it printed. The process is this test again.
fn list_with(test: &str, profile: Option<&str>, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("chain::{test}"), "--nocapture"])
        .env_clear()
        // No machine that runs the tests is to be asked for its own role.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .env(CHILD, profile.unwrap_or_default())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// In the process that lists: does so, and says how it went.
fn is_child() -> bool {
    let Some(profile) = std::env::var_os(CHILD) else { return false };
    let profile = profile.into_string().unwrap();
    let credentials = if profile.is_empty() { Credentials::Chain } else { Credentials::Profile(profile) };
    let region = Region::new("us-east-2").unwrap();
    let settings =
        Settings { credentials, timeout: std::time::Duration::from_secs(20), ..Settings::new(region) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = runtime.block_on(async {
        match Client::new(settings, Unobserved).await {
            Ok(client) => match client.list(&query()).await {
                Ok(listing) => format!("listed {}", listing.machines.len()),
                Err(error) => format!("failed: {error}"),
            },
            Err(error) => format!("refused: {error}"),
        }
    });
    println!("{said}");
    true
}

/// Answers both services with one instance, and else what the test says.
fn aws(answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |_, request| {
        answer(request).unwrap_or_else(|| match request.action() {
            "DescribeInstances" => instances(&["i-1"], ""),
            "DescribeAutoScalingGroups" => groups(&[]),
            _ => Reply::Whole(404, &[], String::new()),
        })
    })
}

/// The ids of the keys that signed the calls to EC2 and Auto Scaling.
fn signers(server: &Scripted) -> Vec<String> {
    let seen = server.seen();
    let calls = seen.iter().filter(|request| request.action().starts_with("Describe"));
    let signed = calls.filter_map(|request| request.headers.get("authorization"));
    signed.filter_map(|text| Some(text.split_once("Credential=")?.1.split_once('/')?.0.to_owned())).collect()
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn json(key: &str, token: &str) -> Reply {
    let body = format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{key}","SecretAccessKey":"secret",
            "Token":"{token}","Expiration":"2099-01-01T00:00:00Z","LastUpdated":"2026-01-01T00:00:00Z"}}"#
    );
    Reply::Whole(200, &[("Content-Type", "application/json")], body)
}

#[test]
fn the_environment_gives_keys_a_session_and_an_endpoint() {
    if is_child() {
        return;
    }
    let server = aws(|_| None);
    let said = list_with(
        "the_environment_gives_keys_a_session_and_an_endpoint",
        None,
        &[
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "the-session"),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said}");
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
        "a_service_may_have_an_endpoint_of_its_own",
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
        "a_named_profile_goes_before_the_environment_and_has_its_own_endpoints",
        Some("lb"),
        &[
            ("AWS_CONFIG_FILE", &config),
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );
    assert!(said.contains("listed 1"), "{said}");
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
        "a_profile_that_is_not_there_is_told_by_its_name",
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
    let said = list_with("without_any_credentials_the_error_says_how_to_give_some", None, &[]);
    assert!(said.contains("no AWS credentials were found") && said.contains("AWS_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn a_machines_role_is_got_by_imdsv2() {
    if is_child() {
        return;
    }
    let server = aws(|request| match request.line.as_str() {
        "PUT /latest/api/token" => {
            let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")].as_slice();
            Some(Reply::Whole(200, ttl, "imds-token".to_owned()))
        }
        line if line.starts_with("GET /latest/meta-data/iam/") => {
            // Without the token it is the first version, which may be off.
            let token = request.headers.get("x-aws-ec2-metadata-token").map(String::as_str);
            Some(match (token, line.contains("lb-role")) {
                (Some("imds-token"), true) => json("ASIAIMDS", "imds-session"),
                (Some("imds-token"), false) => Reply::Whole(200, &[], "lb-role".to_owned()),
                _ => Reply::Whole(401, &[], String::new()),
            })
        }
        _ => None,
    });
    let said = list_with(
        "a_machines_role_is_got_by_imdsv2",
        None,
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url()),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
    assert_eq!(signers(&server), ["ASIAIMDS", "ASIAIMDS"]);
}

#[test]
fn a_tasks_role_is_got_from_its_container_service() {
    if is_child() {
        return;
    }
    let server = aws(|request| (request.line == "GET /task-role").then(|| json("ASIAECS", "ecs-session")));
    let said = list_with(
        "a_tasks_role_is_got_from_its_container_service",
        None,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/task-role", server.url())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "task-token"),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
    assert_eq!(signers(&server), ["ASIAECS", "ASIAECS"]);
    assert_eq!(server.seen()[0].headers["authorization"], "task-token");
}

#[test]
fn a_web_identity_is_changed_for_a_role() {
    if is_child() {
        return;
    }
    let server = aws(|request| {
        (request.action() == "AssumeRoleWithWebIdentity" && request.form["WebIdentityToken"] == "jwt").then(|| {
            let body = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>s\
                </SecretAccessKey><SessionToken>web</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                </Credentials><AssumedRoleUser><AssumedRoleId>a</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s\
                </Arn></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
            Reply::Whole(200, &[], body.to_owned())
        })
    });
    let folder = TempDir::new().unwrap();
    let token = file(&folder, "token", "jwt");
    let said = list_with(
        "a_web_identity_is_changed_for_a_role",
        None,
        &[
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/lb"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
    assert_eq!(signers(&server), ["ASIAWEB", "ASIAWEB"]);
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
        "a_login_by_sso_is_changed_for_a_role",
        Some("lb"),
        &[
            ("AWS_CONFIG_FILE", &file(&folder, "config", config)),
            ("HOME", &folder.path().display().to_string()),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
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
    let test = "credentials_that_aws_says_have_expired_are_got_anew_within_the_listing";
    let said = list_with(
        test,
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
