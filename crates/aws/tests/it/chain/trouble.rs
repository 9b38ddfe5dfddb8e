//! Ways to credentials that fail: the error names the cause and what to do.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{assumed, aws, file, is_child, list_with};
use crate::scripted::{Reply, refusal};

#[test]
fn a_way_that_roster_does_not_know_is_named_with_a_way_around() {
    if is_child() {
        return;
    }
    for (text, says) in [
        (
            "login_session = arn:aws:iam::1:user/admin\n",
            "login_session, which `aws login` makes, a way to AWS credentials that Roster cannot go; give it \
             credential_process = aws configure export-credentials",
        ),
        (
            "role_arn = arn:aws:iam::1:role/x\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/x\n",
            "mfa_serial, so a person must type a code",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let base = "[profile base]\naws_access_key_id = A\naws_secret_access_key = s\n";
        let config = file(&folder, "config", &format!("[profile lb]\n{text}{base}"));
        let said = list_with(
            a_way_that_roster_does_not_know_is_named_with_a_way_around,
            Some("lb"),
            &[("AWS_CONFIG_FILE", &config)],
        );
        assert!(said.contains(says) && !said.contains("cargo"), "{said}");
    }
}

#[test]
fn a_login_by_sso_that_is_missing_or_over_says_how_to_log_in() {
    if is_child() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let config = "[profile lb]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = lb\n[sso-session corp]\n\
                  sso_region = us-east-2\nsso_start_url = https://corp.example/start\n";
    let (config, home) = (file(&folder, "config", config), folder.path().display().to_string());
    let environment = [("AWS_CONFIG_FILE", config.as_str()), ("HOME", home.as_str())];
    let list =
        || list_with(a_login_by_sso_that_is_missing_or_over_says_how_to_log_in, Some("lb"), &environment);
    let said = list();
    assert!(said.contains("log in by `aws sso login --profile lb`"), "{said}");
    let cache = folder.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let over = r#"{"accessToken":"hush","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-2",
        "startUrl":"https://corp.example/start"}"#;
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), over).unwrap();
    let said = list();
    assert!(
        said.contains("expired") && said.contains("log in by `aws sso login") && !said.contains("hush"),
        "{said}"
    );
}

#[test]
fn half_a_pair_of_keys_and_a_key_with_a_line_break_are_named() {
    if is_child() {
        return;
    }
    for (environment, says) in [
        (
            &[("AWS_ACCESS_KEY_ID", "AKIAENV")][..],
            "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not",
        ),
        (&[("AWS_SECRET_ACCESS_KEY", "hush")], "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"),
        (
            &[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "hush\n")],
            "the AWS secret access key of the environment ends with a line break",
        ),
        (
            &[("AWS_ACCESS_KEY_ID", "AKIA\nENV"), ("AWS_SECRET_ACCESS_KEY", "hush")],
            "the AWS access key id of the environment has a line break in it",
        ),
    ] {
        let said = list_with(half_a_pair_of_keys_and_a_key_with_a_line_break_are_named, None, environment);
        assert!(said.contains(says) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_metadata_service_whose_token_does_not_come_names_the_limit_of_hops() {
    if is_child() {
        return;
    }
    let server = aws(|request| (request.line == "PUT /latest/api/token").then_some(Reply::Silence));
    let said = list_with(
        a_metadata_service_whose_token_does_not_come_names_the_limit_of_hops,
        None,
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url()),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(
        said.contains("no AWS credentials were found") && said.contains("HttpPutResponseHopLimit"),
        "{said}"
    );
}

#[test]
fn a_program_that_hangs_does_not_hold_up_longer_than_the_limit() {
    if is_child() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let config = file(&folder, "config", "[profile lb]\ncredential_process = sleep 313\n");
    let begun = Instant::now();
    let said = list_with(
        a_program_that_hangs_does_not_hold_up_longer_than_the_limit,
        Some("lb"),
        &[("AWS_CONFIG_FILE", &config), ("PATH", "/usr/bin:/bin"), (super::LIMIT, "1")],
    );
    assert!(said.contains("failed: ") && said.contains("1s"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_program_may_stand_at_the_end_of_a_chain_of_roles() {
    if is_child() {
        return;
    }
    let server = aws(|request| {
        (request.action() == "AssumeRole").then(|| {
            let signed = &request.headers["authorization"];
            assert!(signed.contains("Credential=AKIABASE/"), "{signed}");
            assumed("AssumeRole", "ASIAROLE")
        })
    });
    let folder = TempDir::new().unwrap();
    let config = "[profile lb]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n[profile base]\n\
                  credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIABASE\",\"SecretAccessKey\":\"s\"}'\n";
    let said = list_with(
        a_program_may_stand_at_the_end_of_a_chain_of_roles,
        Some("lb"),
        &[
            ("AWS_CONFIG_FILE", &file(&folder, "config", config)),
            ("PATH", "/usr/bin:/bin"),
            ("AWS_ENDPOINT_URL", &server.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", server.seen());
    assert!(said.contains("asked as role arn:aws:iam::1:role/r, by profile \"lb\""), "{said}");
}

#[test]
fn who_was_refused_is_named() {
    if is_child() {
        return;
    }
    for (status, code) in [(401, "AuthFailure"), (403, "UnauthorizedOperation")] {
        let server = aws(move |_| Some(refusal(status, code, "no")));
        let said = list_with(
            who_was_refused_is_named,
            None,
            &[
                ("AWS_ACCESS_KEY_ID", "AKIAENV"),
                ("AWS_SECRET_ACCESS_KEY", "hush"),
                ("AWS_ENDPOINT_URL", &server.url()),
            ],
        );
        let says = "DescribeInstances in us-east-2, asked as access key AKIAENV of the environment: ";
        assert!(said.contains(says) && !said.contains("hush"), "{said}");
    }
}
