//! Parting the operations that one write can carry out from those that keep the others from it.

use std::collections::BTreeMap;

use roster_core::plan::Operation;
use roster_haproxy::cli::ServerPath;
use roster_haproxy::dataplane::{PassContext, PassWrite, Why, Write, write as plan};

/// Operations by their places: those that go together, and those that do not go, each with why.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub good: Vec<usize>,
    pub bad: BTreeMap<usize, String>,
    /// What the good ones come to together.
    pub planned: PassWrite,
}

/// Why one write cannot carry out what is in it, if it cannot.
fn wrong(planned: &PassWrite, operations: usize) -> Option<String> {
    if let Some(Write::Reload(reload)) = &planned.write {
        let reasons: Vec<String> = reload.reasons().iter().map(ToString::to_string).collect();
        return Some(format!("only a reload brings it: {}", reasons.join("; ")));
    }
    let is_edit = |why: &Why| matches!(why, Why::Edit(_));
    let all = planned.left.len() == operations && planned.left.iter().all(|left| is_edit(&left.why));
    planned.left.first().filter(|_| all && planned.write.is_none()).map(|left| left.why.to_string())
}

/// Finds out, by halves, which servers' operations cannot be written; those of one server stay together.
pub(super) fn sift(text: &str, operations: &[Operation], context: &PassContext<'_>) -> Sifted {
    let mut servers: BTreeMap<ServerPath, Vec<usize>> = BTreeMap::new();
    for (place, operation) in operations.iter().enumerate() {
        let path = ServerPath { backend: operation.backend.clone(), server: operation.server.clone() };
        servers.entry(path).or_default().push(place);
    }
    let mut sifted = Sifted::default();
    let mut groups: Vec<Vec<Vec<usize>>> = vec![servers.into_values().collect()];
    while let Some(mut group) = groups.pop() {
        let places: Vec<usize> = group.iter().flatten().copied().collect();
        let part = pick(operations, &places);
        let planned = plan(text, &part, context);
        match wrong(&planned, part.len()) {
            None if part.len() == operations.len() => {
                let good = (0..operations.len()).collect();
                return Sifted { good, bad: BTreeMap::new(), planned };
            }
            None => sifted.good.extend(places),
            Some(why) if group.len() == 1 => {
                sifted.bad.extend(places.into_iter().map(|place| (place, why.clone())));
            }
            Some(_) => {
                let rest = group.split_off(group.len() / 2);
                groups.extend([rest, group]);
            }
        }
    }
    sifted.good.sort_unstable();
    sifted.planned = plan(text, &pick(operations, &sifted.good), context);
    sifted
}

/// The operations of these places.
pub(super) fn pick(operations: &[Operation], places: &[usize]) -> Vec<Operation> {
    places.iter().filter_map(|place| operations.get(*place).cloned()).collect()
}
