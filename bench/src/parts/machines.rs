//! What it takes to decide over the machines of a cloud: from their tags to plans against what HAProxy shows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster_core::fleet::{Machine, Reported, TagRules, snapshot};
use roster_core::instance::{Health, Lifecycle, Snapshot};

use super::planning::World;
use crate::Bench;
use crate::fleet::{address, service};
use crate::report::Row;
use crate::sample::Sample;

/// What a decision may take, in milliseconds.
const WITHIN: f64 = 50.0;
const REGION: &str = "us-east-2";
const PORT: &str = "8080";

/// Decides for a fleet that is all new, and again when the cloud says the same.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (services, instances) = (bench.scale.services, bench.scale.instances);
    let machines: Vec<Machine> = (0..services)
        .flat_map(|number| (0..instances).map(move |low| machine(number, low)))
        .collect::<anyhow::Result<_>>()?;
    let (mut fill, mut verify) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        let backends = (0..services).map(|number| format!("aws-{}-{PORT}-{REGION}", service(number)));
        let mut world = World::empty("aws-{service}-{port}-{region}", backends, instances)?;
        let (known, took) = decide(&mut world, machines.clone(), None, machines.len())?;
        fill.push(took);
        verify.push(decide(&mut world, machines.clone(), Some(&known), 0)?.1);
    }
    let row = |what: &str, times| {
        let times = Sample::times(times);
        let reached = times.median() <= WITHIN;
        let what = format!("{} machines of a cloud, from tags to plans: {what}", machines.len());
        Row::new(what, times).against(format!("≤ {WITHIN} ms"), reached)
    };
    Ok(vec![row("all slots to fill", fill), row("nothing to do", verify)])
}

/// One decision, and how long it took. `filled` slots are to change.
fn decide(
    world: &mut World,
    machines: Vec<Machine>,
    known: Option<&Snapshot>,
    filled: usize,
) -> anyhow::Result<(Arc<Snapshot>, Duration)> {
    let rules = TagRules::default();
    let begun = Instant::now();
    let reported = Reported { machines, ..Reported::default() };
    let answer = Arc::new(snapshot(reported, &rules, known, Timestamp::UNIX_EPOCH));
    world.hear(Arc::clone(&answer));
    let agenda = world.agenda();
    let plans = black_box(world.plan_all(&agenda));
    let took = begun.elapsed();
    anyhow::ensure!(answer.rejects.is_empty(), "{:?}", answer.rejects);
    let changed: usize = plans.values().map(|plan| plan.operations.len()).sum();
    anyhow::ensure!((changed == 0) == (filled == 0) && changed >= filled, "{changed} operations");
    world.carry_out(plans);
    Ok((answer, took))
}

/// A machine with as many tags as is usual.
fn machine(number: usize, low: usize) -> anyhow::Result<Machine> {
    let id = format!("i-{number:08x}{low:09x}");
    let name = service(number);
    let tags = [
        ("HAProxy:Service:Name", name.as_str()),
        ("HAProxy:Service:Port", PORT),
        ("Name", &id),
        ("environment", "production"),
        ("team", "web"),
        ("aws:autoscaling:groupName", &name),
    ];
    Ok(Machine {
        address: address(number, low).to_string().parse::<std::net::SocketAddr>()?.ip(),
        name: id.clone(),
        zone: Some(format!("{REGION}{}", ["a", "b", "c"].into_iter().cycle().nth(low % 3).unwrap_or("a"))),
        region: REGION.to_owned(),
        group: Some(name.clone()),
        account: Some("123456789012".into()),
        created: None,
        health: Health::Unknown,
        lifecycle: Lifecycle::InService,
        tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
        id,
    })
}
