//! What was there before, until the outcome of a reload is known.

use std::fs;

use roster_haproxy::render::*;
use roster_targets::managed::file::*;
use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail};

use super::site::{self, Site, path_route};

fn site() -> Site {
    Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail())
}

/// Another one for each number, in haproxy.cfg and in a map.
fn changed(site: &Site, number: usize) -> Rendered {
    let mut document = site.document();
    site::routing(&mut document).routes.push(path_route(&format!("/{number}")));
    document.user.global = format!("maxconn {number}");
    site.render(&document)
}

#[test]
fn a_refused_reload_brings_everything_back_byte_for_byte() {
    let mut site = site();
    site.write("haproxy.cfg", "# the operator's \r\n without an end");
    site.write("paths.map", "");
    let before = site.all();
    site.checked(&changed(&site, 1)).or_fail();
    assert_ne!(site.all(), before);

    let done = site.files.put_back(&mut site.record).or_fail();
    assert_eq!(done.paths.len(), 4);
    assert_eq!(done.foreign, []);
    let mut after = site.all();
    assert_eq!(after.remove("haproxy.cfg.before-roster").as_ref(), before.get("haproxy.cfg"));
    assert_eq!(after, before);
    assert!(!site.record.is_unsettled());

    // A new takeover, as if nothing had been.
    let Written::New { foreign, .. } = site.checked(&changed(&site, 1)).or_fail() else { panic!("the same") };
    assert!(foreign.iter().all(|one| one.first), "{foreign:?}");
    assert!(!site.path("haproxy.cfg.before-roster.2").exists());
}

#[test]
fn with_several_writes_before_an_outcome_the_last_good_one_comes_back() {
    let mut site = site();
    site.checked(&changed(&site, 1)).or_fail();
    site.files.settle(&mut site.record).or_fail();
    let good = site.all();
    site.checked(&changed(&site, 2)).or_fail();
    // Roster was killed here, and reads its record again.
    let record = serde_json::to_string(&site.record).unwrap();
    site.record = serde_json::from_str(&record).unwrap();
    assert!(site.record.is_unsettled());
    site.checked(&changed(&site, 3)).or_fail();
    assert_eq!(site.checked(&changed(&site, 3)).or_fail(), Written::Same);
    assert!(site.record.is_unsettled());
    site.files.put_back(&mut site.record).or_fail();
    assert_eq!(site.all(), good);
}

#[test]
fn a_file_that_nothing_names_any_more_goes_when_the_outcome_is_good() {
    let mut site = site();
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    let mut document = site.document();
    site::frontend(&mut document).routing = None;
    let without = site.render(&document);
    site.checked(&without).or_fail();
    assert!(site.path("paths.map").exists() && site.path("hosts.map").exists());
    site.files.put_back(&mut site.record).or_fail();
    assert!(site.path("paths.map").exists());

    site.checked(&without).or_fail();
    // Somebody uses this one otherwise now.
    site.write("hosts.map", "mine");
    site.files.settle(&mut site.record).or_fail();
    assert_eq!(site.names(), ["haproxy.cfg", "hosts.map", "web.crt-list", "web.pem"]);
}

#[test]
fn a_former_file_that_was_tampered_with_is_not_put_back() {
    let mut site = site();
    site.checked(&changed(&site, 1)).or_fail();
    site.files.settle(&mut site.record).or_fail();
    let good = site.read("paths.map");
    site.checked(&changed(&site, 2)).or_fail();
    fs::write(site.path(".haproxy.cfg.former"), "else").or_fail();
    let error = site.files.put_back(&mut site.record).unwrap_err();
    assert!(
        matches!(&error, FileError::FormerGone { path, .. } if *path == site.path("haproxy.cfg")),
        "{error}"
    );
    assert_eq!(site.read("haproxy.cfg"), changed(&site, 2).config);
    // What can be put back is.
    assert_eq!(site.read("paths.map"), good);
    assert!(site.record.is_unsettled());
    site.files.settle(&mut site.record).or_fail();
    assert!(!site.path(".haproxy.cfg.former").exists());
}

#[test]
fn another_path_for_the_file_leaves_the_one_before_alone() {
    let mut site = site();
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    site.files.config = site.path("other.cfg");
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    assert_eq!(site.read("other.cfg"), site.read("haproxy.cfg"));
}
