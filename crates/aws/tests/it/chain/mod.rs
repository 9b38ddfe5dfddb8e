//! Where credentials and endpoints come from. A process of its own has the environment that a test wants.

mod files;
mod outside;
mod trouble;
mod ways;

use std::process::Command;

use roster_aws::{Client, Credentials, Region, Settings};
use tempfile::TempDir;

use crate::common::{Calls, environment, machines, query};
use crate::scripted::{Reply, Request, Scripted, groups, instances};

/// Set in the process that lists.
const CHILD: &str = "ROSTER_AWS_TEST_PROFILE";

/// The longest time for a call and for credentials, in seconds, if it is to be another one.
const LIMIT: &str = "ROSTER_AWS_TEST_LIMIT";
/// A file that the process that lists writes before it lists again, and what it writes.
const REWRITTEN: [&str; 2] = ["ROSTER_AWS_TEST_FILE", "ROSTER_AWS_TEST_TEXT"];

/// Lists in a process with this environment and nothing else, and tells what it printed. The process is this test again.
fn list_with<T: Fn()>(_test: T, profile: Option<&str>, environment: &[(&str, &str)]) -> String {
    // The name of a function says its module, and the crate first.
    let (_, test) = std::any::type_name::<T>().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
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
    let limit = std::env::var_os(LIMIT).map_or(20, |text| text.into_string().unwrap().parse().unwrap());
    let settings = Settings {
        credentials,
        timeout: std::time::Duration::from_secs(limit),
        environment: environment(),
        ..Settings::new(region)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = Calls::default();
    runtime.block_on(async {
        let client = match Client::new(settings, calls.clone()).await {
            Ok(client) => client,
            Err(error) => return println!("refused: {error}"),
        };
        list(&client).await;
        if let [Some(path), Some(text)] = REWRITTEN.map(std::env::var_os) {
            std::fs::write(path, text.into_encoded_bytes()).unwrap();
            client.refresh().await.unwrap();
            list(&client).await;
        }
    });
    for principal in calls.principals() {
        println!("asked as {principal}");
    }
    true
}

async fn list(client: &Client) {
    match client.list(&query(), None).await {
        Ok(listing) => println!("listed {}", machines(&listing).len()),
        Err(error) => println!("failed: {error}"),
    }
}

/// Answers both services with one instance, and else what the test says.
fn aws(answers: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |number, request| answers(request).unwrap_or_else(|| answer(number, request)))
}

/// One instance and no group.
fn answer(_number: usize, request: &Request) -> Reply {
    match request.action() {
        "DescribeInstances" => instances(&["i-1"], ""),
        "DescribeAutoScalingGroups" => groups(&[]),
        _ => Reply::Whole(404, &[], String::new()),
    }
}

/// The metadata service of a machine with a role, in its second version.
fn metadata(request: &Request) -> Option<Reply> {
    match request.line.as_str() {
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
    }
}

/// The answer of STS to an action that gives a role.
fn assumed(action: &str, key: &str) -> Reply {
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>a</AssumedRoleId>\
         <Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser></{action}Result></{action}Response>"
    );
    Reply::Whole(200, &[], body)
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
