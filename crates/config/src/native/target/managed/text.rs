//! The operator's own text in HAProxy's file.

use std::fmt;
use std::path::{Path as FilesystemPath, PathBuf};

use roster_files::Kind;
use roster_haproxy::render::{Document, Ours, UserText, render};
use roster_haproxy::version::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ManagedTarget;
use crate::document::Path;
use crate::native::resolve::{Resolve, item_of};
use crate::value::OneOrMany;

/// Lines for HAProxy's file, or the file that holds them.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Piece {
    /// The lines.
    Text(TextPiece),
    /// The file that holds them.
    File(FilePiece),
}

/// Lines for HAProxy's file. There may be passwords in them, so they stand in no output.
#[derive(Clone, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
#[schemars(inline)]
pub struct TextPiece(String);

/// A file with lines for HAProxy's file.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FilePiece {
    /// The file, relative to the folder of this configuration. It is read together with this configuration.
    #[schemars(length(min = 1))]
    pub file: PathBuf,
}

impl TextPiece {
    /// The lines.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for TextPiece {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Only its size.
impl fmt::Debug for TextPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextPiece({} bytes)", self.0.len())
    }
}

impl ManagedTarget {
    /// All of it, read and held against what Roster itself writes.
    pub(super) fn user_text(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        config: &FilesystemPath,
        ours: &Ours,
    ) -> Option<UserText> {
        let mut read = |at: &Path, piece: &Piece, as_part: fn(String) -> UserText| {
            let text = piece.read(cx, at, config)?;
            check(cx, at, as_part(text.clone()), ours);
            Some(text)
        };
        let mut one = |key: &str, piece: Option<&Piece>, as_part: fn(String) -> UserText| match piece {
            Some(piece) => read(&at.join(key), piece, as_part),
            None => Some(String::new()),
        };
        let global = one("global", self.global.as_ref(), |global| UserText { global, ..UserText::default() });
        let defaults =
            one("defaults", self.defaults.as_ref(), |defaults| UserText { defaults, ..UserText::default() });
        // Each for itself: a piece that does not begin with a section would end up in the one before it.
        let pieces = self.sections.iter().flat_map(OneOrMany::iter);
        let pieces = pieces.map(|(item, piece)| {
            read(&item_of(&at.join("sections"), item), piece, |sections| UserText {
                sections,
                ..UserText::default()
            })
        });
        // Each of them is looked at, also after one that cannot be read.
        let sections: Vec<Option<String>> = pieces.collect();
        let sections: Option<Vec<String>> = sections.into_iter().collect();
        let sections = sections?;
        let sections = sections.iter().map(|piece| piece.trim_end()).filter(|piece| !piece.is_empty());
        let sections = sections.collect::<Vec<_>>().join("\n\n");
        Some(UserText { global: global?, defaults: defaults?, sections })
    }
}

impl Piece {
    fn read(&self, cx: &mut Resolve<'_>, at: &Path, config: &FilesystemPath) -> Option<String> {
        let file = match self {
            Piece::Text(text) => return Some(text.0.clone()),
            Piece::File(FilePiece { file }) => cx.absolute(file),
        };
        let at = at.join("file");
        if file == config {
            cx.problem(&at, "this is the file that Roster writes (`config`); keep your own lines in another");
            return None;
        }
        let text = roster_files::read_text(&file, Kind::Lines).map_err(|why| {
            let next = "check that the file is there and that Roster may read it";
            format!("{} cannot be read ({why}); {next}", file.display())
        });
        cx.sound(&at, text)
    }
}

/// What in a text would work against what Roster writes.
fn check(cx: &mut Resolve<'_>, at: &Path, user: UserText, ours: &Ours) {
    let (sections, crt_lists, profiles) = (Vec::new(), Vec::new(), Vec::new());
    let document = Document { user, ours: ours.clone(), sections, crt_lists, profiles, left_out: Vec::new() };
    for error in render(&document, Version::OLDEST).err().into_iter().flatten() {
        cx.sound(at, Err::<(), _>(error));
    }
}
