use std::collections::VecDeque;

use roster_core::instance::{Health, Lifecycle, SourceEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::poll::{Poller, Schedule};
use crate::source::Source;

/// Says these, one after the other, and then waits for good.
struct Scripted(VecDeque<Result<Listed, Failure>>);

impl Machines for Scripted {
    type Found = Vec<Machine>;

    async fn list(&mut self, _known: Option<&Snapshot>) -> Result<Listed, Failure> {
        match self.0.pop_front() {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

fn machine(id: &str, service: &str) -> Machine {
    let tags = [("HAProxy:Service:Name", service), ("HAProxy:Service:Port", "8080")];
    Machine {
        id: id.to_owned(),
        name: id.to_owned(),
        address: "10.0.0.1".parse().unwrap(),
        zone: None,
        region: "us-east-2".to_owned(),
        group: None,
        account: None,
        created: None,
        health: Health::Unknown,
        lifecycle: Lifecycle::InService,
        tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands beside failures")]
fn listed(machines: &[(&str, &str)], unknown: &[&str]) -> Result<Listed, Failure> {
    let machines = machines.iter().map(|(id, service)| machine(id, service)).collect();
    let unknown = unknown.iter().map(|id| (*id).to_owned()).collect();
    Ok(Listed { reported: Reported { machines, unknown, ..Reported::default() }, warnings: Vec::new() })
}

fn poller(said: impl IntoIterator<Item = Result<Listed, Failure>>) -> Poller<Fleet<Scripted>> {
    let scripted = Scripted(said.into_iter().collect());
    let fleet = Fleet::new("fleet".parse().unwrap(), None, scripted, TagRules::default());
    let none = Duration::ZERO;
    Poller::new(fleet, Schedule { every: none, jitter: none, first: none, longest: none })
}

/// Each service and its instances.
fn told(snapshot: &Snapshot) -> String {
    let services = snapshot.services.iter().map(|(key, members)| {
        let ids: Vec<&str> = members.iter().map(|one| one.id.as_str()).collect();
        format!("{key}={}", ids.join(","))
    });
    services.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_service_whose_machines_are_gone_is_told_as_empty_also_after_a_restart() {
    let mut first = poller([listed(&[("i-1", "web"), ("i-2", "api")], &[]), listed(&[("i-2", "api")], &[])]);
    let all = first.fetch().await.unwrap();
    assert_eq!(told(&all), "api/8080/us-east-2=i-2 web/8080/us-east-2=i-1");
    assert_eq!(told(&first.fetch().await.unwrap()), "api/8080/us-east-2=i-2 web/8080/us-east-2=");
    let mut restarted = poller([listed(&[], &[])]).resume(all);
    let after = restarted.fetch().await.unwrap();
    assert_eq!(told(&after), "api/8080/us-east-2= web/8080/us-east-2=");
    assert_eq!(after.definitions.len(), 2);
}

#[tokio::test]
async fn a_failure_is_told_and_takes_nobody_away() {
    let said = [
        listed(&[("i-1", "web")], &[]),
        Err(Failure::new("throttled")),
        listed(&[("i-1", "web")], &[]),
        listed(&[], &["i-1"]),
        listed(&[], &[]),
    ];
    let (out, mut events) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let poller = poller(said);
    let waker = poller.waker();
    let running = tokio::spawn(poller.run(out, stop.clone()));
    let mut story = Vec::new();
    while story.len() < 5 {
        waker.wake();
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv()).await.unwrap().unwrap();
        story.push(match event {
            SourceEvent::Full(snapshot) => told(&snapshot),
            SourceEvent::Lost(error) => error.to_string(),
        });
    }
    // One of whom nothing was learned is as before.
    let one = "web/8080/us-east-2=i-1";
    assert_eq!(story, [one, "throttled", one, one, "web/8080/us-east-2="]);
    stop.cancel();
    running.await.unwrap();
}

#[test]
fn a_warning_is_news_when_it_comes_and_again_once_it_was_gone() {
    let mut fleet = Fleet::new("fleet".parse().unwrap(), None, (), TagRules::default());
    for warnings in [&["a", "b"][..], &["b"], &[], &["b", "b"]] {
        fleet.warn(warnings.iter().map(|warning| (*warning).to_owned()).collect());
        let kept: BTreeSet<String> = warnings.iter().map(|warning| (*warning).to_owned()).collect();
        assert_eq!(fleet.warned, kept);
    }
}
