use super::certificate::{open_transaction, parse, plan, undo};
use super::*;

/// From 2.8.25; 2.6.12 and 3.0.11 write the same.
const SHOWN: &str = "Filename: /etc/a.pem\nStatus: Used\nSerial: 3FBE\nnotBefore: Nov 21 09:34:51 2026 GMT\n\
    notAfter: Sep 17 09:34:51 2027 GMT\nSubject Alternative Name: DNS:A.example.org, DNS:*.b.org, IP Address:10.0.0.1\n\
    Algorithm: EC256\nSHA1 FingerPrint: FD4FF99233FAE135368DA4C60835B56983958134\nSubject: /C=XX/CN=c.org\n\
    Issuer: /CN=ca\nChain Subject: /CN=ca\nChain Issuer: /CN=root\nOCSP Response Key: \n\n";
const LIMIT: usize = 15_000;

fn loaded(fingerprint: Fingerprint, chain: Option<usize>) -> ShownCertificate {
    ShownCertificate::Loaded { fingerprint, chain, names: std::collections::BTreeSet::new() }
}

#[test]
fn what_haproxy_shows_is_read() {
    let ShownCertificate::Loaded { fingerprint, chain, names } = parse(SHOWN).unwrap() else { panic!() };
    assert_eq!(fingerprint.to_string(), "FD4FF99233FAE135368DA4C60835B56983958134");
    assert_eq!(chain, Some(1));
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["*.b.org", "a.example.org", "c.org"]);
    let missing = "Can't display the certificate: Not found or the certificate is a bundle!\n";
    assert_eq!(parse(missing), Ok(ShownCertificate::Missing));
    assert_eq!(parse("Filename: /a\nStatus: Empty\nOCSP Response Key: \n"), Ok(ShownCertificate::Empty));
    assert!(parse("Permission denied\n").is_err());
    assert_eq!(open_transaction("# transaction\n*/a.pem\n# filename\n/a.pem\n"), Ok(Some("/a.pem")));
    assert_eq!(open_transaction("# filename\n/a.pem\n"), Ok(None));
    assert_eq!(open_transaction("\n"), Ok(None));
    assert!(open_transaction("Permission denied\n").is_err());
}

#[test]
fn the_fingerprint_is_the_sha1_of_the_first_certificate() {
    // printf leaf | sha1sum
    assert_eq!(pem("bGVhZg==", 2).fingerprint().to_string(), "98798241748EFACCB230386437B7873A478F5BD4");
    assert_eq!(pem("bGVhZg==", 2).chain(), 2);
}

#[test]
fn only_a_certificate_that_haproxy_does_not_hold_is_sent() {
    let (at, new) = (path("/etc/a.pem"), pem("bGVhZg==", 1));
    let held = loaded(new.fingerprint(), Some(1));
    assert_eq!(plan(&at, &new, &held, LIMIT), Ok(Vec::new()));
    assert_eq!(plan(&at, &new, &loaded(new.fingerprint(), None), LIMIT), Ok(Vec::new()));
    let set = ["set ssl cert /etc/a.pem <<", "commit ssl cert /etc/a.pem"];
    for other in [
        loaded(pem("b2xk", 1).fingerprint(), Some(1)),
        loaded(new.fingerprint(), Some(0)),
        ShownCertificate::Empty,
    ] {
        assert_eq!(lines(&plan(&at, &new, &other, LIMIT).unwrap()), set);
        assert_eq!(lines(&undo(&at, &other)), ["abort ssl cert /etc/a.pem"]);
    }
    let missing = ShownCertificate::Missing;
    assert_eq!(
        lines(&plan(&at, &new, &missing, LIMIT).unwrap()),
        ["new ssl cert /etc/a.pem", set[0], set[1]]
    );
    assert_eq!(lines(&undo(&at, &missing)), ["abort ssl cert /etc/a.pem", "del ssl cert /etc/a.pem"]);
}

#[test]
fn a_certificate_that_does_not_fit_into_the_buffer_needs_a_reload() {
    let (at, new) = (path("/etc/a.pem"), pem("bGVhZg==", 40));
    let left = plan(&at, &new, &ShownCertificate::Missing, 1_000).unwrap_err();
    assert!(matches!(left, NeedsReload::TooLong { limit: 1_000, .. }));
}

#[test]
fn a_payload_has_blocks_alone_and_no_empty_line() {
    let text = "subject=x\nBag Attributes\n-----BEGIN CERTIFICATE-----\r\nbGVh\r\n\r\nZg==\r\n-----END CERTIFICATE-----\n\n\n\
        quit\n-----BEGIN EC PRIVATE KEY-----\nU0VD\n-----END EC PRIVATE KEY-----";
    let pem = Pem::new(text).unwrap();
    assert_eq!(
        pem.secret_text(),
        "-----BEGIN CERTIFICATE-----\nbGVh\nZg==\n-----END CERTIFICATE-----\n\
         -----BEGIN EC PRIVATE KEY-----\nU0VD\n-----END EC PRIVATE KEY-----\n"
    );
    assert_eq!(pem.fingerprint(), self::pem("bGVhZg==", 0).fingerprint());
}

#[test]
fn what_is_no_certificate_with_its_key_is_refused_without_repeating_it() {
    let certificate = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n";
    let key = |label: &str, text: &str| {
        format!("{certificate}-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    for (text, wrong) in [
        (String::new(), InvalidPem::NoCertificate),
        (certificate.to_owned(), InvalidPem::NoKey),
        (key("ENCRYPTED PRIVATE KEY", "U0VD"), InvalidPem::Encrypted),
        (key("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"), InvalidPem::Encrypted),
        (key("PRIVATE KEY", "U0VD; show info"), InvalidPem::Line(5)),
        (key("PRIVATE KEY", "U0VDU"), InvalidPem::Unreadable),
        (certificate.replace("END", "BEGIN"), InvalidPem::Line(3)),
        (format!("{certificate}-----BEGIN PRIVATE KEY-----\nU0VD\n"), InvalidPem::NoEnd),
    ] {
        let error = Pem::new(&text).unwrap_err();
        assert_eq!(error, wrong, "{text}");
        assert!(!error.to_string().contains("U0VD"));
    }
}

#[test]
fn a_key_is_in_nothing_that_can_be_printed() {
    let at = path("/etc/a.pem");
    let commands = plan(&at, &pem("bGVhZg==", 0), &ShownCertificate::Missing, LIMIT).unwrap();
    let wrapped = commands.iter().cloned().map(crate::cli::Command::Files).collect::<Vec<_>>();
    for printed in [format!("{commands:?}"), format!("{wrapped:?}"), lines(&commands).concat()] {
        assert!(!printed.contains("U0VDUkVU") && !printed.contains("bGVhZg"), "{printed}");
    }
    assert!(wrapped[1].payload().unwrap().contains("U0VDUkVU"));
    for said in ["Unknown command: 'U0VDUkVU', but maybe", "no U0VDUkVU here", "Unknown command: 'x'"] {
        let told = judge(&commands[1], said).unwrap_err();
        assert_eq!(told, "it did not take the text as a payload");
    }
}

#[test]
fn each_answer_is_told_from_a_refusal() {
    let at = path("/etc/a.pem");
    let commands = plan(&at, &pem("bGVhZg==", 0), &ShownCertificate::Missing, LIMIT).unwrap();
    let (abort, delete) = (FileCommand::AbortSslCert(at.clone()), FileCommand::DelSslCert(at.clone()));
    for (command, said) in [
        (&commands[0], "New empty certificate store '/etc/a.pem'!\n"),
        (&commands[1], "Transaction created for certificate /etc/a.pem!\n"),
        (&commands[2], "Committing /etc/a.pem.\nSuccess!\n"),
        (&abort, "Transaction aborted for certificate '/etc/a.pem'!\n"),
        (&delete, "Certificate '/etc/a.pem' deleted!\n"),
    ] {
        assert_eq!(judge(command, said), Ok(()), "{command}");
        assert!(judge(command, "").is_err() && judge(command, "Permission denied\n").is_err(), "{command}");
    }
    // 2.6 with the transaction of somebody else open.
    assert!(judge(&commands[1], "Transaction updated for certificate /etc/b.pem!\n").is_err());
    let refused = "inconsistencies between private key and certificate loaded '/etc/a.pem'.\nCan't commit /etc/a.pem!\n\n";
    assert_eq!(
        judge(&commands[2], refused).unwrap_err(),
        "inconsistencies between private key and certificate loaded '/etc/a.pem'.; Can't commit /etc/a.pem!"
    );
}
