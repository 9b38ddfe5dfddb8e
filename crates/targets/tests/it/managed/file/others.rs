//! Somebody else writes to HAProxy's files too.

use std::fs;

use roster_targets::managed::file::*;
use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail};

use super::site::Site;

fn site() -> Site {
    Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail())
}

fn foreign(written: &Written) -> &[Foreign] {
    let Written::New { foreign, .. } = written else { panic!("nothing was written") };
    foreign
}

#[test]
fn what_was_there_before_roster_is_kept() {
    let mut site = site();
    site.write("haproxy.cfg", "# the operator's\n");
    let written = site.checked(&site.rendered()).or_fail();
    let kept = site.path("haproxy.cfg.before-roster");
    let one = Foreign { path: site.path("haproxy.cfg"), first: true, kept: Some(kept.clone()) };
    assert_eq!(foreign(&written), [one]);
    assert!(!written.changed_by_others());
    assert_eq!(fs::read_to_string(kept).or_fail(), "# the operator's\n");
}

#[test]
fn a_change_by_somebody_else_is_told_and_kept_once() {
    let mut site = site();
    site.write("haproxy.cfg", "# the operator's\n");
    let rendered = site.rendered();
    site.checked(&rendered).or_fail();
    site.files.settle(&mut site.record).or_fail();
    for _ in 0..3 {
        site.write("haproxy.cfg", "# an edit\n");
        let written = site.quietly(&rendered).or_fail();
        assert!(written.changed_by_others());
        assert_eq!(foreign(&written)[0].kept, Some(site.path("haproxy.cfg.before-roster.2")));
        assert_eq!(site.read("haproxy.cfg"), rendered.config);
    }
    assert_eq!(site.read("haproxy.cfg.before-roster"), "# the operator's\n");
    assert_eq!(site.read("haproxy.cfg.before-roster.2"), "# an edit\n");
    assert!(!site.path("haproxy.cfg.before-roster.3").exists());
    assert_eq!(site.quietly(&rendered).or_fail(), Written::Same);
}

#[test]
fn who_writes_again_and_again_does_not_fill_the_disk() {
    let mut site = site();
    let rendered = site.rendered();
    site.checked(&rendered).or_fail();
    for edit in 1..=12 {
        site.write("paths.map", &format!("# edit {edit}\n"));
        assert!(site.quietly(&rendered).or_fail().changed_by_others());
    }
    assert_eq!(site.names().iter().filter(|name| name.contains("before-roster")).count(), 9);
    assert_eq!(site.read("paths.map.before-roster"), "# edit 1\n");
    assert_eq!(site.read("paths.map.before-roster.9"), "# edit 12\n");
}

#[test]
fn a_file_that_somebody_removed_is_written_again_and_told() {
    let mut site = site();
    let rendered = site.rendered();
    site.checked(&rendered).or_fail();
    fs::remove_file(site.path("paths.map")).or_fail();
    let written = site.quietly(&rendered).or_fail();
    assert!(written.changed_by_others());
    assert_eq!(foreign(&written), [Foreign { path: site.path("paths.map"), first: false, kept: None }]);
}

#[test]
fn an_edit_made_before_the_reload_was_refused_is_not_lost() {
    let mut site = site();
    site.write("haproxy.cfg", "# the operator's\n");
    site.checked(&site.rendered()).or_fail();
    site.write("haproxy.cfg", "# an edit\n");
    let done = site.files.put_back(&mut site.record).or_fail();
    assert_eq!(site.read("haproxy.cfg"), "# the operator's\n");
    assert_eq!(done.foreign.len(), 1);
    assert_eq!(site.read("haproxy.cfg.before-roster.2"), "# an edit\n");
}
