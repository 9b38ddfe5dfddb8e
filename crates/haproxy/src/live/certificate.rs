//! Certificates: `show ssl cert` beside the file's text (management manual 9.3, `show ssl cert`, `set ssl cert`).
//!
//! HAProxy tells a certificate by its SHA-1. A chain that changed behind the same certificate is noticed only by its
//! length.

use std::collections::{BTreeMap, BTreeSet};

use super::{NeedsReload, Unread};
use crate::cli::command::FileCommand;
use crate::pem::{Fingerprint, Pem};
use crate::render::FilePath;

/// What HAProxy holds under a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShownCertificate {
    /// Nothing.
    Missing,
    /// Room for a certificate.
    Empty,
    /// A certificate.
    Loaded {
        /// Which.
        fingerprint: Fingerprint,
        /// How many stand behind it; none if HAProxy has them from another file.
        chain: Option<usize>,
        /// The names in it, in lower case.
        names: BTreeSet<String>,
    },
}

/// What HAProxy holds of the certificates that lists name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Held {
    /// By path.
    pub shown: BTreeMap<FilePath, ShownCertificate>,
    /// Those that were just replaced, in that order. HAProxy looks for a name in them last from then on, but shows their
    /// lines where they were (measured on 2.6).
    pub replaced: Vec<FilePath>,
}

/// Reads the answer to `show ssl cert PATH`.
pub fn parse(text: &str) -> Result<ShownCertificate, Unread> {
    if text.trim().starts_with("Can't display the certificate: Not found") {
        return Ok(ShownCertificate::Missing);
    }
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    if value("Filename").is_none() {
        return Err(Unread::other(text));
    }
    if value("Status").is_some_and(|status| status.trim() == "Empty") {
        return Ok(ShownCertificate::Empty);
    }
    let fingerprint = value("SHA1 FingerPrint").and_then(|hex| Fingerprint::from_hex(hex.trim()));
    let fingerprint = fingerprint.ok_or_else(|| Unread::other(text))?;
    let behind = || text.lines().filter(|line| line.starts_with("Chain Subject: ")).count();
    let chain = value("Chain Filename").is_none().then(behind);
    let alternatives = value("Subject Alternative Name").unwrap_or_default().split(", ");
    let common = value("Subject").unwrap_or_default().split('/').filter_map(|part| part.strip_prefix("CN="));
    let names = alternatives.filter_map(|name| name.strip_prefix("DNS:")).chain(common);
    let names = names.map(|name| name.trim().to_ascii_lowercase()).collect();
    Ok(ShownCertificate::Loaded { fingerprint, chain, names })
}

/// The certificate of the open transaction, from the answer to `show ssl cert`. HAProxy has one at a time.
pub fn open_transaction(text: &str) -> Result<Option<&str>, Unread> {
    if !text.lines().any(|line| line.trim() == "# filename") {
        // One that has no certificate at all says nothing.
        return if text.trim().is_empty() { Ok(None) } else { Err(Unread::other(text)) };
    }
    Ok(text.lines().find_map(|line| line.trim().strip_prefix('*')))
}

/// What makes HAProxy hold this certificate; no command if it does. `limit` is what the socket takes, in bytes.
pub fn plan(
    certificate: &FilePath,
    pem: &Pem,
    shown: &ShownCertificate,
    limit: usize,
) -> Result<Vec<FileCommand>, NeedsReload> {
    if shown.is(pem) {
        return Ok(Vec::new());
    }
    let set = FileCommand::SetSslCert { certificate: certificate.clone(), pem: pem.clone() };
    // Behind the line and behind the text there is a line break each.
    let bytes = set.to_string().len() + pem.secret_text().len() + 2;
    if bytes > limit {
        return Err(NeedsReload::TooLong { certificate: certificate.clone(), bytes, limit });
    }
    let new =
        matches!(shown, ShownCertificate::Missing).then(|| FileCommand::NewSslCert(certificate.clone()));
    let commit = FileCommand::CommitSslCert(certificate.clone());
    Ok(new.into_iter().chain([set, commit]).collect())
}

/// What puts things back after HAProxy refused one of those commands.
pub fn undo(certificate: &FilePath, before: &ShownCertificate) -> Vec<FileCommand> {
    let abort = FileCommand::AbortSslCert(certificate.clone());
    let delete =
        matches!(before, ShownCertificate::Missing).then(|| FileCommand::DelSslCert(certificate.clone()));
    std::iter::once(abort).chain(delete).collect()
}

impl ShownCertificate {
    /// True if HAProxy holds this one.
    pub fn is(&self, pem: &Pem) -> bool {
        match self {
            Self::Loaded { fingerprint, chain, .. } => {
                *fingerprint == pem.fingerprint() && chain.is_none_or(|chain| chain == pem.chain())
            }
            Self::Missing | Self::Empty => false,
        }
    }

    /// True if there is a certificate, so that a list can name it.
    pub fn is_loaded(&self) -> bool {
        matches!(self, Self::Loaded { .. })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Loaded { names, .. } => Some(names),
            Self::Missing | Self::Empty => None,
        };
        names.into_iter().flatten().map(String::as_str)
    }
}
