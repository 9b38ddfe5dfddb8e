//! A company's authority and its proxy, taken as boto3 takes them.

use roster_testkit::MadeCertificate;
use tempfile::TempDir;

use super::{aws, file, is_child, list_with};
use crate::scripted::Scripted;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "s")];

#[test]
fn a_bundle_of_the_environment_or_the_profile_is_trusted_and_nothing_else() {
    if is_child() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let own = MadeCertificate::new("127.0.0.1");
    let tls = Scripted::start_tls(&own, super::answer);
    let bundle = file(&folder, "ca.pem", &own.certificate);
    let other = file(&folder, "other.pem", &MadeCertificate::new("127.0.0.1").certificate);
    let config = file(&folder, "config", &format!("[default]\nca_bundle = {bundle}\n"));
    let list = |more: &[(&str, &str)]| {
        let at = tls.url();
        let environment = [&KEYS[..], &[("AWS_ENDPOINT_URL", at.as_str())], more].concat();
        list_with(a_bundle_of_the_environment_or_the_profile_is_trusted_and_nothing_else, None, &environment)
    };
    for good in [
        &[("AWS_CA_BUNDLE", bundle.as_str())][..],
        &[("AWS_CONFIG_FILE", &config)],
        &[("REQUESTS_CA_BUNDLE", &bundle)],
        &[("SSL_CERT_FILE", &bundle)],
        &[("AWS_CA_BUNDLE", &bundle), ("REQUESTS_CA_BUNDLE", &other)],
        &[("AWS_CONFIG_FILE", &config), ("REQUESTS_CA_BUNDLE", &other)],
    ] {
        let said = list(good);
        assert!(said.contains("listed 1"), "{good:?}: {said}");
    }
    for bad in
        [&[("SSL_CERT_FILE", other.as_str())][..], &[("AWS_CA_BUNDLE", &other), ("SSL_CERT_FILE", &bundle)]]
    {
        let said = list(bad);
        assert!(said.contains("is not trusted (invalid peer certificate: "), "{bad:?}: {said}");
        assert!(said.contains("by AWS_CA_BUNDLE, or by ca_bundle of the profile"), "{said}");
    }
    let said = list(&[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]);
    assert!(said.contains("refused: the certificates in /nonexistent/ca.pem cannot be read"), "{said}");
}

#[test]
fn calls_go_through_the_proxy_but_never_those_for_the_machines_own_credentials() {
    if is_child() {
        return;
    }
    // The proxy answers for whomever it is asked; the metadata service is on the machine.
    let (proxy, machine) = (aws(|_| None), aws(super::metadata));
    let said = list_with(
        calls_go_through_the_proxy_but_never_those_for_the_machines_own_credentials,
        None,
        &[
            ("HTTP_PROXY", &proxy.url()),
            ("AWS_ENDPOINT_URL", "http://ec2.example"),
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.url()),
        ],
    );
    assert!(said.contains("listed 1"), "{said} {:?}", machine.seen());
    let lines: Vec<String> = proxy.seen().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["POST http://ec2.example/", "POST http://ec2.example/"]);
}

#[test]
fn a_proxy_that_gives_no_connection_is_named() {
    if is_child() {
        return;
    }
    let dead = format!("http://me:hush@127.0.0.1:{}", roster_testkit::dead_port().unwrap());
    let refusing = aws(|_| None).url();
    for (proxy, no_proxy, says) in [
        (dead.as_str(), "", "ec2.us-east-2.amazonaws.com cannot be reached through the proxy 127.0.0.1:"),
        (&refusing, "", "through the proxy 127.0.0.1:"),
        ("socks5://127.0.0.1:1", "", "HTTPS_PROXY names no proxy that Roster can use"),
        (&dead, ".amazonaws.com", "the host ec2.us-east-2.amazonaws.com is not known"),
    ] {
        let environment = [&KEYS[..], &[("HTTPS_PROXY", proxy), ("NO_PROXY", no_proxy)]].concat();
        let said = list_with(a_proxy_that_gives_no_connection_is_named, None, &environment);
        assert!(said.contains(says) && !said.contains("hush"), "{proxy}: {said}");
    }
}
