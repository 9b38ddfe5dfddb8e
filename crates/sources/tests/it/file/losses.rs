//! What a file can be instead of an answer, and how it comes back.

use std::fs;
use std::sync::Arc;

use roster_core::instance::SourceEvent;
use roster_sources::Source;

use super::rig::{Folder, NEVER, Running, service, source};

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_lost_and_then_told() {
    let folder = Folder::new();
    let mut running = Running::on(&folder.path("not/yet/a.yaml"));
    running.loses("is not there; write it, or correct `path` of this source").await;
    fs::create_dir_all(folder.path("not/yet")).unwrap();
    folder.write("not/yet/a.yaml", &service("one"));
    running.tells("one").await;
}

#[tokio::test]
async fn a_deleted_file_is_lost_and_told_when_it_is_back() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    fs::remove_file(folder.path("a.yaml")).unwrap();
    running.loses("is not there").await;
    folder.write("a.yaml", &service("one"));
    running.tells("one").await;
}

#[tokio::test]
async fn a_file_deleted_and_written_at_once_is_no_loss() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    fs::remove_file(folder.path("a.yaml")).unwrap();
    folder.write("a.yaml", &service("two"));
    running.tells("two").await;
}

#[tokio::test]
async fn a_directory_in_place_of_the_file_is_lost() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    fs::remove_file(folder.path("a.yaml")).unwrap();
    fs::create_dir(folder.path("a.yaml")).unwrap();
    running.loses("is a directory, not a file").await;
    fs::remove_dir(folder.path("a.yaml")).unwrap();
    folder.put("a.yaml", &service("two"));
    running.tells("two").await;
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_and_once() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    let wrong = "services:\n  web: [\n";
    folder.put("a.yaml", wrong);
    running.loses("a.yaml:3:1: this is not YAML").await;
    folder.put("a.yaml", wrong);
    folder.put("a.yaml", "servces: {}\n");
    running.loses("a.yaml:1:1: unknown key `servces`").await;
    folder.put("a.yaml", &service("one"));
    running.tells("one").await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_lost_with_their_place() {
    let folder = Folder::new();
    fs::write(folder.path("a.yaml"), b"services:\n  \xc3\xa9\xff: []\n").unwrap();
    Running::on(&folder.path("a.yaml")).loses("a.yaml:2:4: this is not UTF-8 text").await;
}

#[tokio::test]
async fn a_file_beyond_all_measure_is_not_read() {
    let folder = Folder::new();
    let file = fs::File::create(folder.path("a.yaml")).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    Running::on(&folder.path("a.yaml")).loses("has more than 64 MiB").await;
}

#[tokio::test]
async fn a_pipe_in_place_of_the_file_is_not_waited_for() {
    let folder = Folder::new();
    let made = std::process::Command::new("mkfifo").arg(folder.path("a.yaml")).status().unwrap();
    assert!(made.success());
    Running::on(&folder.path("a.yaml")).loses("is a pipe, not a file").await;
}

#[tokio::test]
async fn a_link_in_a_circle_is_lost() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("a.yaml", folder.path("a.yaml")).unwrap();
    Running::on(&folder.path("a.yaml")).loses("cannot be read").await;
}

#[tokio::test]
async fn a_service_that_cannot_be_read_keeps_what_was_known_also_over_a_restart() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    let known = running.tells("one").await;
    folder.put("a.yaml", "services:\n  one:\n");
    let half = running.tells("one").await;
    assert_eq!((half.services["one"].len(), half.rejects.len()), (1, 1));

    let restarted = source(&folder.path("a.yaml"), NEVER).resume(Arc::clone(&known));
    assert_eq!(Running::of(restarted).tells("one").await.services, known.services);
}

#[tokio::test]
async fn a_loss_never_takes_the_place_of_an_answer() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    // Nobody listens meanwhile; both wait in their order.
    folder.put("a.yaml", &service("two"));
    while running.events.is_empty() {
        tokio::task::yield_now().await;
    }
    fs::remove_file(folder.path("a.yaml")).unwrap();
    while running.events.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    running.tells("two").await;
    assert!(matches!(running.next().await, SourceEvent::Lost(_)));
}

#[tokio::test]
async fn one_look_gives_an_answer_or_says_why_not() {
    let folder = Folder::new();
    let mut source = source(&folder.path("a.yaml"), NEVER);
    let error = source.fetch().await.unwrap_err();
    assert!(error.message.contains("is not there"), "{error}");
    folder.write("a.yaml", &service("one"));
    assert_eq!(source.fetch().await.unwrap().services.len(), 1);
}
