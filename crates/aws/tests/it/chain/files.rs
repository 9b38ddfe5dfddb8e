//! The shared files: what they say, and that they are read again once they have changed.

use tempfile::TempDir;

use super::{REWRITTEN, aws, file, is_child, list_with, signers};

const KEYS: &str = "aws_access_key_id = AKIAOLD\naws_secret_access_key = s\n";

#[test]
fn a_key_that_is_replaced_in_the_shared_file_is_taken_at_the_next_listing() {
    if is_child() {
        return;
    }
    let (folder, server) = (TempDir::new().unwrap(), aws(|_| None));
    let before = format!("[default]\n{KEYS}");
    let credentials = file(&folder, "credentials", &before);
    let after = before.replace("AKIAOLD", "AKIANEW");
    let said = list_with(
        a_key_that_is_replaced_in_the_shared_file_is_taken_at_the_next_listing,
        None,
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
            ("AWS_ENDPOINT_URL", &server.url()),
            (REWRITTEN[0], &credentials),
            (REWRITTEN[1], &after),
        ],
    );
    assert_eq!(signers(&server), ["AKIAOLD", "AKIAOLD", "AKIANEW", "AKIANEW"], "{said}");
    let told =
        ["asked as access key AKIAOLD of profile \"default\"", "asked as access key AKIANEW of profile"];
    assert!(told.iter().all(|told| said.contains(told)), "{said}");
}

#[test]
fn a_file_that_comes_later_and_an_endpoint_that_changes_are_seen() {
    if is_child() {
        return;
    }
    let (folder, one, two) = (TempDir::new().unwrap(), aws(|_| None), aws(|_| None));
    let credentials = file(&folder, "credentials", &format!("[default]\n{KEYS}"));
    let config = file(&folder, "config", &format!("[default]\nendpoint_url = {}\n", one.url()));
    let said = list_with(
        a_file_that_comes_later_and_an_endpoint_that_changes_are_seen,
        None,
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
            ("AWS_CONFIG_FILE", &config),
            (REWRITTEN[0], &config),
            (REWRITTEN[1], &format!("[default]\nendpoint_url = {}\n", two.url())),
        ],
    );
    assert_eq!((signers(&one).len(), signers(&two).len()), (2, 2), "{said}");
    let missing = folder.path().join("later").display().to_string();
    let said = list_with(
        a_file_that_comes_later_and_an_endpoint_that_changes_are_seen,
        None,
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", &missing),
            ("AWS_ENDPOINT_URL", &one.url()),
            (REWRITTEN[0], &missing),
            (REWRITTEN[1], &format!("[default]\n{KEYS}")),
        ],
    );
    assert!(said.contains("failed: ") && said.contains("listed 1"), "{said}");
}

#[test]
fn a_section_of_services_says_where_each_answers_by_awss_own_key_and_by_the_librarys() {
    if is_child() {
        return;
    }
    for key in ["auto_scaling", "auto-scaling"] {
        let (folder, ec2, scaling) = (TempDir::new().unwrap(), aws(|_| None), aws(|_| None));
        let text = format!(
            "[profile lb]\nservices = lab\nendpoint_url = http://127.0.0.1:1\n[services lab]\nec2 =\n  endpoint_url = {}\n{key} =\n  \
             endpoint_url = {}\n",
            ec2.url(),
            scaling.url()
        );
        let said = list_with(
            a_section_of_services_says_where_each_answers_by_awss_own_key_and_by_the_librarys,
            Some("lb"),
            &[
                ("AWS_CONFIG_FILE", &file(&folder, "config", &text)),
                ("AWS_SHARED_CREDENTIALS_FILE", &file(&folder, "credentials", &format!("[lb]\n{KEYS}"))),
            ],
        );
        assert!(said.contains("listed 1"), "{key}: {said}");
        assert_eq!((signers(&ec2).len(), signers(&scaling).len()), (1, 1), "{key}");
    }
}

#[test]
fn configured_endpoints_can_be_ignored_and_the_environments_go_first() {
    if is_child() {
        return;
    }
    let (folder, server) = (TempDir::new().unwrap(), aws(|_| None));
    let text = "[default]\nservices = lab\n[services lab]\nec2 =\n  endpoint_url = http://127.0.0.1:1\n";
    let common = [
        ("AWS_CONFIG_FILE", file(&folder, "config", text)),
        ("AWS_ACCESS_KEY_ID", "AKIAENV".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "s".to_owned()),
        ("AWS_ENDPOINT_URL", server.url()),
    ];
    let environment: Vec<(&str, &str)> = common.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let said =
        list_with(configured_endpoints_can_be_ignored_and_the_environments_go_first, None, &environment);
    assert!(said.contains("listed 1"), "{said}");
    // Without them AWS's own host is asked, which the proxy stands in for.
    let proxy = aws(|_| None);
    let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("HTTPS_PROXY", &proxy.url())];
    let environment = [&environment[..], &ignored[..]].concat();
    let said =
        list_with(configured_endpoints_can_be_ignored_and_the_environments_go_first, None, &environment);
    assert!(said.contains("failed: "), "{said}");
    assert_eq!(proxy.seen()[0].line, "CONNECT ec2.us-east-2.amazonaws.com:443");
}
