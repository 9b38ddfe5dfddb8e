//! What only one Roster may keep, and folders that are not Roster's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use roster_testkit::{OrFail, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, on_each, send};
use crate::rig::{CAP, Ended, Rig, THREE_SLOTS, one_version, roster};

/// Runs roster by a configuration, with records in the folder `other` beside it.
fn beside(word: &str, config: &Path) -> Ended {
    let state = config.with_file_name("other");
    roster(&[word, "-c", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()])
}

/// That it was refused for the Roster of this process and configuration.
#[track_caller]
fn assert_refused(ended: &Ended, what: &str, pid: u32, config: &Path) {
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let config = config.display();
    let says =
        format!("{what} is used by another roster (process {pid}, configuration {config}); stop that one");
    assert!(ended.err.contains(&says), "{}", ended.err);
}

fn quick() -> Site {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 0s }\n";
    site.services(&[("web", &[8001])]);
    site
}

#[test]
fn a_second_roster_on_the_same_haproxy_is_refused_before_it_writes_anything() {
    let site = quick();
    let daemon = site.run();
    site.until_ready("web", &[8001]);
    site.until_written("web");
    let (worker, text) = (site.worker(), site.text());
    let first = site.path("roster.yaml");
    let written = fs::read_to_string(&first).unwrap();
    let run_dir = format!("target own: run_dir {}", site.path("run").display());
    for word in ["run", "once"] {
        assert_refused(&beside(word, &first), &run_dir, daemon.pid(), &first);
    }
    // By another path to the folder.
    symlink(site.folder(), site.path("link")).unwrap();
    let other = site.path("other.yaml");
    fs::write(&other, written.replace("run_dir: run\n", "run_dir: link/run\n")).unwrap();
    let run_dir = format!("target own: run_dir {}", site.path("link/run").display());
    assert_refused(&beside("run", &other), &run_dir, daemon.pid(), &first);
    // By another folder, with a link to the file.
    let link = site.path("link.cfg");
    symlink("haproxy.cfg", &link).unwrap();
    let linked = written.replace(&format!("config: {}", site.file.display()), "config: link.cfg");
    fs::write(&other, linked.replace("run_dir: run\n", "run_dir: run2\n")).unwrap();
    let config = format!("target own: config {}", link.display());
    assert_refused(&beside("once", &other), &config, daemon.pid(), &first);
    assert_eq!((site.worker(), site.text(), site.reloads()), (worker, text, 0));
    // A look is not refused.
    assert_eq!(site.command(&["plan"]).code, Some(0));
}

#[test]
fn what_a_killed_roster_had_is_free_for_the_next() {
    let site = quick();
    let daemon = site.run();
    site.until_ready("web", &[8001]);
    drop(daemon);
    assert!(site.worker().is_some(), "HAProxy ended too");
    let ended = beside("once", &site.path("roster.yaml"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

#[test]
fn a_configuration_that_is_read_again_keeps_the_locks_by_whatever_path_it_names_them() {
    let site = quick();
    let daemon = site.run();
    site.until_ready("web", &[8001]);
    let config = site.path("roster.yaml");
    symlink(site.folder(), site.path("link")).unwrap();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("run_dir: run\n", "run_dir: link/run\n")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration was read again");
    let run_dir = format!("target own: run_dir {}", site.path("link/run").display());
    assert_refused(&beside("run", &config), &run_dir, daemon.pid(), &config);
}

#[test]
fn a_configuration_that_wants_what_another_roster_has_is_not_taken() {
    let (site, other) = (quick(), quick());
    let (daemon, others) = (site.run(), other.run());
    site.until_ready("web", &[8001]);
    other.until_ready("web", &[8001]);
    let config = other.path("roster.yaml");
    let text = fs::read_to_string(&config).unwrap();
    let theirs = format!("run_dir: {}\n", site.path("run").display());
    fs::write(&config, text.replace("run_dir: run\n", &theirs)).unwrap();
    send(others.pid(), Signal::HUP);
    others.until_log("the configuration stays as it was");
    let says = format!("is used by another roster (process {}, configuration ", daemon.pid());
    assert!(others.log().contains(&says), "{}", others.log());
    other.services(&[("web", &[8002])]);
    other.until_ready("web", &[8002]);
}

#[test]
fn two_targets_on_one_folder_are_refused_by_whatever_path_they_name_it() {
    let site = quick();
    site.configure();
    symlink(site.folder(), site.path("link")).unwrap();
    let config = site.path("roster.yaml");
    let text = fs::read_to_string(&config).unwrap();
    let (start, rest) = text.split_once("targets:\n").unwrap();
    let (target, rest) = rest.split_once("expose:").unwrap();
    let twin = target.replace("  own:\n", "  twin:\n").replace("run_dir: run\n", "run_dir: link/run\n");
    let twin = twin.replace("haproxy.cfg", "twin.cfg");
    fs::write(&config, format!("{start}targets:\n{target}{twin}expose:{rest}")).unwrap();
    let ended = beside("once", &config);
    assert_eq!(ended.code, Some(64), "{}", ended.err);
    assert!(ended.err.contains("/link/run is that of target own too; give each its own"), "{}", ended.err);
}

#[test]
fn a_second_roster_on_the_same_socket_is_refused() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, "expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.web(&[8001]);
    let first = rig.run();
    rig.until_ready("web", &[("srv1", 8001)]);
    let socket = rig.haproxy.socket();
    let link = rig.folder().join("link.sock");
    symlink(&socket, &link).unwrap();
    let other = rig.folder().join("other.yaml");
    let text = fs::read_to_string(rig.config()).unwrap();
    fs::write(&other, text.replace(&socket.display().to_string(), &link.display().to_string())).unwrap();
    for (word, config) in [("once", rig.config()), ("run", rig.config()), ("once", other.clone())] {
        let second = beside(word, &config);
        assert_eq!(second.code, Some(1), "{}", second.err);
        let says = "is used by another roster (process ";
        let who =
            format!("{}, {} run -c {}", first.pid(), env!("CARGO_BIN_EXE_roster"), rig.config().display());
        assert!(second.err.contains(&format!("{says}{who}")), "{}", second.err);
    }
    drop(first);
    assert_eq!(beside("once", &other).code, Some(0));
}

#[test]
fn folders_that_others_can_write_to_are_refused() {
    let site = quick();
    site.configure();
    for folder in ["run", "state"] {
        let path = site.path(folder);
        fs::create_dir_all(&path).or_fail();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).or_fail();
        let before = fs::read_dir(&path).or_fail().count();
        let mut roster = site.run_again();
        assert_eq!(roster.ended(), Some(64), "{}", roster.log());
        let log = roster.log();
        assert!(
            log.contains(&format!("{} has mode 0777", path.display())) && log.contains("chmod go-w"),
            "{log}"
        );
        assert!(!site.file.exists(), "it was written all the same");
        assert_eq!(fs::read_dir(&path).or_fail().count(), before, "something was written there");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).or_fail();
    }
    let _roster = site.run_again();
    site.until_ready("web", &[8001]);
}

#[test]
fn links_in_the_run_folder_are_not_followed_and_what_is_made_there_is_for_its_owner_alone() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\n";
        site.services(&[("web", &[8001])]);
        let run = site.path("run");
        fs::create_dir(&run).or_fail();
        fs::set_permissions(&run, Permissions::from_mode(0o755)).or_fail();
        let theirs = site.path("theirs");
        fs::write(&theirs, "theirs").or_fail();
        symlink(&theirs, run.join("server-state")).or_fail();
        symlink(&theirs, run.join("haproxy.log")).or_fail();
        let roster = site.run();
        roster.until_log("haproxy.log");
        fs::remove_file(run.join("haproxy.log")).or_fail();
        site.until_ready("web", &[8001]);
        site.services(&[("web", &[8001]), ("api", &[8001])]);
        wait_until_or_fail(CAP, "a reload", || site.reloads() == 1);
        assert_eq!(fs::read_to_string(&theirs).or_fail(), "theirs");
        for name in ["haproxy.log", "server-state", "lock", "admin.sock", "master.sock"] {
            let found = fs::symlink_metadata(run.join(name)).or_fail();
            assert_eq!(found.mode() & 0o777, 0o600, "{name}");
        }
    });
}
