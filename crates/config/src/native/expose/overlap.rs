//! Rules that could never both hold: one service twice on one backend, several services on one, two that listen at one
//! address.
//!
//! Only what the file alone shows is found here; what depends on the sources' answers is left out of the plan and
//! reported there.

use roster_core::exposure::{Rule, Services};
use roster_core::pattern::Pattern;
use roster_haproxy::name::TargetName;

use crate::document::Path;
use crate::native::resolve::Resolve;
use crate::native::{File, Target};

/// Puts down what cannot hold. `rules` has none where an entry itself is wrong.
pub(crate) fn overlaps(cx: &mut Resolve<'_>, file: &File, rules: &[Option<Rule>]) {
    for (index, rule) in rules.iter().enumerate() {
        let Some(rule) = rule else { continue };
        crowded(cx, index, rule);
        same_port(cx, file, index, rule, rules);
        let at = Path::from(["expose"]).join(index);
        let hidden = cx.hidden(&at.join("service"));
        let earlier = rules.iter().take(index).enumerate();
        let shared =
            earlier.filter_map(|(number, earlier)| Some((number, shared(earlier.as_ref()?, rule, hidden)?)));
        if let Some((number, shared)) = shared.into_iter().next() {
            let message = format!(
                "exposure {} gives {shared} that exposure {} gives already; change one of the two, or put the \
                 narrower one first",
                index + 1,
                number + 1
            );
            cx.problem(&at, message);
        }
    }
}

/// Several services whose backend has one name.
fn crowded(cx: &mut Resolve<'_>, index: usize, rule: &Rule) {
    let several = matches!(&rule.services, Services::Listed(keys) if keys.len() > 1);
    let at = Path::from(["expose"]).join(index);
    let mut check = |pattern: &Pattern, at: Path| {
        if several && !pattern.as_str().contains('{') {
            cx.problem(&at, "several services would meet in this one backend; put {service} into its name");
        }
    };
    check(&rule.backend, at.join("backend").join("name"));
    if let Some(fallback) = &rule.fallback {
        check(&fallback.backend, at.join("fallback").join("backend"));
    }
    if several && !rule.layout.binds.is_empty() {
        let message = "several services would listen at one address; give each an exposure of its own";
        cx.key_problem(&at.join("backend").join("bind"), message);
    }
}

/// An address that an earlier rule listens at, on the same target.
fn same_port(cx: &mut Resolve<'_>, file: &File, index: usize, rule: &Rule, rules: &[Option<Rule>]) {
    let at = Path::from(["expose"]).join(index).join("backend").join("bind");
    let managed = |name: &&TargetName| file.targets.get(*name).is_some_and(Target::has_file);
    for (number, earlier) in rules.iter().take(index).enumerate() {
        let Some(earlier) = earlier else { continue };
        let Some(target) = rule.targets.intersection(&earlier.targets).find(managed) else { continue };
        let mut both = rule
            .layout
            .binds
            .iter()
            .filter(|bind| earlier.layout.binds.iter().any(|other| other.at == bind.at));
        let Some(bind) = both.next() else { continue };
        let bind = if cx.hidden(&at) { "an address".to_owned() } else { format!("`{}`", bind.at) };
        let message = format!(
            "exposure {} listens at {bind} on `{target}`, as exposure {} does already; take another port, or write one \
             frontend for both in `sections`",
            index + 1,
            number + 1
        );
        cx.key_problem(&at, message);
    }
}

/// What both rules give, in words. A narrower rule before a wider one is how exceptions are made: that is none.
fn shared(earlier: &Rule, later: &Rule, hidden: bool) -> Option<String> {
    let target = later.targets.intersection(&earlier.targets).next()?;
    let services = match (&earlier.services, &later.services) {
        (_, Services::Listed(later)) => {
            let both = later.iter().find(|key| earlier.services.has(key))?;
            if hidden { "a service".to_owned() } else { format!("`{both}`") }
        }
        (Services::All, Services::All) => "every service".to_owned(),
        (Services::All, Services::Each(source)) => format!("the services of `{source}`"),
        (Services::Each(earlier), Services::Each(later)) if earlier == later => {
            format!("the services of `{later}`")
        }
        (Services::Each(_) | Services::Listed(_), _) => return None,
    };
    let later = backends(later);
    let same = backends(earlier).iter().any(|name| later.contains(name));
    same.then(|| format!("{services} the backend on `{target}`"))
}

fn backends(rule: &Rule) -> Vec<&str> {
    let fallback = rule.fallback.as_ref().map(|fallback| fallback.backend.as_str());
    std::iter::once(rule.backend.as_str()).chain(fallback).collect()
}
