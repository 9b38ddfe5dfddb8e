//! Routes.

use roster_haproxy::live::NeedsReload;
use roster_testkit::{Poll, TrafficLoad, http_get, wait_until_or_fail};

use super::*;

impl Site {
    /// Which backend answers for a path.
    fn goes_to(&self, path: &str) -> String {
        let reply = http_get(self.haproxy.addr("web").or_fail(), path).or_fail();
        reply.backend.unwrap_or_else(|| panic!("{path}: {}", reply.status))
    }

    fn map(&self) -> String {
        self.haproxy.cli(&format!("show map {}", self.path("paths.map"))).or_fail()
    }
}

/// Waits until so many more requests were answered.
fn some_more(load: &TrafficLoad) {
    let before = load.totals().ok;
    wait_until_or_fail(CAP, "requests", || Poll::when(load.totals(), |now| now.ok > before + 20));
}

#[tokio::test]
async fn routes_come_move_and_go_under_load_without_a_reload() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "/stay a\n/move a\n", "first", false);
        assert_eq!(site.bring_all().await, Vec::<String>::new());
        let load = TrafficLoad::builder(site.haproxy.addr("web").or_fail()).path("/stay").start();
        some_more(&load);

        site.routes("/stay a\n/move b\n/new b\n");
        let map = site.path("paths.map");
        assert_eq!(site.bring_all().await, [format!("map {map}: 1 added, 1 changed, 0 removed")]);
        assert_eq!(
            ["/stay", "/move", "/new/x", "/"].map(|path| site.goes_to(path)),
            ["a", "b", "b", "other"]
        );

        site.routes("/stay a\n/stay/deep b\n");
        site.bring_all().await;
        assert_eq!(
            ["/stay", "/move", "/new/x", "/stay/deep"].map(|path| site.goes_to(path)),
            ["a", "other", "other", "b"]
        );
        some_more(&load);
        let totals = load.stop();
        assert_eq!((totals.failed(), totals.from_backend("a")), (0, totals.ok), "{totals:?}");
        assert_eq!(site.backends.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn thousands_of_routes_are_swapped_at_once_under_load() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "/stay a\n", "first", false);
        let load = TrafficLoad::builder(site.haproxy.addr("web").or_fail()).path("/stay").start();
        for to in ["a", "b"] {
            let routes: Vec<_> = (0..5_000).map(|n| format!("/{n}/ {to}\n")).collect();
            site.routes(&format!("/stay a\n{}", routes.concat()));
            let changed = site.bring_all().await;
            assert_eq!(
                changed,
                [format!("map {}: replaced by 5001 entries at once", site.path("paths.map"))]
            );
            assert_eq!(["/4999/", "/0/x", "/stay"].map(|path| site.goes_to(path)), [to, to, "a"]);
        }
        site.routes("/stay a\n");
        site.bring_all().await;
        assert_eq!(site.map().trim().lines().count(), 1);
        some_more(&load);
        let totals = load.stop();
        assert_eq!((totals.failed(), totals.from_backend("a")), (0, totals.ok), "{totals:?}");
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_put_into_a_map_is_cleaned() {
    on_each(async |bin| {
        let site = Site::start(bin, "/x a\n/y b\n", "first", false);
        let map = site.path("paths.map");
        for smuggled in [
            format!("add map {map} /x b"),
            format!("add map {map} /x a"),
            format!(r"add map {map} /x\ y b"),
            format!(r"add map {map} a\;b c;add map {map} b\\c d\ e"),
            format!("add map {map} #0x1 b"),
            format!("set map {map} /y other"),
        ] {
            assert_eq!(site.haproxy.cli(&smuggled).or_fail().trim(), "", "{smuggled}");
        }
        assert_eq!(site.map().trim().lines().count(), 8, "{}", site.map());
        site.bring_all().await;
        let shown = site.map();
        let mut entries: Vec<_> =
            shown.trim().lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        entries.sort_unstable();
        assert_eq!(entries, ["/x a", "/y b"]);
    })
    .await;
}

#[tokio::test]
async fn hostile_keys_and_values_reach_haproxy_in_no_command() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "/x a\n", "first", false);
        let hostile = [
            "/q;shutdown frontend web",
            "/w a;shutdown frontend web",
            "/e <<",
            "/r\\ b c",
            "#0x1 a",
            "/t a b",
            "/ü a",
        ];
        site.routes(&format!("/x b\n{}\n", hostile.join("\n")));
        let brought = site.bring().await;
        assert_eq!(site.goes_to("/x"), "b");
        assert_eq!(site.map().trim().lines().count(), 1, "{}", site.map());
        // The one with `#` is a comment.
        assert_eq!(brought.left.len(), hostile.len() - 1, "{:?}", brought.left);
        assert!(brought.left.iter().all(|left| matches!(left, NeedsReload::Line { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_haproxy_does_not_know_needs_a_reload_and_the_others_go() {
    on_each(async |bin| {
        let mut site = Site::start(bin, "/x a\n", "first", false);
        site.set("new.map", FileKind::Map, "/x a\n");
        site.set("new.list", FileKind::CrtList, &format!("{}\n", site.path("first.pem")));
        site.routes("/x b\n");
        let brought = site.bring().await;
        let unknown = ["new.list", "new.map"].map(|name| NeedsReload::Unknown(site.path(name)));
        assert_eq!((brought.left, brought.troubles), (Vec::from(unknown), Vec::new()));
        assert_eq!(site.goes_to("/x"), "b");
    })
    .await;
}
