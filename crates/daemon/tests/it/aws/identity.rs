//! As whom Roster asks AWS, where the credentials come from, and what an error names as its cause.

use std::fs;

use roster_testkit::{Ec2StandIn, MadeCertificate, OrFail, Poll, dead_port, wait_until_or_fail};

use super::{Region, SECRET, web};
use crate::rig::CAP;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", SECRET)];

fn keys(id: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n")
}

/// Whether a process with this id runs; one that has ended may still wait to be reaped.
fn runs(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn ids(file: &str) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_credential_process_that_hangs_is_ended_with_its_children_at_the_limit_and_at_the_end() {
    let region = Region::start();
    let written = region.file("pids", "");
    let program = region.file("helper.sh", &format!("sleep 313 & echo $! $$ >> {written}\nwait\n"));
    region.file(".aws/config", &format!("[profile dev]\ncredential_process = /bin/sh {program}\n"));
    let source = |timeout| format!(", endpoint: \"{}\", profile: dev, timeout: {timeout}", region.ec2.url());
    region.configure(&source("1s"), "{service}");
    let daemon = region.run_with(&[]);
    daemon.until_log(
        "the credential_process of profile \"dev\" gives none: it took longer than 1s and was ended",
    );
    wait_until_or_fail(CAP, "two runs, each ended", || {
        Poll::when(ids(&written), |ids| ids.len() >= 4 && ids.iter().take(4).all(|id| !runs(id)))
    });
    assert_eq!(daemon.stop(), Some(0));
    assert!(ids(&written).iter().all(|id| !runs(id)), "{:?}", ids(&written));
    // One that is waited for when Roster ends.
    fs::write(&written, "").unwrap();
    region.configure(&source("60s"), "{service}");
    let daemon = region.run_with(&[]);
    wait_until_or_fail(CAP, "a run", || Poll::when(ids(&written), |ids| ids.len() >= 2));
    assert_eq!(daemon.stop(), Some(0));
    wait_until_or_fail(CAP, "its end", || Poll::when(ids(&written), |ids| ids.iter().all(|id| !runs(id))));
}

#[test]
fn a_clock_that_is_off_and_a_key_with_a_line_break_are_named() {
    let region = Region::start();
    region.ec2.world(|world| world.date = Some("Wed, 01 Jan 2020 00:00:00 GMT"));
    for code in ["RequestExpired", "AuthFailure", "SignatureDoesNotMatch"] {
        region.ec2.world(|world| world.refused.insert("DescribeInstances", (400, code)));
        let told = region.plan(&KEYS);
        assert!(
            told.err.contains("days ahead of AWS's, so AWS refuses what it signs")
                && told.err.contains(&format!("({code}); set the clock")),
            "{told:?}"
        );
    }
    // The same codes by a clock that is right.
    region.ec2.world(|world| world.date = None);
    for (code, says) in [("RequestExpired", "have expired"), ("AuthFailure", "does not take the credentials")]
    {
        region.ec2.world(|world| world.refused.insert("DescribeInstances", (400, code)));
        let told = region.plan(&KEYS);
        assert!(told.err.contains(says) && told.err.contains("asked as access key AKIAENV"), "{told:?}");
    }
    let calls = region.ec2.calls().len();
    let broken = format!("{SECRET}\n");
    let told = region.plan(&[KEYS[0], ("AWS_SECRET_ACCESS_KEY", &broken)]);
    assert!(
        told.err.contains("the AWS secret access key of the environment ends with a line break"),
        "{told:?}"
    );
    assert_eq!(region.ec2.calls().len(), calls, "nothing is asked with a key that cannot be one");
}

#[test]
fn a_companys_certificates_are_trusted_and_a_proxy_that_fails_is_named() {
    let region = Region::start();
    let certificate = MadeCertificate::new("127.0.0.1");
    let tls = Ec2StandIn::start_tls(&certificate).or_fail();
    let bundle = region.file("ca.pem", &certificate.certificate);
    region.file(".aws/config", &format!("[profile lab]\nca_bundle = {bundle}\n"));
    region.configure(&format!(", endpoint: \"{}\"", tls.url()), "{service}");
    for trusted in
        [("AWS_CA_BUNDLE", bundle.as_str()), ("REQUESTS_CA_BUNDLE", &bundle), ("SSL_CERT_FILE", &bundle)]
    {
        let told = region.plan(&[KEYS[0], KEYS[1], trusted]);
        assert!(!told.err.contains("fleet"), "{trusted:?}: {told:?}");
    }
    let told = region.plan(&[KEYS[0], KEYS[1], ("AWS_PROFILE", "lab")]);
    assert!(!told.err.contains("fleet"), "{told:?}");
    let told = region.plan(&KEYS);
    assert!(told.err.contains("is not trusted (") && told.err.contains("AWS_CA_BUNDLE"), "{told:?}");
    region.configure("", "{service}");
    let proxy = format!("http://me:{SECRET}@127.0.0.1:{}", dead_port().or_fail());
    let told = region.plan(&[KEYS[0], KEYS[1], ("HTTPS_PROXY", &proxy)]);
    assert!(told.err.contains("cannot be reached through the proxy 127.0.0.1:"), "{told:?}");
    assert!(told.err.contains("(HTTPS_PROXY)"), "{told:?}");
}

#[test]
fn the_endpoints_of_the_shared_file_are_taken_for_both_services() {
    for key in ["auto_scaling", "auto-scaling"] {
        let region = Region::start();
        region.configure("", "{service}");
        region.file(".aws/credentials", &keys("AKIAFILE").replace("default", "dev"));
        let url = region.ec2.url();
        let config = format!(
            "[profile dev]\nservices = lab\n[services lab]\nec2 =\n  endpoint_url = {url}\n{key} =\n  endpoint_url = {url}\n"
        );
        region.file(".aws/config", &config);
        let told = region.plan(&[("AWS_PROFILE", "dev")]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let asked: Vec<String> = region.ec2.calls().into_iter().map(|call| call.action).collect();
        assert_eq!(asked, ["DescribeInstances", "DescribeAutoScalingGroups"], "{key}");
    }
}

#[test]
fn the_identity_is_reported_at_the_start_and_when_a_key_of_the_shared_file_is_replaced() {
    let region = Region::start();
    region.machines(vec![web("i-1", "127.0.1.1")]);
    region.file(".aws/credentials", &keys("AKIAOLD"));
    let daemon = region.run_with(&[]);
    daemon.until_log("AWS is asked as access key AKIAOLD of profile \"default\"");
    region.until_asked(4);
    region.file(".aws/credentials", &keys("AKIANEW"));
    daemon.until_log("AWS is asked as access key AKIANEW of profile \"default\"");
    region.until_asked(4);
    let signed: Vec<String> = region.ec2.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(signed.last().map(String::as_str), Some("AKIANEW"));
    let first = signed.iter().position(|key| key == "AKIANEW").unwrap();
    assert!(signed.iter().skip(first).all(|key| key == "AKIANEW"), "{signed:?}");
    assert_eq!(daemon.log().matches("AWS is asked as").count(), 2, "{}", daemon.log());
    assert!(!daemon.log().contains(SECRET));
}

#[test]
fn ways_to_credentials_that_roster_cannot_go_are_named() {
    let region = Region::start();
    let sso = "sso_session = corp\nsso_account_id = 1\nsso_role_name = lb\n[sso-session corp]\nsso_region = us-east-2\n\
               sso_start_url = https://corp.example/start\n";
    for (profile, says) in [
        ("login_session = arn:aws:iam::1:user/admin\n", "login_session, which `aws login` makes"),
        (
            "role_arn = arn:aws:iam::1:role/r\nsource_profile = dev\nmfa_serial = arn:aws:iam::1:mfa/me\n",
            "mfa_serial",
        ),
        (sso, "log in by `aws sso login --profile dev`"),
        ("region = us-east-2\n", "profile"),
    ] {
        region.file(".aws/config", &format!("[profile dev]\n{profile}"));
        let told = region.plan(&[("AWS_PROFILE", "dev")]);
        assert!(told.err.contains(says) && !told.err.contains("feature"), "{profile}: {told:?}");
        assert!(!told.err.contains("aws_config"), "{told:?}");
    }
    assert_eq!(region.ec2.calls(), []);
}
