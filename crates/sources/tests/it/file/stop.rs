//! The source ends when it is told to, whatever it is at.

use std::sync::Arc;
use std::time::Duration;

use roster_config::native;
use roster_core::instance::SourceEvent;
use roster_sources::cloud::{Calls, Uncounted};
use roster_sources::{AnySource, Source, build};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::rig::{CAP, Folder, NEVER, Running, service, source};

async fn ends(running: &mut Running) {
    running.stop.cancel();
    timeout(CAP, &mut running.task).await.expect("it does not end").unwrap();
}

#[tokio::test]
async fn it_ends_while_all_is_told() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    ends(&mut running).await;
}

#[tokio::test]
async fn it_ends_while_nobody_takes_its_events() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let (out, mut events) = mpsc::channel(1);
    out.send(SourceEvent::Lost(roster_core::instance::SourceError { message: "full".into() })).await.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(source(&folder.path("a.yaml"), NEVER).run(out, stop.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    timeout(CAP, task).await.expect("it does not end").unwrap();
    assert!(events.recv().await.is_some());
    assert!(events.recv().await.is_none(), "nothing was told past a full channel");
}

#[tokio::test]
async fn it_ends_when_nobody_listens_any_more() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let (out, events) = mpsc::channel(1);
    drop(events);
    let run = source(&folder.path("a.yaml"), NEVER).run(out, CancellationToken::new());
    timeout(CAP, run).await.expect("it does not end");
}

#[tokio::test]
async fn a_source_of_any_kind_is_made_of_its_configuration() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let text = serde_json::json!({ "file": { "path": folder.path("a.yaml") } });
    let config: native::Source = serde_json::from_value(text).unwrap();
    let calls: Arc<dyn Calls> = Arc::new(Uncounted);
    let mut source: AnySource = build(&"fleet".parse().unwrap(), &config, &calls);
    assert_eq!(source.fetch().await.unwrap().services.len(), 1);
    let (out, mut events) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let task = tokio::spawn(source.run(out, stop.clone()));
    assert!(matches!(timeout(CAP, events.recv()).await.unwrap(), Some(SourceEvent::Full(_))));
    stop.cancel();
    timeout(CAP, task).await.expect("it does not end").unwrap();
}
