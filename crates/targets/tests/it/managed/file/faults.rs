//! Disks, folders and binaries that do not do what they should.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use roster_targets::managed::file::*;
use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail};

use super::site::Site;

fn site() -> Site {
    Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail())
}

/// Fails, and changes nothing.
fn fails(site: &mut Site) -> FileError {
    let (before, record, rendered) = (site.all(), site.record.clone(), site.rendered());
    let error = site.checked(&rendered).unwrap_err();
    assert_eq!(site.all(), before, "{error}");
    assert_eq!(site.record, record, "{error}");
    error
}

/// Written by another process: while this one has it open for writing, a thread that starts a program would hand that
/// on for a moment, and the kernel would not run it.
fn script(site: &Site, text: &str) -> std::path::PathBuf {
    let path = site.path("script");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#]).arg(&path).arg(text);
    assert!(shell.status().or_fail().success());
    path
}

#[test]
fn a_check_that_hangs_is_ended() {
    let mut site = site();
    site.files.binary = script(&site, "sleep 1000");
    site.files.limit = Duration::from_millis(300);
    let start = Instant::now();
    let error = fails(&mut site);
    assert!(matches!(error, FileError::TimedOut { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(60));
    let error = haproxy_version(&site.files.binary, site.files.limit).unwrap_err();
    assert!(matches!(error, FileError::TimedOut { .. }), "{error}");
}

#[test]
fn a_binary_that_is_not_there_or_does_not_run_or_crashes_is_told_as_such() {
    let mut site = site();
    site.files.binary = site.path("no-haproxy");
    assert!(matches!(fails(&mut site), FileError::BinaryMissing(_)));
    site.files.binary = site.path("web.pem");
    assert!(matches!(fails(&mut site), FileError::CannotRun { .. }));
    site.files.binary = script(&site, "kill -SEGV $$");
    assert!(matches!(fails(&mut site), FileError::Crashed { .. }));
}

#[test]
fn a_binary_that_is_no_haproxy_or_an_old_one_has_no_version_for_us() {
    let site = site();
    let ask = |text: &str| haproxy_version(&script(&site, text), Duration::from_secs(20)).unwrap_err();
    let error = ask("echo nginx version: 1.2.3");
    assert!(matches!(error, FileError::NotHaproxy { .. }) && error.to_string().contains("nginx"), "{error}");
    let error = ask("echo HA-Proxy version 2.2.9-2+deb11u6 2023/12/28");
    assert!(matches!(error, FileError::TooOld { .. }), "{error}");
}

#[test]
fn a_folder_that_is_missing_leaves_nothing_behind_in_the_others() {
    let mut site = site();
    site.files.config = site.path("missing/haproxy.cfg");
    // The maps had been written beside their places by then.
    let error = fails(&mut site);
    assert!(error.to_string().contains("make its folder"), "{error}");
}

#[test]
fn what_is_no_ordinary_file_is_left_alone() {
    let mut site = site();
    fs::create_dir(site.path("folder")).or_fail();
    site.files.config = site.path("folder");
    let rendered = site.rendered();
    assert!(matches!(site.checked(&rendered), Err(FileError::NotAFile(_))));
    // Nor is a folder of that name taken for a file's.
    site.files.config = site.path("web.pem/haproxy.cfg");
    assert!(matches!(site.checked(&rendered), Err(FileError::Io { .. })));
    fs::remove_dir(site.path("folder")).or_fail();
    symlink("/dev/full", site.path("device")).or_fail();
    site.files.config = site.path("device");
    let error = site.checked(&rendered).unwrap_err();
    assert!(matches!(&error, FileError::NotAFile(path) if path.to_str() == Some("/dev/full")), "{error}");
    fs::remove_file(site.path("device")).or_fail();
    symlink("loop", site.path("loop")).or_fail();
    site.files.config = site.path("loop");
    assert!(site.checked(&rendered).unwrap_err().to_string().contains("follow the links"));
    fs::remove_file(site.path("loop")).or_fail();
    assert_eq!(site.names(), ["web.pem"]);
}

#[test]
fn what_a_killed_roster_left_beside_is_swept_away() {
    let mut site = site();
    let mut dead = Command::new("/bin/true").spawn().or_fail();
    let pid = dead.id();
    dead.wait().or_fail();
    site.write(&format!(".haproxy.cfg.new.{pid}"), "half");
    site.write(&format!(".haproxy.cfg.new.{}", std::process::id()), "half");
    let others = format!(".haproxy.cfg.mine.{pid}");
    site.write(&others, "whole");
    // The first process of all lives.
    site.write(".haproxy.cfg.new.1", "another Roster's");
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    let hidden: Vec<_> = site.names().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [others, ".haproxy.cfg.new.1".to_owned()]);
}

/// The kernel stops a process of its own in the middle of a file, much as a full disk would.
#[test]
fn a_file_that_does_not_fit_is_removed_and_the_one_before_stays() {
    const SMALL: &str = "ROSTER_TEST_SMALL_FILES";
    if std::env::var_os(SMALL).is_none() {
        let name = "managed::file::faults::a_file_that_does_not_fit_is_removed_and_the_one_before_stays";
        // In blocks of 512 bytes.
        let limited = r#"trap "" XFSZ; ulimit -f 32; exec "$0" "$@""#;
        let mut test = Command::new("/bin/sh");
        test.args(["-c", limited]).arg(std::env::current_exe().or_fail());
        let done = test.args(["--exact", name, "--nocapture"]).env(SMALL, "1").output().or_fail();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let mut site = site();
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    let mut document = site.document();
    document.user.global = "# a long text\n".repeat(2000);
    let (before, record, rendered) = (site.all(), site.record.clone(), site.render(&document));
    let error = site.checked(&rendered).unwrap_err();
    assert!(error.to_string().contains("ulimit -f"), "{error}");
    assert_eq!(site.all(), before);
    assert_eq!(site.record, record);
}
