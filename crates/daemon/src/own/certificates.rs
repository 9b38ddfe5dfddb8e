//! The certificates that a HAProxy's frontends speak TLS with, as they stand on the disk.
//!
//! Invariants:
//! - A file that is half-written or damaged does not take the place of what was read of it before, and is told once.
//! - A file is read again only when its folder entry says that it changed.
//! - HAProxy is not pointed at a file that Roster could not read as a certificate with its key.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use roster_config::native::CertificateList;
use roster_files::{Kind, read_text};
use roster_haproxy::live::Pem;
use roster_haproxy::render::{CrtEntry, CrtList, FilePath};

use crate::clock::after;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// All certificates of a target.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    lists: Vec<CertificateList>,
    files: BTreeMap<FilePath, Known>,
    made: Vec<CrtList>,
    due: Option<Timestamp>,
}

/// A file as it was last looked at.
#[derive(Clone, Debug)]
struct Known {
    stamp: Stamp,
    pem: Option<Pem>,
    /// What is wrong with it.
    wrong: Option<String>,
}

/// What changes with every write of a file, and with every replacement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What came of a look.
#[derive(Debug)]
pub(super) struct Looked {
    pub now: Certificates,
    pub changed: bool,
    pub troubles: Vec<String>,
}

impl Certificates {
    pub(super) fn new(lists: impl Iterator<Item = CertificateList>) -> Self {
        let lists: Vec<_> = lists.collect();
        let due = (!lists.is_empty()).then_some(Timestamp::UNIX_EPOCH);
        Self { lists, due, ..Self::default() }
    }

    /// When to look again; none where there are none to look at.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Puts the next look off.
    pub(super) fn put_off(&mut self, until: Timestamp) {
        self.due = Some(until);
    }

    /// The lists for HAProxy.
    pub(super) fn crt_lists(&self) -> Vec<CrtList> {
        self.made.clone()
    }

    /// What stands in the files that the lists name.
    pub(super) fn pems(&self) -> BTreeMap<FilePath, Pem> {
        let files = self.files.iter();
        files.filter_map(|(path, known)| Some((path.clone(), known.pem.clone()?))).collect()
    }

    /// Looks at the files. It blocks.
    pub(super) fn look(mut self, now: Timestamp) -> Looked {
        let mut troubles = Vec::new();
        let (mut files, mut made) = (BTreeMap::new(), Vec::new());
        for list in &self.lists {
            let mut entries: Vec<FilePath> = Vec::new();
            for from in &list.from {
                match paths(from) {
                    Ok((found, unfit)) => {
                        entries.extend(found);
                        troubles.extend(unfit);
                    }
                    Err(error) => {
                        troubles.push(format!("{from}: {error}; check the path and who may read it"));
                        // What was there goes on: an unreadable folder is not an empty one.
                        let inside = |path: &&FilePath| Path::new(path.as_str()).starts_with(from.as_str());
                        entries.extend(self.files.keys().filter(inside).cloned());
                    }
                }
            }
            let mut named = Vec::new();
            for path in entries {
                if let Some(known) = self.file(&path, &mut troubles) {
                    if known.pem.is_some() && !named.contains(&path) {
                        named.push(path.clone());
                    }
                    files.insert(path, known);
                }
            }
            if named.is_empty() {
                let from: Vec<&str> = list.from.iter().map(FilePath::as_str).collect();
                troubles.push(format!(
                    "there is no certificate in {}; put a PEM file with chain and key there",
                    from.join(", ")
                ));
            }
            let entries = named.into_iter().map(|certificate| CrtEntry { certificate, names: Vec::new() });
            made.push(CrtList { path: list.list.clone(), entries: entries.collect() });
        }
        let differs = made != self.made || pems(&files) != pems(&self.files);
        (self.files, self.made, self.due) = (files, made, Some(after(now, EVERY)));
        Looked { now: self, changed: differs, troubles }
    }

    /// A file as it is now; as it was, where it cannot be used now.
    fn file(&self, path: &FilePath, troubles: &mut Vec<String>) -> Option<Known> {
        let before = self.files.get(path);
        let stamp = fs::metadata(path.as_str()).map(|found| Stamp::of(&found));
        if let (Ok(stamp), Some(before)) = (&stamp, before)
            && before.stamp == *stamp
        {
            troubles.extend(before.wrong.clone());
            return Some(before.clone());
        }
        let read =
            stamp.and_then(|stamp| Ok((stamp, read_text(Path::new(path.as_str()), Kind::Certificate)?)));
        let why = match read {
            Ok((stamp, text)) => match Pem::new(&text) {
                Ok(pem) => return Some(Known { stamp, pem: Some(pem), wrong: None }),
                Err(why) => {
                    let wrong = format!("{path} is no certificate: {why}");
                    troubles.push(wrong.clone());
                    let pem = before.and_then(|before| before.pem.clone());
                    return Some(Known { stamp, pem, wrong: Some(wrong) });
                }
            },
            Err(why) => why,
        };
        troubles.push(format!("{path}: {why}; check the path and who may read it"));
        before.cloned()
    }
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        Self { inode: found.ino(), size: found.size(), changed: (found.ctime(), found.ctime_nsec()) }
    }
}

fn pems(files: &BTreeMap<FilePath, Known>) -> BTreeMap<&FilePath, &Pem> {
    files.iter().filter_map(|(path, known)| Some((path, known.pem.as_ref()?))).collect()
}

/// The files that are meant, and what is said of those whose names HAProxy cannot be told.
fn paths(from: &FilePath) -> std::io::Result<(Vec<FilePath>, Vec<String>)> {
    if !fs::metadata(from.as_str())?.is_dir() {
        return Ok((vec![from.clone()], Vec::new()));
    }
    let (mut found, mut unfit) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(from.as_str())? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        match FilePath::new(&path.to_string_lossy()) {
            Ok(path) => found.push(path),
            Err(why) => unfit.push(format!("{} is left out: {why}; rename it", path.display())),
        }
    }
    found.sort();
    Ok((found, unfit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
                       -----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n";

    fn path(folder: &Path, name: &str) -> FilePath {
        FilePath::new(folder.join(name).to_str().unwrap()).unwrap()
    }

    fn named(looked: &Looked) -> Vec<String> {
        let lists = looked.now.crt_lists();
        let entries = lists.iter().flat_map(|list| &list.entries);
        entries.map(|entry| entry.certificate.as_str().rsplit('/').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_folder_is_its_pem_files_and_a_damaged_one_stays_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        fs::create_dir(&certs).unwrap();
        let list = CertificateList {
            list: path(folder.path(), "list"),
            from: vec![path(folder.path(), "first.pem"), path(folder.path(), "certs")],
        };
        for name in ["certs/b.pem", "certs/a.pem", "first.pem", "certs/.hidden.pem", "certs/readme.txt"] {
            fs::write(folder.path().join(name), PEM).unwrap();
        }
        fs::write(certs.join("half.pem"), "-----BEGIN CERTIFICATE-----\nAA").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let first = Certificates::new([list].into_iter()).look(now);
        assert_eq!(named(&first), ["first.pem", "a.pem", "b.pem"]);
        assert!(first.changed && first.troubles.len() == 1, "{:?}", first.troubles);
        assert!(first.troubles[0].contains("half.pem is no certificate"), "{:?}", first.troubles);
        let first_troubles = first.troubles.clone();
        let again = first.now.look(now);
        assert!(!again.changed && again.troubles == first_troubles, "{:?}", again.troubles);

        fs::write(certs.join("a.pem"), "-----BEGIN CERT").unwrap();
        fs::write(certs.join("half.pem"), PEM).unwrap();
        fs::remove_file(certs.join("b.pem")).unwrap();
        let other = again.now.look(now);
        assert_eq!(named(&other), ["first.pem", "a.pem", "half.pem"]);
        assert!(other.changed && other.troubles.len() == 1, "{:?}", other.troubles);

        fs::write(certs.join("a.pem"), PEM.replace("AAAA", "CCCC")).unwrap();
        assert!(other.now.look(now).changed);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        fs::create_dir(&certs).unwrap();
        fs::write(certs.join("a.pem"), PEM).unwrap();
        let list =
            CertificateList { list: path(folder.path(), "list"), from: vec![path(folder.path(), "certs")] };
        let first = Certificates::new([list].into_iter()).look(Timestamp::UNIX_EPOCH);
        fs::rename(&certs, folder.path().join("away")).unwrap();
        let gone = first.now.look(Timestamp::UNIX_EPOCH);
        assert_eq!(named(&gone), ["a.pem"]);
        assert!(!gone.changed && !gone.troubles.is_empty());
    }
}
