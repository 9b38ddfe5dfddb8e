//! Files of data: there one bad item must not cost the others, so whoever reads them judges each value by itself and
//! names its place. `${…}` stands for itself, and a key that is there twice fails the whole file, for nobody can tell
//! which of the two is meant.

use crate::document::build::{self, NotPlain, PlainEntries};
use crate::document::faults;
use crate::document::node::{Entry, Node};
use crate::document::view::{Field, View};
use crate::problem::{Problem, Problems};

/// The text of a file of data, yet to be read.
pub struct Text<'t> {
    text: &'t str,
    /// Whether it can still be plain YAML.
    plain: bool,
}

/// A file of data that was read.
pub struct Data<'t> {
    root: Node<'t>,
}

impl<'t> Text<'t> {
    /// YAML, which JSON is too.
    pub fn new(text: &'t str) -> Self {
        Self { text, plain: true }
    }

    /// Reads it entry by entry, so that there is never more than one entry's tree: if it has `key` alone at its top, and
    /// there a mapping, whose entries are given to `each` and forgotten.
    ///
    /// If it is any other, or neither JSON nor plain YAML, or wrong, what was given counts for nothing: [`Text::parse`]
    /// then says what it is.
    pub fn entries(&mut self, key: &str, mut each: impl FnMut(Field<'_>)) -> Result<(), NotPlain> {
        let each = &mut |entry: &Entry<'_>| each(Field::new(entry));
        if build::may_be_json(self.text) {
            return build::json_entries(self.text, key, each).map_err(|_| NotPlain);
        }
        let all = PlainEntries::under(key, self.text)?.read(each);
        // What stopped it there would stop it again.
        self.plain = all.is_ok();
        if all? { Ok(()) } else { Err(NotPlain) }
    }

    /// Reads it as a whole. `file` stands in errors.
    pub fn parse(self, file: &str) -> Result<Data<'t>, Problems> {
        let plain = if self.plain { build::build_plain(self.text) } else { Err(NotPlain) };
        let built = plain.or_else(|NotPlain| build::build(self.text, None));
        let built = built.map_err(|(at, message)| Problem { file: file.to_owned(), at, message })?;
        Problems::none(faults(file, built.faults))?;
        Ok(Data { root: built.root })
    }
}

impl Data<'_> {
    /// What it says.
    pub fn root(&self) -> View<'_> {
        View::new(&self.root)
    }
}
