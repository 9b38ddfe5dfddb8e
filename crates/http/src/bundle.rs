//! A file of certificates that is trusted instead of the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use roster_files::Kind;
use thiserror::Error;

/// Where the certificates of the authorities to trust are, and which setting says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    /// A file in PEM form, or a folder of such files.
    pub path: PathBuf,
    /// The setting, such as `AWS_CA_BUNDLE`.
    pub named_by: &'static str,
}

/// Why a bundle cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BundleError {
    /// It cannot be read.
    #[error("the certificates in {path} cannot be read ({why}); correct {named_by}")]
    Unreadable {
        /// The file.
        path: String,
        /// The setting that names the file.
        named_by: &'static str,
        /// What the system says.
        why: String,
    },
    /// No certificate is in the file.
    #[error("{path} holds no certificate in PEM form; correct {named_by}")]
    Empty {
        /// The file.
        path: String,
        /// The setting that names the file.
        named_by: &'static str,
    },
}

impl Bundle {
    /// The bundle that the first of these variables names. A variable that is empty counts as not set.
    pub fn named(variables: &[&'static str], lookup: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        variables.iter().find_map(|&named_by| {
            let path = lookup(named_by).filter(|path| !path.is_empty())?;
            Some(Self { path: path.into(), named_by })
        })
    }

    /// The certificates, at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, BundleError> {
        let certificates = if self.path.is_dir() { self.of_folder()? } else { self.of_file(&self.path)? };
        if certificates.is_empty() {
            return Err(BundleError::Empty {
                path: self.path.display().to_string(),
                named_by: self.named_by,
            });
        }
        Ok(certificates)
    }

    fn of_folder(&self) -> Result<Vec<Certificate>, BundleError> {
        let mut certificates = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(|error| self.unreadable(&self.path, &error))? {
            let path = entry.map_err(|error| self.unreadable(&self.path, &error))?.path();
            // A folder of the system's has other files too.
            certificates.extend(self.of_file(&path).unwrap_or_default());
        }
        Ok(certificates)
    }

    fn of_file(&self, path: &Path) -> Result<Vec<Certificate>, BundleError> {
        let unreadable = |why: &dyn std::fmt::Display| self.unreadable(path, why);
        let text = roster_files::read(path, Kind::Authorities).map_err(|error| unreadable(&error))?;
        Certificate::from_pem_bundle(&text.bytes).map_err(|error| unreadable(&crate::causes(&error)))
    }

    fn unreadable(&self, path: &Path, why: &dyn std::fmt::Display) -> BundleError {
        let (path, why) = (path.display().to_string(), why.to_string());
        BundleError::Unreadable { path, named_by: self.named_by, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn a_bundle_is_a_file_or_a_folder_with_at_least_one_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Bundle { path, named_by: "AWS_CA_BUNDLE" }
        };
        assert_eq!(at("two.pem", &format!("{}{}", pem(), pem())).certificates().unwrap().len(), 2);
        let nothing = at("note.txt", "not a certificate").certificates().unwrap_err().to_string();
        assert!(
            nothing.contains("note.txt holds no certificate in PEM form; correct AWS_CA_BUNDLE"),
            "{nothing}"
        );
        let all = Bundle { path: folder.path().to_owned(), named_by: "x" };
        assert_eq!(all.certificates().unwrap().len(), 2);
        let missing = Bundle { path: folder.path().join("missing"), named_by: "ca_bundle" };
        let told = missing.certificates().unwrap_err().to_string();
        assert!(
            told.contains("missing cannot be read (No such file") && told.ends_with("correct ca_bundle"),
            "{told}"
        );
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_bundle() {
        let named = Bundle::named(&["A", "B", "C"], |name| match name {
            "A" => Some("".into()),
            "B" => Some("/b".into()),
            _ => Some("/c".into()),
        });
        assert_eq!(named, Some(Bundle { path: "/b".into(), named_by: "B" }));
        assert_eq!(Bundle::named(&["A"], |_| None), None);
    }
}
