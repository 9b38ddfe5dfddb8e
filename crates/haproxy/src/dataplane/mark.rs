//! Whose a backend is, written where everybody can read it: in the file itself.
//!
//! The line stands directly above the section and begins with `#` in the first column, which is what makes the Data
//! Plane API keep it with that section when it sorts the file anew (measured on 2.9 and 3.2; a comment that begins with a
//! blank belongs to the section before).

use std::fmt;

use crate::name::{ServiceKey, ServiceName, SourceName};

/// That a backend is kept by Roster, all of it, and for which service.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mark {
    /// The service.
    pub service: ServiceKey,
}

const BEGIN: &str = "Kept by Roster: service ";

impl Mark {
    /// Reads a comment, with its `#`. Where a backend was made as an object the API writes it as JSON, `{"comment":"…"}`,
    /// behind the section's name.
    pub fn read(comment: &str) -> Option<Self> {
        let comment = comment.strip_prefix('#')?.trim();
        let json = comment.strip_prefix(r#"{"comment":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
        let service = json.unwrap_or(comment).strip_prefix(BEGIN)?;
        let (source, service) = service.split_once('/')?;
        let (source, service) = (SourceName::new(source).ok()?, ServiceName::new(service).ok()?);
        Some(Self { service: ServiceKey { source, service } })
    }

    /// The text of the comment, without its `#`.
    pub fn comment(&self) -> String {
        format!("{BEGIN}{}", self.service)
    }
}

/// As it stands in the file, without the line break.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "# {BEGIN}{}", self.service)
    }
}
