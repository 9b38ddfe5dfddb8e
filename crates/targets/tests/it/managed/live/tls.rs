//! Certificates made for a test.

use roster_haproxy::live::Pem;
use roster_testkit::{MadeCertificate, OrFail};

pub(super) use roster_testkit::served_certificate as served;

/// A certificate and its key.
pub(super) struct Made {
    pub(super) pem: Pem,
    pub(super) der: Vec<u8>,
    pub(super) certificate: String,
    pub(super) key: String,
}

pub(super) fn made(name: &str) -> Made {
    let made = MadeCertificate::new(name);
    let pem = Pem::new(&made.pem()).or_fail();
    Made { pem, der: made.der, certificate: made.certificate, key: made.key }
}
