//! HAProxy's file as it is written, with every HAProxy asked for its opinion.

mod faults;
mod former;
mod others;
mod refused;
mod site;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::sync::Arc;

use roster_haproxy::render::*;
use roster_targets::managed::Inherited;
use roster_targets::managed::file::*;
use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, OrFail};

use site::{Site, on_each};

#[test]
fn new_files_are_checked_and_written_once_and_nothing_else_stays_in_the_folder() {
    on_each(|site| {
        let rendered = site.rendered();
        let Written::New { changed, foreign } = site.checked(&rendered).or_fail() else {
            panic!("nothing was written")
        };
        let names: Vec<_> = changed.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["hosts.map", "paths.map", "web.crt-list", "haproxy.cfg"]);
        assert_eq!(foreign, []);
        assert!(site.record.is_unsettled());
        site.files.settle(&mut site.record).or_fail();
        assert_eq!(site.names(), ["haproxy.cfg", "hosts.map", "paths.map", "web.crt-list", "web.pem"]);
        assert_eq!(site.read("haproxy.cfg"), rendered.config);
        for name in ["haproxy.cfg", "hosts.map", "web.crt-list"] {
            assert_eq!(fs::metadata(site.path(name)).or_fail().mode() & 0o7777, 0o600, "{name}");
        }

        let written = fs::metadata(site.path("haproxy.cfg")).or_fail().ino();
        assert_eq!(site.checked(&rendered).or_fail(), Written::Same);
        assert_eq!(site.quietly(&rendered).or_fail(), Written::Same);
        assert_eq!(fs::metadata(site.path("haproxy.cfg")).or_fail().ino(), written);
        assert!(!site.record.is_unsettled());
    });
}

#[test]
fn what_only_changes_live_is_written_without_asking() {
    let mut site = Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail());
    site.checked(&site.rendered()).or_fail();
    site.files.settle(&mut site.record).or_fail();
    // Whoever asked it would fail.
    site.files.binary = site.path("no-haproxy");
    let mut document = site.document();
    site::backend(&mut document).pool.servers[0].at = "10.9.9.9:80".parse().unwrap();
    let rendered = site.render(&document);
    let written = site.quietly(&rendered).or_fail();
    assert_eq!(written, Written::New { changed: vec![site.path("haproxy.cfg")], foreign: vec![] });
    assert!(!written.changed_by_others() && !site.record.is_unsettled());
    assert!(site.read("haproxy.cfg").contains("10.9.9.9:80"));
    assert_eq!(site.names(), ["haproxy.cfg", "hosts.map", "paths.map", "web.crt-list", "web.pem"]);
}

#[test]
fn mode_and_owner_of_what_is_there_are_kept() {
    let mut site = Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail());
    site.write("haproxy.cfg", "# the operator's\n");
    site.write("hosts.map", "old.org/ web\n");
    let is_root = rustix::process::geteuid().is_root();
    for (name, mode, owner) in [("haproxy.cfg", 0o640, 4321), ("hosts.map", 0o604, 1234)] {
        if is_root {
            chown(site.path(name), Some(owner), Some(owner + 1)).or_fail();
        }
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).or_fail();
    }
    let kept = |site: &Site, name: &str| {
        let found = fs::metadata(site.path(name)).or_fail();
        (found.mode() & 0o7777, found.uid(), found.gid())
    };
    let before = ["haproxy.cfg", "hosts.map"].map(|name| kept(&site, name));
    let rendered = site.rendered();
    site.checked(&rendered).or_fail();
    assert_eq!(site.read("haproxy.cfg"), rendered.config);
    assert_eq!(["haproxy.cfg", "hosts.map"].map(|name| kept(&site, name)), before);
    // What was there is nobody else's to read either.
    assert_eq!(kept(&site, "haproxy.cfg.before-roster"), before[0]);
    assert_eq!(kept(&site, ".haproxy.cfg.former"), before[0]);
    site.files.put_back(&mut site.record).or_fail();
    assert_eq!(site.read("haproxy.cfg"), "# the operator's\n");
    assert_eq!(["haproxy.cfg", "hosts.map"].map(|name| kept(&site, name)), before);
}

#[test]
fn where_a_file_is_a_link_what_it_leads_to_is_replaced() {
    for there in [true, false] {
        let mut site = Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail());
        fs::create_dir(site.path("real")).or_fail();
        if there {
            site.write("real/site.cfg", "# the operator's\n");
        }
        symlink("real/site.cfg", site.path("second.cfg")).or_fail();
        symlink(site.path("second.cfg"), site.path("haproxy.cfg")).or_fail();
        let rendered = site.rendered();
        site.checked(&rendered).or_fail();
        assert_eq!(site.read("real/site.cfg"), rendered.config);
        assert!(fs::symlink_metadata(site.path("haproxy.cfg")).or_fail().is_symlink());
        assert_eq!(site.path("real/site.cfg.before-roster").exists(), there);
        site.files.settle(&mut site.record).or_fail();
        assert!(!site.path("real/.site.cfg.former").exists());
    }
}

#[test]
fn a_check_has_the_sockets_that_haproxy_inherits() {
    on_each(|site| {
        let mut document = site.document();
        site::frontend(&mut document).binds.push(Bind::plain(BindAddress::Inherited(70)));
        let rendered = site.render(&document);
        let refused = site.checked(&rendered);
        assert!(matches!(refused, Err(FileError::Refused { .. })), "{refused:?}");
        let socket = TcpListener::bind("127.0.0.1:0").or_fail();
        site.files.inherited = vec![Inherited { number: 70, fd: Arc::new(socket.into()) }];
        site.checked(&rendered).or_fail();
        // What was refused is of no interest any more.
        assert!(!site.path("haproxy.cfg.refused").exists());
    });
}

#[test]
fn arguments_and_variables_are_those_that_haproxy_will_have() {
    on_each(|site| {
        let mut document = site.document();
        // Cargo gives tests this variable; without it there is a time.
        document.user.global = "stats timeout \"1${CARGO_PKG_NAME}\"".to_owned();
        let rendered = site.render(&document);
        site.files.environment.passed = vec!["CARGO_PKG_NAME".into()];
        assert!(matches!(site.checked(&rendered), Err(FileError::Refused { .. })));
        site.files.environment.passed.clear();
        site.files.arguments = vec!["-C".into(), "/no/such/folder".into()];
        assert!(matches!(site.checked(&rendered), Err(FileError::Refused { .. })));
        site.files.arguments = vec!["-C".into(), "/".into()];
        site.checked(&rendered).or_fail();
        assert_eq!(haproxy_version(&site.files.binary, site.files.limit).or_fail(), site.version());
    });
}

#[test]
fn the_servers_state_is_dumped_whole_and_for_nobody_else() {
    for bin in HaproxyBin::each() {
        let haproxy =
            Haproxy::builder(&bin).config("backend b\n    server s 127.0.0.1:1\n").start().or_fail();
        let state = haproxy.cli("show servers state").or_fail();
        let path = haproxy.dir().join("servers.state");
        fs::write(&path, "1\n# older").or_fail();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).or_fail();
        dump_state(&state, &path).or_fail();
        assert_eq!(fs::read_to_string(&path).or_fail(), state);
        assert_eq!(fs::metadata(&path).or_fail().mode() & 0o7777, 0o600);

        let wrong = dump_state(&haproxy.cli("show nothing").or_fail(), &path);
        assert!(matches!(wrong, Err(FileError::NotState { .. })), "{wrong:?}");
        assert_eq!(fs::read_to_string(&path).or_fail(), state);
    }
}
