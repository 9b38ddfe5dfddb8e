//! Backends as haproxy-cloud-discovery leaves them, and Roster in its place.

use std::fmt::Write;
use std::time::{Duration, Instant};

use roster_testkit::OrFail;

use super::aws::{BACKEND, Cloud, MYAPP, SHARE};
use super::site::{PAIRS, Site};

/// `--once` gives up after 120 s; nothing here is waited for that long.
const SOON: Duration = Duration::from_secs(60);

/// A backend of the original's with these lines and instances; the slots up to `slots` are parked as the original parks them.
fn left_behind(lines: &str, addresses: &[String], slots: usize) -> String {
    let mut text = format!("\nbackend {BACKEND}\n  mode http\n");
    for line in lines.lines() {
        writeln!(text, "  {line}").unwrap();
    }
    for (address, n) in addresses.iter().zip(1..) {
        writeln!(text, "  server srv{n} {address} check cookie srv{n} enabled").unwrap();
    }
    for n in addresses.len() + 1..=slots {
        writeln!(text, "  server srv{n} 127.0.0.1:80 no-check disabled").unwrap();
    }
    text
}

fn line(site: &Site, server: &str) -> String {
    let section = site.section(BACKEND);
    section.into_iter().find(|line| line.starts_with(&format!("server {server} "))).unwrap_or_default()
}

fn has(line: &str, words: &str) -> bool {
    format!(" {line} ").contains(&format!(" {words} "))
}

#[test]
fn slots_that_the_original_parked_get_their_check_and_cookie_by_one_reload() {
    let cloud = Cloud::start();
    let mut ids = cloud.instances(3, &MYAPP);
    let addresses: Vec<String> = ids.iter().map(|id| cloud.at(id, 8080)).collect();
    let text = left_behind("balance roundrobin\ncookie SRVID insert indirect nocache", &addresses, 10);
    let sites = PAIRS.map(|pair| cloud.site_with(pair, &text));
    for site in &sites {
        let before = site.section(BACKEND);
        site.once_well();
        assert_eq!((site.reloads(), site.section(BACKEND)), (0, before), "nothing is wrong yet");
    }
    ids.extend(cloud.instances(1, &MYAPP));
    for site in &sites {
        let once = site.once_well();
        assert_eq!(site.active(BACKEND).get("srv4"), Some(&cloud.at(&ids[3], 8080)));
        for n in 4..=10 {
            let line = line(site, &format!("srv{n}"));
            assert!(has(&line, "check") && has(&line, &format!("cookie srv{n}")), "{line}");
            assert!(!has(&line, "no-check"), "{line}");
        }
        assert_eq!(site.haproxy.stat(BACKEND, "srv4", "cookie").or_fail().as_deref(), Some("srv4"));
        assert_eq!(site.reloads(), 1, "{once:?}");
        assert!(once.err.contains("get the check and the cookie that they lack"), "{once:?}");
    }
    cloud.instances(1, &MYAPP);
    for site in &sites {
        site.once_well();
        assert_eq!((site.active(BACKEND).len(), site.reloads()), (5, 1), "the others have theirs already");
    }
}

#[test]
fn a_weight_is_taken_back_with_the_tag_and_with_the_instance_whoever_wrote_it() {
    let cloud = Cloud::start();
    let share = [MYAPP[0], MYAPP[1], (SHARE, "20")];
    let plain = cloud.one_in("us-east-2a", &MYAPP);
    let [tagged, leaves] =
        [(); 2].map(|()| cloud.moto.instances_in("us-east-2a", 1, &share).or_fail().remove(0));
    let at = |id: &str| cloud.at(id, 8080);
    let sites = PAIRS.map(|pair| {
        // The weights that the original wrote are its own, not an operator's.
        let mut text = left_behind("balance roundrobin", &[format!("{plain}:8080")], 1);
        for (n, id) in [(2, &tagged), (3, &leaves)] {
            writeln!(text, "  server srv{n} {} check cookie srv{n} weight 80 enabled", at(id)).unwrap();
        }
        let mut site = cloud.site_with(pair, &text);
        site.edit("# availability_zone: \"us-east-1a\"", "availability_zone: \"us-east-2a\"");
        site.once_well();
        assert!(has(&line(&site, "srv2"), "weight 80"), "{}", site.text());
        site
    });
    cloud.moto.untag(&tagged, SHARE).or_fail();
    cloud.moto.terminate(&leaves).or_fail();
    for site in &sites {
        site.once_well();
        assert!(has(&line(site, "srv3"), "disabled"), "{}", site.text());
    }
    let comes = cloud.one_in("us-east-2a", &MYAPP);
    for site in &sites {
        let once = site.once_well();
        assert_eq!(site.active(BACKEND).get("srv3"), Some(&format!("{comes}:8080")), "{once:?}");
        for server in ["srv2", "srv3"] {
            let weight = site.haproxy.stat(BACKEND, server, "weight").or_fail();
            assert_eq!(weight.as_deref(), Some("1"), "{server}: {once:?}");
            assert!(!line(site, server).contains("weight"), "{}", line(site, server));
        }
        let before = site.text();
        site.once_well();
        assert_eq!(site.text(), before);
    }
}

/// Takes a backend with this algorithm over, in which one address is dead and one instance has no place yet.
fn taken_over(lines: &str, balance: &str) {
    let cloud = Cloud::start();
    let mut ids = cloud.instances(3, &MYAPP);
    let dead = "127.0.0.1:9".to_owned();
    let text = left_behind(lines, &[cloud.at(&ids[0], 8080), dead, cloud.at(&ids[1], 8080)], 4);
    let sites = PAIRS.map(|pair| {
        let mut site = cloud.site_with(pair, &text);
        site.edit("balance: \"roundrobin\"", &format!("balance: \"{balance}\""));
        site
    });
    let mut wanted: Vec<String> = ids.iter().map(|id| cloud.at(id, 8080)).collect();
    wanted.sort();
    for site in &sites {
        let started = Instant::now();
        let once = site.once_well();
        assert!(started.elapsed() < SOON, "{once:?}");
        let mut active: Vec<String> = site.active(BACKEND).into_values().collect();
        active.sort();
        assert_eq!(active, wanted, "{lines}: {once:?}");
        assert_eq!(site.rows(BACKEND).len(), 10, "the base is made: {once:?}");
        // The algorithm stays its author's.
        assert!(
            lines.lines().all(|line| site.section(BACKEND).contains(&line.to_owned())),
            "{}",
            site.text()
        );
        let (text, reloads) = (site.text(), site.reloads());
        let again = site.once_well();
        assert_eq!((site.text(), site.reloads()), (text, reloads), "{again:?}");
        assert!(!again.err.contains("WARN"), "{again:?}");
    }
    ids.extend(cloud.instances(9, &MYAPP));
    for site in &sites {
        let once = site.once_well();
        assert_eq!((site.active(BACKEND).len(), site.rows(BACKEND).len()), (12, 13), "{once:?}");
    }
    // Weights come too.
    cloud.moto.tag(&ids[0], SHARE, "20").or_fail();
    for mut site in sites {
        site.edit("# availability_zone: \"us-east-1a\"", "availability_zone: \"us-east-2a\"");
        let once = site.once_well();
        let at = cloud.at(&ids[0], 8080);
        let (server, _) = site.active(BACKEND).into_iter().find(|(_, there)| *there == at).unwrap();
        assert_eq!(
            site.haproxy.stat(BACKEND, &server, "weight").or_fail().as_deref(),
            Some("80"),
            "{once:?}"
        );
    }
}

#[test]
fn a_backend_of_static_rr_is_taken_over() {
    taken_over("balance static-rr", "static-rr");
}

#[test]
fn a_backend_that_hashes_by_a_map_is_taken_over() {
    taken_over("balance source\nhash-type map-based", "source");
    taken_over("balance uri", "uri");
}

#[test]
fn a_backend_of_another_algorithm_than_the_file_wants_now_is_taken_over_as_it_is() {
    taken_over("balance roundrobin", "leastconn");
    taken_over("balance static-rr", "roundrobin");
}

#[test]
fn slots_with_gaps_between_them_are_filled_up_to_the_base() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    let text = format!(
        "\nbackend {BACKEND}\n  mode http\n  balance roundrobin\n  server srv7 {} check cookie srv7\n  \
         server srv12 127.0.0.1:80 no-check disabled\n",
        cloud.at(&ids[0], 8080)
    );
    for pair in PAIRS {
        let site = cloud.site_with(pair, &text);
        let once = site.once_well();
        assert_eq!(site.active(BACKEND).get("srv7"), Some(&cloud.at(&ids[0], 8080)));
        assert_eq!((site.rows(BACKEND).len(), site.reloads()), (10, 1), "{once:?}");
        site.once_well();
        assert_eq!((site.rows(BACKEND).len(), site.reloads()), (10, 1));
    }
}

#[test]
fn once_does_not_wait_for_a_service_that_cannot_come() {
    let cloud = Cloud::start();
    cloud.instances(1, &MYAPP);
    for pair in PAIRS {
        let mut site = cloud.site(pair);
        site.edit(
            "  # availability_zone",
            "  backend_options: { myapp: { server_timeout: no } }\n  # availability_zone",
        );
        let started = Instant::now();
        let once = site.once();
        assert_eq!(once.code, Some(1), "{once:?}");
        assert!(started.elapsed() < SOON, "{once:?}");
        assert!(once.err.contains("left out"), "{once:?}");
        assert_eq!(site.section(BACKEND), Vec::<String>::new());
    }
}
