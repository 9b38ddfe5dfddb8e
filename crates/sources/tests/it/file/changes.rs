//! Each way in which a file can change is noticed, without a poll unless a poll is the point.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::rig::{Folder, NEVER, Running, service, source};

#[tokio::test]
async fn a_file_written_in_place_is_told_when_it_is_closed() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    folder.write("a.yaml", &service("two"));
    running.tells("two").await;
}

#[tokio::test]
async fn a_file_renamed_into_place_is_told_without_a_delay_of_ours() {
    let folder = Folder::new();
    folder.put("a.yaml", &service("s0"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("s0").await;
    let mut times = Vec::new();
    for turn in 1..=20 {
        fs::write(folder.path("new"), service(&format!("s{turn}"))).unwrap();
        let start = Instant::now();
        fs::rename(folder.path("new"), folder.path("a.yaml")).unwrap();
        running.tells(&format!("s{turn}")).await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("from rename to answer: median {:?}, slowest {:?}", times[10], times[19]);
    // A delay of ours would be in each of them; what a busy machine adds is not in the fastest.
    assert!(times[0] < Duration::from_millis(50), "{times:?}");
}

#[tokio::test]
async fn a_link_swapped_as_kubernetes_does_is_told() {
    let folder = Folder::new();
    for (version, name) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/a.yaml"), &service(name));
    }
    symlink("..1", folder.path("..data")).unwrap();
    symlink("..data/a.yaml", folder.path("a.yaml")).unwrap();
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    for (version, name) in [("..2", "two"), ("..3", "three")] {
        symlink(version, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
        running.tells(name).await;
    }
    // The folder that the link led to last is watched too.
    folder.put("..3/a.yaml", &service("four"));
    running.tells("four").await;
}

#[tokio::test]
async fn a_linked_folder_on_the_way_that_is_swapped_is_told() {
    let folder = Folder::new();
    for (version, name) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/a.yaml"), &service(name));
    }
    symlink("v1", folder.path("current")).unwrap();
    let mut running = Running::on(&folder.path("current/a.yaml"));
    running.tells("one").await;
    symlink("v2", folder.path("next")).unwrap();
    fs::rename(folder.path("next"), folder.path("current")).unwrap();
    running.tells("two").await;
}

#[tokio::test]
async fn a_folder_made_again_is_watched_again() {
    let folder = Folder::new();
    fs::create_dir(folder.path("d")).unwrap();
    folder.write("d/a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("d/a.yaml"));
    running.tells("one").await;
    fs::remove_dir_all(folder.path("d")).unwrap();
    running.loses("is not there").await;
    fs::create_dir(folder.path("d")).unwrap();
    folder.write("d/a.yaml", &service("two"));
    running.tells("two").await;
    folder.put("d/a.yaml", &service("three"));
    running.tells("three").await;
}

#[tokio::test]
async fn a_folder_renamed_away_and_replaced_is_followed() {
    let folder = Folder::new();
    for (version, name) in [("d", "one"), ("d2", "two")] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/a.yaml"), &service(name));
    }
    let mut running = Running::on(&folder.path("d/a.yaml"));
    running.tells("one").await;
    fs::rename(folder.path("d"), folder.path("d1")).unwrap();
    fs::rename(folder.path("d2"), folder.path("d")).unwrap();
    running.tells("two").await;
    folder.put("d1/a.yaml", &service("old"));
    folder.put("d/a.yaml", &service("three"));
    running.tells("three").await;
}

#[tokio::test]
async fn a_half_written_file_is_not_told_before_it_is_whole() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    // On a machine so busy that the writer seemed to pause, this says nothing and is done again.
    while !told_only_when_closed(&folder, &mut running).await {
        folder.write("a.yaml", &service("one"));
        while !running.tells_any().await.services.contains_key("one") {}
    }
}

/// Writes in steps, each of which leaves a sound file: only the open writer tells that it is not all.
async fn told_only_when_closed(folder: &Folder, running: &mut Running) -> bool {
    let start = Instant::now();
    let mut file = OpenOptions::new().write(true).truncate(true).open(folder.path("a.yaml")).unwrap();
    let mut early = 0;
    for part in ["services:\n  two:\n    - 10.0.0.1:80\n", "    - 10.0.0.2:80\n", "    - 10.0.0.3:80\n"] {
        file.write_all(part.as_bytes()).unwrap();
        early += usize::from(timeout(Duration::from_millis(50), running.events.recv()).await.is_ok());
    }
    drop(file);
    if start.elapsed() > Duration::from_millis(220) {
        return false;
    }
    assert_eq!(early, 0, "told while it was written");
    assert_eq!(running.tells("two").await.services["two"].len(), 3);
    true
}

#[tokio::test]
async fn a_writer_that_never_closes_is_heard_when_it_pauses() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    let mut open = File::create(folder.path("a.yaml")).unwrap();
    open.write_all(service("two").as_bytes()).unwrap();
    running.tells("two").await;
    drop(open);
}

#[tokio::test]
async fn a_change_that_says_the_same_is_not_told() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::on(&folder.path("a.yaml"));
    running.tells("one").await;
    folder.put("a.yaml", &service("one"));
    folder.put("a.yaml", &format!("# a remark\n{}", service("one")));
    folder.write("unrelated", &service("other"));
    folder.put("a.yaml", &service("two"));
    running.tells("two").await;
}

#[tokio::test]
async fn without_reports_the_file_is_polled() {
    let folder = Folder::new();
    folder.write("a.yaml", &service("one"));
    let mut running = Running::of(source(&folder.path("a.yaml"), "100ms").poll_only());
    running.tells("one").await;
    folder.write("a.yaml", &service("two"));
    running.tells("two").await;
    fs::remove_file(folder.path("a.yaml")).unwrap();
    running.loses("is not there").await;
    folder.put("a.yaml", &service("three"));
    running.tells("three").await;
}

#[tokio::test]
async fn a_change_that_the_system_does_not_report_is_found_by_a_poll() {
    let folder = Folder::new();
    for name in ["d", "elsewhere"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    folder.write("d/a.yaml", &service("one"));
    // Reports name the directory through which a file was written.
    fs::hard_link(folder.path("d/a.yaml"), folder.path("elsewhere/b.yaml")).unwrap();
    let mut running = Running::of(source(&folder.path("d/a.yaml"), "100ms"));
    running.tells("one").await;
    folder.write("elsewhere/b.yaml", &service("two"));
    running.tells("two").await;
}

#[tokio::test]
async fn a_folder_higher_up_that_is_replaced_is_found_by_a_poll_and_watched() {
    let folder = Folder::new();
    for (version, name) in [("up/d", "one"), ("up2/d", "two")] {
        fs::create_dir_all(folder.path(version)).unwrap();
        folder.write(&format!("{version}/a.yaml"), &service(name));
    }
    let mut running = Running::of(source(&folder.path("up/d/a.yaml"), "500ms"));
    running.tells("one").await;
    fs::rename(folder.path("up"), folder.path("up1")).unwrap();
    fs::rename(folder.path("up2"), folder.path("up")).unwrap();
    running.tells("two").await;
    folder.put("up/d/a.yaml", &service("three"));
    running.tells("three").await;
}

#[tokio::test]
async fn a_relative_path_is_watched_where_it_was_meant() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let name = folder.path().file_name().unwrap().to_owned();
    let path = std::path::Path::new(&name).join("a.yaml");
    fs::write(&path, service("one")).unwrap();
    let mut running = Running::of(source(&path, NEVER));
    running.tells("one").await;
    fs::write(&path, service("two")).unwrap();
    running.tells("two").await;
}
