//! What else is wrong with a file that does not fit its schema.
//!
//! The parts that do fit are resolved as those of a sound file are, so that one reading reports everything. A part that does
//! not fit is passed over, but its name still counts: a rule that names it is no error.

use std::collections::BTreeMap;
use std::path;
use std::str::FromStr;

use roster_haproxy::name::{SourceName, TargetName};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::load::{entries, resolve};
use super::resolve::Resolve;
use super::{Expose, File, Source, Target, expose};
use crate::document::{Document, Path};
use crate::problem::{Problem, Problems};
use crate::value::ServiceRef;

/// The entries of a mapping: all their names, and those of which the rest is sound.
struct Parts<'d, K, V> {
    names: Vec<&'d str>,
    sound: BTreeMap<K, V>,
}

/// Everything that is wrong besides.
pub(super) fn rest(document: &Document, folder: &path::Path) -> Vec<Problem> {
    let sources = Parts::<SourceName, Source>::of(document, "sources");
    let targets = Parts::<TargetName, Target>::of(document, "targets");
    let rules = rules(document);
    let whole = sources.is_whole() && targets.is_whole();
    let mut file = File { sources: sources.sound, targets: targets.sound, ..File::default() };
    if let (true, Some(rules)) = (whole, rules.iter().map(|(_, rule)| rule.clone()).collect()) {
        file.expose = document.has(&Path::from(["expose"])).then_some(rules);
        return resolve(document, &file, folder).err().map(Problems::into_vec).unwrap_or_default();
    }
    let mut cx = Resolve::new(document, folder);
    entries(&mut cx, &file);
    for (at, rule) in &rules {
        match rule {
            // What a rule may say depends on the kinds of all its targets.
            Some(rule) if whole => drop(expose::rule(&mut cx, at, &file, rule)),
            _ => references(&mut cx, document, at, &sources.names, &targets.names),
        }
    }
    cx.problems
}

fn rules(document: &Document) -> Vec<(Path, Option<Expose>)> {
    let list = Path::from(["expose"]);
    let paths = document.items(&list).map(|index| list.join(index));
    paths.map(|at| (at.clone(), document.part(&at))).collect()
}

impl<K, V> Parts<'_, K, V> {
    fn is_whole(&self) -> bool {
        !self.names.is_empty() && self.names.len() == self.sound.len()
    }
}

impl<'d, K: FromStr + Ord, V: DeserializeOwned + JsonSchema> Parts<'d, K, V> {
    fn of(document: &'d Document, key: &str) -> Self {
        let names = document.keys(&Path::from([key]));
        let sound = names
            .iter()
            .filter_map(|name| Some((name.parse().ok()?, document.part(&Path::from([key, name]))?)));
        Self { sound: sound.collect(), names }
    }
}

/// Names in a rule that nothing has. Where there is no mapping of sources or targets at all, that is the one error.
fn references(cx: &mut Resolve<'_>, document: &Document, at: &Path, sources: &[&str], targets: &[&str]) {
    let mut named = |path: &Path, what: &str, name: &str, known: &[&str]| {
        if !known.is_empty() && !known.contains(&name) {
            cx.unknown(path, what, name, known);
        }
    };
    for (path, name) in document.texts(&at.join("each")) {
        named(&path, "source", name, sources);
    }
    for (path, text) in document.texts(&at.join("service")) {
        if let Ok(service) = text.parse::<ServiceRef>() {
            named(&path, "source", service.key().source.as_str(), sources);
        }
    }
    for (path, name) in document.texts(&at.join("on")) {
        named(&path, "target", name, targets);
    }
}
