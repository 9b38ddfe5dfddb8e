mod documents;
mod hostile;
mod names;
mod profile;
mod structure;
mod text;

use crate::render::{Document, Rendered, render};
use crate::version::Version;

const FOLDER: &str = "/var/lib/roster";
const V2_6: Version = Version::new(2, 6, 12);
const V3_0: Version = Version::new(3, 0, 11);
const V3_2: Version = Version::new(3, 2, 0);

fn rendered(document: &Document) -> Rendered {
    render(document, V3_0).unwrap()
}

fn named(name: &str) -> Document {
    documents::all(FOLDER).into_iter().find(|(known, _)| *known == name).unwrap().1
}
