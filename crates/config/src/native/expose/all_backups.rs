//! `option allbackups`, where instances of other zones become backup servers.
//!
//! Without it HAProxy sends everything to the first backup server once no other server is left (configuration manual,
//! `option allbackups`). It belongs to the backend, so it is there from the beginning.

use std::collections::BTreeSet;
use std::sync::Arc;

use roster_core::exposure::{Layout, OtherZones, Rule};
use roster_haproxy::name::TargetName;
use roster_haproxy::render::{Place, RawLine};

use crate::document::Path;
use crate::native::resolve::Resolve;
use crate::native::{File, Target};

/// The rule, or two of them where its targets do not have it said in the same way.
pub(crate) fn all_backups(cx: &mut Resolve<'_>, at: &Path, file: &File, rule: Rule) -> Vec<Rule> {
    let wanted = rule.policy.zones.as_ref().is_some_and(|zones| zones.others == OtherZones::Backup);
    let is_said = |line: &RawLine| line.as_str().split_whitespace().any(|word| word == "allbackups");
    if !wanted || rule.layout.lines.iter().any(is_said) {
        return vec![rule];
    }
    let Some(line) = cx.sound(at, RawLine::new(Place::Backend, "option allbackups")) else {
        return vec![rule];
    };
    let (by_field, by_line): (BTreeSet<_>, BTreeSet<_>) =
        rule.targets.iter().cloned().partition(|name| is_by_field(file, name, &rule.layout));
    let mut rules = Vec::new();
    if !by_line.is_empty() {
        let mut layout = Layout::clone(&rule.layout);
        layout.lines.push(line);
        rules.push(Rule { targets: by_line, layout: Arc::new(layout), ..rule.clone() });
    }
    if !by_field.is_empty() {
        let mut layout = Layout::clone(&rule.layout);
        layout.options.entry("allbackups").or_insert_with(|| "enabled".into());
        rules.push(Rule { targets: by_field, layout: Arc::new(layout), ..rule });
    }
    rules
}

/// Whether the target makes such a backend as an object of a Data Plane API, which takes fields and no lines.
fn is_by_field(file: &File, target: &TargetName, layout: &Layout) -> bool {
    let is_api = matches!(file.targets.get(target), Some(Target::Dataplane(_)));
    let has_options = !layout.options.is_empty() || !layout.options_of.is_empty();
    is_api && layout.lines.is_empty() && has_options
}
