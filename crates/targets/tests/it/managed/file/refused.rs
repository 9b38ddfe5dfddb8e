//! What HAProxy does not take.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use roster_haproxy::name::BackendName;
use roster_haproxy::render::*;
use roster_targets::managed::file::*;
use roster_testkit::OrFail;

use super::site::{self, Site, on_each, path_route};

/// What is said, and where the file is kept.
fn refused(result: Result<Written, FileError>) -> (String, std::path::PathBuf, Vec<usize>) {
    let Err(FileError::Refused { text, kept, lines, .. }) = result else { panic!("{result:?}") };
    (text, kept.unwrap(), lines)
}

/// A structural change with a new route and a section that HAProxy cannot read.
fn wrong(site: &Site) -> Rendered {
    let mut document = site.document();
    site::routing(&mut document).routes.push(path_route("/two"));
    let line = RawLine::new(Place::Backend, "timeout server soon").unwrap();
    site::backend(&mut document).lines.push(line);
    site.render(&document)
}

#[test]
fn a_refused_file_leaves_all_others_as_they_are_and_is_kept_beside() {
    on_each(|site| {
        site.checked(&site.rendered()).or_fail();
        site.files.settle(&mut site.record).or_fail();
        let (before, record) = (site.all(), site.record.clone());

        let rendered = wrong(site);
        let (text, kept, lines) = refused(site.checked(&rendered));
        assert_eq!(kept, site.path("haproxy.cfg.refused"));
        assert!(text.contains(&format!("{}:{}", kept.display(), lines[0])), "{text}");
        assert!(
            text.contains("timeout server") && !text.contains(".new.") && !text.contains("Fatal"),
            "{text}"
        );
        let web = SectionKey::Backend(BackendName::new("web").unwrap());
        let sections: Vec<_> = lines.iter().map(|&line| rendered.section_at(line)).collect();
        assert_eq!(sections, [Some(&web)], "{text}");

        let mut after = site.all();
        for name in ["haproxy.cfg.refused", "paths.map.refused"] {
            assert!(after.remove(name).is_some(), "{name}");
            assert_eq!(fs::metadata(site.path(name)).or_fail().mode() & 0o7777, 0o600);
        }
        assert_eq!(after, before);
        assert_eq!(site.record, record);
    });
}

#[test]
fn a_check_of_the_kept_file_by_hand_says_the_same() {
    on_each(|site| {
        let rendered = wrong(site);
        let (text, kept, _) = refused(site.checked(&rendered));
        let by_hand = Command::new(&site.files.binary).arg("-c").arg("-f").arg(&kept).output().or_fail();
        let said = String::from_utf8_lossy(&by_hand.stderr);
        assert!(!by_hand.status.success());
        assert!(text.lines().all(|line| said.contains(line)), "{text}\nbut by hand:\n{said}");
    });
}

#[test]
fn a_certificate_that_is_missing_is_seen_before_the_list_is_replaced() {
    on_each(|site| {
        site.checked(&site.rendered()).or_fail();
        site.files.settle(&mut site.record).or_fail();
        let before = site.all();
        let mut document = site.document();
        document.crt_lists = vec![site.crt_list("missing.pem")];
        let rendered = site.render(&document);
        // The text of haproxy.cfg is the same.
        for quietly in [false, true] {
            let result = if quietly { site.quietly(&rendered) } else { site.checked(&rendered) };
            let (text, ..) = refused(result);
            assert!(text.contains("missing.pem") && !text.contains(".new."), "{text}");
            let mut after = site.all();
            assert!(after.remove("haproxy.cfg.refused").is_some());
            let list = after.remove("web.crt-list.refused");
            assert!(list.is_some_and(|list| list.contains("missing.pem")));
            assert_eq!(after, before);
        }
        // It comes later, as does a new list.
        fs::copy(site.path("web.pem"), site.path("missing.pem")).or_fail();
        site.quietly(&rendered).or_fail();
        assert!(site.read("web.crt-list").contains("missing.pem"));
        assert!(!site.path("web.crt-list.refused").exists() && !site.path("haproxy.cfg.refused").exists());
    });
}

#[test]
fn the_operators_own_mistake_belongs_to_no_section() {
    on_each(|site| {
        let mut document = site.document();
        document.user.global = "maxcon 10".to_owned();
        let rendered = site.render(&document);
        let (text, _, lines) = refused(site.checked(&rendered));
        assert!(text.contains("maxcon"), "{text}");
        assert_eq!(lines.len(), 1);
        assert_eq!(rendered.section_at(lines[0]), None);
        let names = site.names();
        assert!(!names.iter().any(|name| name == "haproxy.cfg" || name == "paths.map"), "{names:?}");
    });
}
