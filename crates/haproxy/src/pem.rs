//! A certificate's file: the chain and the private key, as it goes to HAProxy.
//!
//! Invariants: the text holds blocks of base64 alone, without an empty line, so that nothing of it can end a payload or
//! be a command; no `Debug` and no error repeats any of it.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use sha1::{Digest, Sha1};
use thiserror::Error;

/// The SHA-1 of a certificate, by which `show ssl cert` tells it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 20]);

/// A chain of certificates, of which the first is served, and its key.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Pem {
    text: Arc<str>,
    fingerprint: Fingerprint,
    chain: usize,
}

/// Why a text is no [`Pem`]. It never repeats the text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidPem {
    /// No certificate.
    #[error("it has no CERTIFICATE block; put the certificate, its chain and its key into one file")]
    NoCertificate,
    /// No key.
    #[error("it has no PRIVATE KEY block; put the certificate, its chain and its key into one file")]
    NoKey,
    /// A key with a pass phrase, which nobody could type.
    #[error("its private key is encrypted; write it without a pass phrase")]
    Encrypted,
    /// A line within a block.
    #[error("line {0} is not base64, as a PEM block has to be; write the file anew")]
    Line(usize),
    /// A block that does not end.
    #[error("a block has no END line; write the file anew")]
    NoEnd,
    /// A block that cannot be read.
    #[error("a block cannot be read as base64; write the file anew")]
    Unreadable,
}

impl Pem {
    /// Reads a file's text. What stands outside of blocks is left out.
    pub fn new(given: &str) -> Result<Self, InvalidPem> {
        let text = blocks(given)?;
        let (mut leaf, mut certificates, mut keys) = (None, 0_usize, 0_usize);
        for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der) = block.map_err(|_| InvalidPem::Unreadable)?;
            match kind {
                SectionKind::Certificate => {
                    certificates += 1;
                    leaf.get_or_insert_with(|| Fingerprint(Sha1::digest(&der).into()));
                }
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => keys += 1,
                _ => {}
            }
        }
        let fingerprint = leaf.ok_or(InvalidPem::NoCertificate)?;
        if keys == 0 {
            return Err(InvalidPem::NoKey);
        }
        Ok(Self { text: text.into(), fingerprint, chain: certificates.saturating_sub(1) })
    }

    /// The fingerprint of the certificate that is served.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// How many certificates stand behind the first.
    pub fn chain(&self) -> usize {
        self.chain
    }

    /// Its blocks, the private key among them: for HAProxy alone.
    pub fn secret_text(&self) -> &str {
        &self.text
    }

    /// True if the text repeats one of the lines.
    pub fn is_repeated_in(&self, said: &str) -> bool {
        self.text.lines().filter(|line| !line.starts_with('-')).any(|line| said.contains(line))
    }
}

/// The blocks alone.
fn blocks(given: &str) -> Result<String, InvalidPem> {
    let mut text = String::with_capacity(given.len());
    let mut end = None;
    for (number, line) in (1..).zip(given.lines().map(str::trim)) {
        match (&end, line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))) {
            (None, None) => continue,
            (None, Some(label)) if label.contains("ENCRYPTED") => return Err(InvalidPem::Encrypted),
            (None, Some(label)) if label.chars().all(|c| c.is_ascii_uppercase() || c == ' ') => {
                end = Some(format!("-----END {label}-----"));
            }
            (Some(last), _) if line == last.as_str() => end = None,
            _ if line.is_empty() => continue,
            _ if line.starts_with("Proc-Type:") => return Err(InvalidPem::Encrypted),
            (_, None) if line.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c)) => {}
            _ => return Err(InvalidPem::Line(number)),
        }
        text.push_str(line);
        text.push('\n');
    }
    if end.is_some() { Err(InvalidPem::NoEnd) } else { Ok(text) }
}

impl Fingerprint {
    /// Reads it as HAProxy shows it, in hexadecimal digits.
    pub fn from_hex(given: &str) -> Option<Self> {
        let digits: Vec<u8> = given
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
        (digits.len() == 40).then(|| bytes.try_into().ok().map(Self))?
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}
