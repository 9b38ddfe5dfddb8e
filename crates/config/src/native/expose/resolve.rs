//! From the file's rules to those of the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roster_core::exposure::{FallbackRule, Layout, Policy, Rule, Services};
use roster_core::slots::{NameScheme, SlotScheme};
use roster_haproxy::name::{SourceName, TargetName};
use roster_haproxy::render::FrontendName;

use super::{Backend, BackendRule, Claim, Expose, GuardRule, Mode};
use crate::document::Path;
use crate::native::resolve::{Resolve, item_of};
use crate::native::{File, Frontend, Target};
use crate::value::OneOrMany;

/// How long a freed slot rests where servers have cookies and the file says nothing.
const COOKIE_REST: Duration = Duration::from_secs(300);

/// The rule of a file that has none: each service to the backend of its name on every target.
pub(crate) fn everything(cx: &mut Resolve<'_>, file: &File) -> Option<Rule> {
    rule(cx, &Path::root(), file, &Expose::default())
}

/// One entry of `expose`. What is wrong is put down with its place; there is then no rule, or one to throw away.
pub(crate) fn rule(cx: &mut Resolve<'_>, at: &Path, file: &File, expose: &Expose) -> Option<Rule> {
    let services = services(cx, at, file, expose);
    let targets = targets(cx, at, file, expose.on.as_ref());
    let backend_rule = expose.backend.clone().unwrap_or_default();
    let backend = cx.parse(&at.join("backend").join("name"), backend_rule.name());
    let slots = match &expose.slots {
        Some(slots) => slots.resolve(cx, &at.join("slots")),
        None => Some(SlotScheme::default()),
    };
    let fallback = fallback(cx, at, expose, slots.as_ref());
    let layout = layout(cx, at, file, expose, &targets);
    let policy = policy(cx, at, expose);
    Some(Rule {
        services: services?,
        targets,
        backend: backend?,
        own: backend_rule.own().into(),
        claim: claim(cx, &at.join("backend"), &backend_rule, expose),
        slots: slots?,
        select: expose.select.as_ref().map(super::Select::selector).unwrap_or_default(),
        fallback,
        layout: layout?.into(),
        policy,
    })
}

fn claim(
    cx: &mut Resolve<'_>,
    at: &Path,
    backend: &BackendRule,
    expose: &Expose,
) -> roster_core::exposure::Claim {
    if backend.claim() == Claim::Named {
        let name = backend.name();
        let is_fit = expose.each.is_some() && !name.starts_with('{') && name.contains("{service}");
        if !is_fit {
            let message = "`claim: named` takes every backend of such a name for Roster's own: let `each` name the source, \
                           and let the backend's name begin with a text and have `{service}`, as in `aws-{service}`";
            cx.problem(&at.join("claim"), message);
        }
    }
    backend.claim().into()
}

fn services(cx: &mut Resolve<'_>, at: &Path, file: &File, expose: &Expose) -> Option<Services> {
    let known: Vec<&str> = file.sources.keys().map(SourceName::as_str).collect();
    match (&expose.each, &expose.service) {
        (None, None) => Some(Services::All),
        (Some(_), Some(_)) => {
            let message = "`each` and `service` are both given; `each` takes all services of a source, `service` \
                           takes some: remove one of the two";
            cx.key_problem(&at.join("service"), message);
            None
        }
        (Some(source), None) => {
            if !file.sources.contains_key(source) {
                cx.unknown(&at.join("each"), "source", source.as_str(), &known);
            }
            Some(Services::Each(source.clone()))
        }
        (None, Some(services)) => {
            for (item, service) in services.iter() {
                let source = &service.key().source;
                if !file.sources.contains_key(source) {
                    cx.unknown(&item_of(&at.join("service"), item), "source", source.as_str(), &known);
                }
            }
            Some(Services::Listed(services.values().map(|service| service.key().clone()).collect()))
        }
    }
}

fn targets(
    cx: &mut Resolve<'_>,
    at: &Path,
    file: &File,
    on: Option<&OneOrMany<TargetName>>,
) -> BTreeSet<TargetName> {
    let Some(on) = on else { return file.targets.keys().cloned().collect() };
    let known: Vec<&str> = file.targets.keys().map(TargetName::as_str).collect();
    for (item, target) in on.iter().filter(|(_, target)| !file.targets.contains_key(*target)) {
        cx.unknown(&item_of(&at.join("on"), item), "target", target.as_str(), &known);
    }
    on.values().cloned().collect()
}

fn fallback(
    cx: &mut Resolve<'_>,
    at: &Path,
    expose: &Expose,
    slots: Option<&SlotScheme>,
) -> Option<FallbackRule> {
    let fallback = expose.fallback.as_ref()?;
    let at = at.join("fallback");
    if expose.select.is_none() && !fallback.all {
        let message =
            "`fallback` takes what `select` leaves, and there is no `select`; add one, or write `all: true`";
        cx.key_problem(&at, message);
    }
    let primary = expose.backend.as_ref().map_or("{service}", BackendRule::name);
    if fallback.backend == primary {
        let message = "the fallback is the backend itself; give it another name";
        cx.problem(&at.join("backend"), message);
    }
    let backend = cx.parse(&at.join("backend"), &fallback.backend);
    let names: Option<NameScheme> = match &fallback.names {
        Some(names) => cx.parse(&at.join("names"), names),
        None => slots.map(|slots| slots.names.clone()),
    };
    Some(FallbackRule { backend: backend?, names: names?, all: fallback.all })
}

fn layout(
    cx: &mut Resolve<'_>,
    at: &Path,
    file: &File,
    expose: &Expose,
    targets: &BTreeSet<TargetName>,
) -> Option<Layout> {
    let Some(BackendRule::Full(backend)) = &expose.backend else { return Some(Layout::default()) };
    let at = at.join("backend");
    // A name that is not known has been told of.
    if targets.iter().all(|name| file.targets.get(name).is_some_and(|target| !target.has_file())) {
        for key in backend.for_managed() {
            let message = format!(
                "`{key}` is written where Roster has HAProxy's file, and this exposure reaches no such target; say it in \
                 HAProxy's own file, or let `on` name a managed or dataplane target"
            );
            cx.key_problem(&at.join(key), message);
        }
    }
    let managed = |name: &TargetName| matches!(file.targets.get(name), Some(Target::Managed(_)));
    let has_file = |name: &TargetName| file.targets.get(name).is_some_and(Target::has_file);
    if backend.bind.is_some() && targets.iter().any(has_file) && !targets.iter().any(managed) {
        let message = "`bind` is for a managed target; behind a Data Plane API write a frontend in HAProxy's file, and a \
                       `route` from it here";
        cx.key_problem(&at.join("bind"), message);
    }
    frontends(cx, &at, file, backend, targets);
    backend.layout(cx, &at, expose.server.as_ref())
}

/// Routes lead from frontends that a target has.
fn frontends(
    cx: &mut Resolve<'_>,
    at: &Path,
    file: &File,
    backend: &Backend,
    targets: &BTreeSet<TargetName>,
) {
    // Those of a Data Plane API are in HAProxy's file.
    if targets.iter().any(|name| matches!(file.targets.get(name), Some(Target::Dataplane(_)))) {
        return;
    }
    let managed = targets.iter().filter_map(|name| match file.targets.get(name) {
        Some(Target::Managed(target)) => Some(target),
        _ => None,
    });
    let known: BTreeMap<&FrontendName, &Frontend> = managed.flat_map(|target| &target.frontends).collect();
    let names: Vec<&str> = known.keys().map(|name| name.as_str()).collect();
    for (item, route) in backend.route.iter().flat_map(OneOrMany::iter) {
        let at = item_of(&at.join("route"), item).join("frontend");
        match known.get(&route.frontend) {
            Some(frontend) if frontend.mode == Some(Mode::Tcp) => {
                let message = "this frontend has `mode: tcp` and sees no requests; let it be `http`, or remove the route";
                cx.problem(&at, message);
            }
            Some(_) => {}
            None => cx.unknown(&at, "frontend", route.frontend.as_str(), &names),
        }
    }
}

fn policy(cx: &mut Resolve<'_>, at: &Path, expose: &Expose) -> Policy {
    let server = expose.server.clone().unwrap_or_default();
    let rest = if server.cookie { COOKIE_REST } else { Duration::ZERO };
    Policy {
        zones: expose.zone.as_ref().map(super::Zone::policy),
        weight: expose.weight,
        server: server.resolve(cx, &at.join("server")),
        cookie: server.cookie,
        bring_up: expose.bring_up.map(Into::into),
        probe: expose.probe.clone().unwrap_or_default().resolve(cx, &at.join("probe")),
        drain: expose.drain.unwrap_or_default().drain(),
        slow_start: expose.slow_start.map(|slow| slow.resolve(cx, &at.join("slow_start"))),
        guard: expose.guard.map(GuardRule::guards).unwrap_or_default(),
        rest: expose.cookie_rest.map_or(rest, crate::value::Duration::get),
    }
}
