//! The way out of this machine: a company's proxy and its own authority.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use roster_azure::{Client, Cloud, Error, Outbound, Patience, Settings};
use roster_testkit::{ArmStandIn, ConnectProxy, MadeCertificate, OrFail, dead_port};
use tempfile::TempDir;

use super::{TAGS, anew, names, settings};

const NAME: &str = "arm.company.test";

/// An ARM whose name nobody resolves, a proxy that leads there, and the certificate of who signed for it.
struct Company {
    arm: ArmStandIn,
    proxy: ConnectProxy,
    folder: TempDir,
}

impl Company {
    fn new(login: Option<&str>) -> Self {
        let certificate = MadeCertificate::new(NAME);
        let folder = TempDir::new().or_fail();
        std::fs::write(folder.path().join("ca.pem"), &certificate.certificate).or_fail();
        let arm = ArmStandIn::start_tls(NAME, &certificate).or_fail();
        arm.world(|world| {
            world.page_size = 1;
            world.add_vm("web-1", "10.0.0.4", &TAGS);
            world.add_vm("web-2", "10.0.0.5", &TAGS);
        });
        let proxy = ConnectProxy::start(arm.addr(), login).or_fail();
        Self { arm, proxy, folder }
    }

    fn bundle(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn https_proxy(&self, login: &str) -> String {
        format!("http://{login}{}", self.proxy.addr())
    }

    fn client(&self, set: &[(&str, &str)]) -> Client {
        Client::new(self.settings(set)).or_fail()
    }

    fn settings(&self, set: &[(&str, &str)]) -> Settings {
        let set: BTreeMap<String, OsString> =
            set.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(*value))).collect();
        let cloud = Cloud::at(self.arm.url(), Some("https://management.azure.com")).or_fail();
        let cloud = cloud.with_authority(self.arm.url()).or_fail();
        let outbound = Outbound::read(|name| set.get(name).cloned());
        let patience = Patience { attempts: 1, ..Patience::default() };
        Settings { cloud, outbound, patience, ..settings(&self.arm, &Arc::default()) }
    }
}

async fn failure(client: &Client) -> String {
    let error = client.list(&roster_azure::Memory::default()).await.unwrap_err();
    assert!(matches!(error, Error::Credential(_)), "the first call is that for a token: {error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hush"), "{text}");
    error.to_string()
}

#[tokio::test]
async fn arm_and_entra_are_asked_through_the_proxy_and_trusted_by_the_companys_authority() {
    let company = Company::new(Some("me:hush"));
    for bundle in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        let proxy = company.https_proxy("me:hush@");
        let client = company.client(&[("HTTPS_PROXY", &proxy), (bundle, &company.bundle())]);
        assert_eq!(names(&anew(&client).await), ["web-1", "web-2"], "{bundle}");
    }
    let asked = company.proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|server| server == "arm.company.test:443"), "{asked:?}");
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_named_with_the_variable_that_helps() {
    let company = Company::new(None);
    let other = company.folder.path().join("other.pem");
    std::fs::write(&other, MadeCertificate::new("other").certificate).or_fail();
    let proxy = company.https_proxy("");
    let client =
        company.client(&[("HTTPS_PROXY", &proxy), ("REQUESTS_CA_BUNDLE", &other.display().to_string())]);
    let text = failure(&client).await;
    assert!(text.contains("the certificate of arm.company.test is not trusted ("), "{text}");
    assert!(text.contains("REQUESTS_CA_BUNDLE"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_not_there_is_named_with_its_variable() {
    let company = Company::new(Some("me:hush"));
    let bundle = company.bundle();
    let wrong = company.https_proxy("me:hush-hush@");
    let text = failure(&company.client(&[("https_proxy", &wrong), ("REQUESTS_CA_BUNDLE", &bundle)])).await;
    let proxy = format!(
        "arm.company.test cannot be reached through the proxy {} (https_proxy)",
        company.proxy.addr()
    );
    assert!(text.contains(&proxy) && text.contains("authorization required"), "{text}");
    let dead = format!("127.0.0.1:{}", dead_port().or_fail());
    let text = failure(&company.client(&[("ALL_PROXY", &dead), ("REQUESTS_CA_BUNDLE", &bundle)])).await;
    assert!(text.contains(&format!("through the proxy {dead} (ALL_PROXY)")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn what_no_proxy_names_is_asked_directly() {
    let company = Company::new(None);
    let (proxy, bundle) = (company.https_proxy(""), company.bundle());
    let set =
        [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", ".company.test"), ("REQUESTS_CA_BUNDLE", &bundle)];
    let text = failure(&company.client(&set)).await;
    assert!(text.contains("the name arm.company.test is not known"), "{text}");
    assert!(company.proxy.asked().is_empty());
}

#[tokio::test]
async fn what_has_no_tls_never_goes_through_a_proxy() {
    let company = Company::new(None);
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.add_vm("web-1", "10.0.0.4", &TAGS);
    });
    let proxy = company.https_proxy("");
    let outbound = company.settings(&[("ALL_PROXY", &proxy), ("HTTP_PROXY", &proxy)]).outbound;
    let client = Client::new(Settings { outbound, ..settings(&arm, &Arc::default()) }).or_fail();
    assert_eq!(names(&anew(&client).await), ["web-1"]);
    assert!(company.proxy.asked().is_empty());
}

#[test]
fn a_proxy_or_a_bundle_that_is_none_is_named_by_its_variable() {
    let company = Company::new(None);
    for (variable, value, words) in [
        ("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem", "/nonexistent/ca.pem cannot be read"),
        ("HTTPS_PROXY", "socks5://me:hush@p:1", "names no proxy that Roster can use"),
    ] {
        let text = Client::new(company.settings(&[(variable, value)])).err().unwrap().to_string();
        assert!(text.contains(variable) && text.contains(words) && !text.contains("hush"), "{text}");
    }
}
