//! Certificates and the lists that name them.

use roster_haproxy::live::{NeedsReload, Trouble};

use super::tls::{Made, made};
use super::*;

impl Site {
    /// Gives the file of this name another certificate.
    fn replace(&mut self, name: &str, of: &str) -> Made {
        let made = made(of);
        self.pems.insert(self.path(&format!("{name}.pem")), made.pem.clone());
        made
    }

    fn certificates(&self) -> String {
        self.haproxy.cli("show ssl cert").or_fail()
    }
}

#[tokio::test]
async fn a_certificate_comes_is_replaced_and_goes_without_a_reload() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "", "first\nother x.org", false);
        assert_eq!(site.bring_all().await, Vec::<String>::new());
        let default = site.served("first.org");
        assert_eq!(site.served("new.org"), default);

        let new = site.replace("new", "new.org");
        site.list("first\nother x.org\nnew");
        let changed = site.bring_all().await;
        assert_eq!(changed.len(), 2, "{changed:?}");
        assert_eq!(site.served("new.org"), Some(new.der.clone()));

        let renewed = site.replace("new", "new.org");
        let changed = site.bring_all().await;
        let fingerprint = renewed.pem.fingerprint();
        assert_eq!(
            changed,
            [format!("certificate {}: replaced, fingerprint {fingerprint}", site.path("new.pem"))]
        );
        assert_eq!(site.served("new.org"), Some(renewed.der.clone()));

        // The default one is replaced too, though it cannot go.
        let first = site.replace("first", "first.org");
        site.list("first\nother x.org\nnew also.org *.wild.org");
        site.bring_all().await;
        assert_eq!(site.served("first.org"), Some(first.der.clone()));
        assert_eq!(site.served("a.wild.org"), Some(renewed.der.clone()));
        assert_eq!(site.served("also.org"), Some(renewed.der));
        assert_eq!(site.served("new.org"), Some(first.der.clone()));

        site.list("first\nother x.org");
        site.bring_all().await;
        assert_eq!(site.served("also.org"), Some(first.der));
        assert!(!site.certificates().contains("new.pem"), "{}", site.certificates());
    })
    .await;
}

#[tokio::test]
async fn a_broken_certificate_is_told_and_the_others_go() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "", "first\nold", false);
        let served = site.served("old.org");
        // A certificate with the key of another one.
        let (one, two) = (made("old.org"), made("old.org"));
        let broken = Pem::new(&format!("{}{}", one.certificate, two.key)).or_fail();
        // Base64, but no certificate.
        let nonsense = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{}", one.key);
        for name in ["old", "aaa"] {
            site.pems.insert(site.path(&format!("{name}.pem")), broken.clone());
        }
        site.pems.insert(site.path("bbb.pem"), Pem::new(&nonsense).or_fail());
        let good = site.replace("zzz", "zzz.org");
        site.list("first\nold\naaa\nbbb\nzzz\n");

        let brought = site.bring().await;
        let told: Vec<_> = brought.troubles.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (name, why) in [("aaa", "inconsistencies"), ("bbb", "unable to load"), ("old", "inconsistencies")]
        {
            let of_it = told.iter().find(|told| told.contains(&format!("/{name}.pem")));
            assert!(of_it.is_some_and(|told| told.contains(why)), "{told:?}");
        }
        assert!(one.key.lines().all(|line| line.starts_with('-') || !format!("{brought:?}").contains(line)));
        assert_eq!(brought.left, []);
        assert_eq!(site.served("zzz.org"), Some(good.der));
        assert_eq!(site.served("old.org"), served);
        let held = site.certificates();
        assert!(!held.contains("transaction") && !held.contains("aaa") && !held.contains("bbb"), "{held}");

        let mended = site.replace("old", "old.org");
        site.list("first\nold\nzzz");
        site.bring_all().await;
        assert_eq!(site.served("old.org"), Some(mended.der));
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_broke_off_is_ended_and_one_of_somebody_else_is_waited_for() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "/x a\n", "first\nold", false);
        let open = |name: &str, pem: &Pem| {
            let line =
                format!("set ssl cert {} <<\n{}", site.path(&format!("{name}.pem")), pem.secret_text());
            let said = site.haproxy.cli(&line).or_fail();
            assert!(said.contains("Transaction created"), "{said}");
        };
        open("first", &made("stray.org").pem);
        let renewed = site.replace("old", "old.org");
        site.bring_all().await;
        assert_eq!(site.served("old.org"), Some(renewed.der.clone()));

        let foreign = site.path("foreign.pem");
        site.haproxy.cli(&format!("new ssl cert {foreign}")).or_fail();
        let stray = made("stray.org");
        let line = format!("set ssl cert {foreign} <<\n{}", stray.pem.secret_text());
        assert!(site.haproxy.cli(&line).or_fail().contains("Transaction created"));
        let again = site.replace("old", "old.org");
        site.routes("/x b\n");
        let brought = site.bring().await;
        assert_eq!(brought.troubles, [Trouble::Transaction(foreign.to_string())]);
        assert_eq!(brought.changed.len(), 1, "the map");
        assert_eq!(site.served("old.org"), Some(renewed.der));
        site.haproxy.cli(&format!("abort ssl cert {foreign}")).or_fail();
        site.bring_all().await;
        assert_eq!(site.served("old.org"), Some(again.der));
    })
    .await;
}

#[tokio::test]
async fn the_default_certificate_changes_by_a_reload_unless_the_names_are_strict() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "", "first\nold", false);
        let list = site.path("web.list");
        site.list("old\nfirst");
        let brought = site.bring().await;
        assert!(matches!(brought.left.as_slice(), [NeedsReload::First { list: of, .. }] if *of == list));
        assert_eq!((brought.changed.len(), brought.troubles.len()), (0, 0));

        let mut strict = Site::start(bin, "", "first\nold", true);
        let new = strict.replace("new", "new.org");
        strict.list("new\nold");
        strict.bring_all().await;
        assert_eq!(strict.served("new.org"), Some(new.der));
        assert_eq!(strict.served("first.org"), None);
        assert!(strict.served("old.org").is_some());
        strict.list("");
        strict.bring_all().await;
        assert_eq!(strict.served("old.org"), None);
    })
    .await;
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_first_in_the_file_is_served() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "", "first\ntwo same.org\none same.org", false);
        let two = site.served("same.org").unwrap();
        site.list("first\none same.org\ntwo same.org");
        site.bring_all().await;
        let one = site.served("same.org").unwrap();
        assert_ne!(one, two);
        site.list("first\ntwo same.org\none same.org");
        site.bring_all().await;
        assert_eq!(site.served("same.org").unwrap(), two);
        // A certificate that is replaced keeps its place.
        for name in ["two", "one"] {
            let renewed = site.replace(name, "same.org");
            site.bring_all().await;
            assert_eq!(site.served("same.org").unwrap() == renewed.der, name == "two");
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_as_long_as_the_socket_takes_goes_and_a_longer_one_waits_for_a_reload() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "", "first", false);
        let leaf = made("long.org");
        let chained = |count: usize| {
            let chain = made("chain.org").certificate.repeat(count);
            Pem::new(&format!("{}{chain}{}", leaf.certificate, leaf.key)).or_fail()
        };
        let one = chained(1).secret_text().len() - leaf.pem.secret_text().len();
        let most = (Limits::default().line - leaf.pem.secret_text().len() - 200) / one;
        let at = site.path("long.pem");
        site.pems.insert(at.clone(), chained(most));
        site.list("first\nlong");
        site.bring_all().await;
        assert_eq!(site.served("long.org"), Some(leaf.der.clone()));

        site.pems.insert(at.clone(), chained(most + 2));
        let brought = site.bring().await;
        assert!(matches!(brought.left.as_slice(), [NeedsReload::TooLong { certificate, .. }] if *certificate == at));
        // A chain that grew is noticed though the certificate is the same.
        site.pems.insert(at, chained(1));
        assert_eq!(site.bring_all().await.len(), 1);
    })
    .await;
}
