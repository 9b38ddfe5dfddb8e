//! From a file's text to a snapshot.
//!
//! - A file that is cut off, empty or not of its form fails as a whole: nothing of it is used.
//! - In a sound file one bad instance, group or service is left out and reported with its place; the others go on.
//! - What is left out is not removed: the reject says which instances it may stand for, as far as that can be read, and a
//!   service that cannot be read keeps what was known of it.

mod file_sd;
mod instance;
mod rejects;
mod roster;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use rejects::Rejects;
use roster_config::document::Text;
use roster_config::native::FileFormat;
use roster_config::position::Position;
use roster_config::problem::{Problem, Problems};
use roster_core::instance::{Instance, Snapshot, Unread};
use roster_haproxy::address::{Endpoint, Port, parse_ip};
use roster_haproxy::name::ServiceName;

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Form {
    /// Which form it has, or that what is in it tells.
    pub format: FileFormat,
    /// In a `file_sd` file, the label that holds the service's name.
    pub service_label: String,
    /// In a `file_sd` file, the service of targets whose labels name none.
    pub service: String,
}

/// Something that is wrong, and its place.
type Wrong = (Position, String);

/// An entry that cannot be read: all that is wrong with it, and what of its instance is known all the same.
struct Broken {
    wrong: Vec<Wrong>,
    unread: Unread,
}

/// What the forms have in common while a file is read.
struct Reading<'f> {
    form: &'f Form,
    known: Option<&'f Snapshot>,
    rejects: Rejects<'f>,
}

impl Form {
    /// The form of a file of this name.
    pub fn new(path: &Path, format: FileFormat, service_label: &str) -> Self {
        let service = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { format, service_label: service_label.to_owned(), service }
    }
}

/// Makes a snapshot of a file's text. `file` stands in errors; `known` is the answer before, of which a service that
/// cannot be read keeps its part.
pub fn parse(
    file: &str,
    text: &str,
    form: &Form,
    known: Option<&Snapshot>,
    taken: Timestamp,
) -> Result<Snapshot, Problems> {
    let mut text = Text::new(text);
    let reading = || Reading { form, known, rejects: Rejects::new(file) };
    if form.format != FileFormat::FileSd {
        let mut reading = reading();
        if let Ok(services) = roster::read_each(&mut text, &mut reading) {
            return Ok(reading.finish(services, taken));
        }
    }
    let data = text.parse(file)?;
    let root = data.root();
    let mut reading = reading();
    let file_sd = match form.format {
        FileFormat::FileSd => true,
        FileFormat::Roster => false,
        FileFormat::Auto => root.items().is_some(),
    };
    let read = if file_sd { file_sd::read(root, &mut reading) } else { roster::read(root, &mut reading) };
    let services = read.map_err(|wrong| problems(file, wrong))?;
    Ok(reading.finish(services, taken))
}

impl Reading<'_> {
    fn finish(self, services: BTreeMap<ServiceName, Vec<Instance>>, taken: Timestamp) -> Snapshot {
        let services = services.into_iter().map(|(name, instances)| (name, instances.into())).collect();
        let mut snapshot =
            Snapshot { services, rejects: self.rejects.into_vec(), taken, ..Snapshot::default() };
        snapshot.condense(self.known);
        snapshot
    }
}

impl Broken {
    /// One thing is wrong with an entry whose address may be known.
    fn at(at: Position, message: String, endpoint: Option<Endpoint>) -> Self {
        let (ip, port) = (endpoint.map(|known| known.ip), endpoint.map(|known| known.port));
        Self { wrong: vec![(at, message)], unread: Unread { ip, port, ..Unread::default() } }
    }
}

/// What a text that is no address with a port says of one.
fn partly(text: &str) -> (Option<IpAddr>, Option<Port>) {
    // Without brackets it is not clear whether the end of an IPv6 address is its port.
    let is_ambiguous = text.matches(':').count() > 1 && !text.starts_with('[');
    match text.rsplit_once(':') {
        _ if is_ambiguous => (None, None),
        Some((ip, port)) if !text.ends_with(']') => (parse_ip(ip).ok(), port.parse().ok()),
        _ => (parse_ip(text).ok(), None),
    }
}

/// What is wrong with a file as a whole; never empty.
fn problems(file: &str, wrong: Vec<Wrong>) -> Problems {
    let problem = |(at, message)| Problem { file: file.to_owned(), at, message };
    let found = wrong.into_iter().map(problem).collect();
    let unnamed = || problem((Position { line: 1, column: 1 }, "the file cannot be read".to_owned())).into();
    Problems::none(found).err().unwrap_or_else(unnamed)
}

/// A key as a message may show it.
fn short(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
