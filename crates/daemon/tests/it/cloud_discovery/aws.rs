//! A region of AWS, as moto answers for it: `--once`.

use std::collections::{BTreeMap, BTreeSet};

use roster_testkit::{DataplaneBuilder, DataplaneVersion, HaproxyVersion, Moto, OrFail};
use serde_json::json;

use super::gate::Gate;
use super::site::{PAIRS, Site};

pub(super) const NAME: &str = "HAProxy:Service:Name";
pub(super) const PORT: &str = "HAProxy:Service:Port";
pub(super) const OWN_PORT: &str = "HAProxy:Instance:Port";
pub(super) const SHARE: &str = "HAProxy:Instance:AZperc";
pub(super) const REGION: &str = "us-east-2";
/// The service of the original's documentation, and the backend that it makes of it.
pub(super) const MYAPP: [(&str, &str); 2] = [(NAME, "myapp"), (PORT, "8080")];
pub(super) const BACKEND: &str = "aws-myapp-8080-us-east-2";

/// A region, and what stands before it. Dropping it ends both.
pub(super) struct Cloud {
    pub(super) moto: Moto,
    pub(super) gate: Gate,
}

impl Cloud {
    pub(super) fn start() -> Self {
        let moto = Moto::start(REGION).or_fail();
        let gate = Gate::before(moto.addr());
        Self { moto, gate }
    }

    /// A HAProxy for the region, with the example for AWS.
    pub(super) fn site(&self, pair: (DataplaneVersion, HaproxyVersion)) -> Site {
        self.site_with(pair, "")
    }

    /// The same with more sections in HAProxy's file.
    pub(super) fn site_with(&self, pair: (DataplaneVersion, HaproxyVersion), sections: &str) -> Site {
        self.set(Site::start_with("aws.yaml", pair, sections))
    }

    /// Never behind the real API: for faults that only the stand-in lets in.
    pub(super) fn stand_in(&self, pair: (DataplaneVersion, HaproxyVersion)) -> Site {
        self.set(Site::start_behind("aws.yaml", pair, "", DataplaneBuilder::stand_in_only))
    }

    fn set(&self, mut site: Site) -> Site {
        let set = [
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &self.gate.url()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMISECRET"),
        ];
        site.env.extend(set.map(|(name, value)| (name, value.to_owned())));
        site
    }

    /// Starts instances; their ids in the order in which they get slots.
    pub(super) fn instances(&self, count: usize, tags: &[(&str, &str)]) -> Vec<String> {
        let mut ids = self.moto.instances(count, tags).or_fail();
        ids.sort();
        ids
    }

    /// Starts one in a zone; its address.
    pub(super) fn one_in(&self, zone: &str, tags: &[(&str, &str)]) -> String {
        let ids = self.moto.instances_in(zone, 1, tags).or_fail();
        self.address(&ids[0])
    }

    pub(super) fn address(&self, id: &str) -> String {
        self.moto.address(id).or_fail()
    }

    /// Where an instance listens.
    pub(super) fn at(&self, id: &str, port: u16) -> String {
        format!("{}:{port}", self.address(id))
    }
}

fn documented(site: &Site, addresses: &[String]) {
    let once = site.once_well();
    assert_eq!(once.out, "");
    for line in once.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["timestamp", "level", "logger", "message"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
    }
    // What the two lines of the documentation show.
    let (backends, servers) = site.by_curl(BACKEND);
    assert_eq!(backends.iter().filter(|name| *name == BACKEND).count(), 1, "{backends:?}");
    assert_eq!(servers.len(), 10);
    for (server, number) in servers.iter().zip(1_usize..) {
        let name = format!("srv{number}");
        let (address, port, maintenance) = match addresses.get(number - 1) {
            Some(address) => (address.as_str(), 8080, "disabled"),
            None => ("127.0.0.1", 80, "enabled"),
        };
        assert_eq!(server["name"], json!(name), "{server}");
        assert_eq!(server["cookie"], json!(name), "{server}");
        assert_eq!((&server["address"], &server["port"]), (&json!(address), &json!(port)), "{server}");
        let told = server["maintenance"].as_str().unwrap_or("disabled");
        assert_eq!(told, maintenance, "{server}");
        if maintenance == "disabled" {
            assert_eq!(server["check"], json!("enabled"), "{server}");
        }
    }
    // The file, and the process beside it.
    let section = site.section(BACKEND);
    assert!(section.contains(&"mode http".to_owned()), "{section:?}");
    assert!(section.contains(&"balance roundrobin".to_owned()), "{section:?}");
    let wanted: BTreeMap<String, String> = addresses
        .iter()
        .zip(1..)
        .map(|(address, n)| (format!("srv{n}"), format!("{address}:8080")))
        .collect();
    assert_eq!(site.active(BACKEND), wanted);
    let rows = site.rows(BACKEND);
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let stat = |field: &str| site.haproxy.stat(BACKEND, &row.name, field).or_fail().unwrap_or_default();
        assert_eq!(stat("cookie"), row.name, "{row:?}");
        let parked = !wanted.contains_key(&row.name);
        assert_eq!(row.in_maintenance(), parked, "{row:?}");
        if parked {
            assert_eq!(row.endpoint(), "127.0.0.1:80");
            // No check runs.
            assert_eq!(stat("status"), "MAINT");
        }
    }
    // What is somebody else's is as it was.
    assert_eq!(site.section("foreign"), ["balance roundrobin", "server own 127.0.0.1:9 weight 7"]);
    assert_eq!(site.reloads(), 1, "a new backend is a reload: {once:?}");
}

#[test]
fn once_makes_the_documented_backend_and_once_more_changes_nothing() {
    let cloud = Cloud::start();
    let ids = cloud.instances(3, &MYAPP);
    // Who is not meant: no tag, only one of both, a stopped one.
    cloud.instances(1, &[("Name", "other")]);
    cloud.instances(1, &[(PORT, "8080")]);
    let stopped = cloud.instances(1, &MYAPP);
    cloud.moto.stop(&stopped[0]).or_fail();
    let addresses: Vec<String> = ids.iter().map(|id| cloud.address(id)).collect();
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        let site = cloud.site(pair);
        documented(&site, &addresses);
        let (before, changes, reloads) = (site.state(BACKEND), site.changes(), site.reloads());
        let pid = site.haproxy.worker_pid().or_fail();
        let again = site.once_well();
        assert_eq!(site.changes(), changes, "{again:?}");
        assert_eq!((site.reloads(), site.haproxy.worker_pid().or_fail()), (reloads, pid));
        assert_eq!(site.state(BACKEND), before);
    }
}

/// The options of the documentation.
const OPTIONS: &str = "  backend_options:
    WebApp:
      cookie:
        name: \"SRVID\"
        type: \"insert\"
        indirect: true
        nocache: true
        httponly: true
    API:
      server_timeout: 60000
      connect_timeout: 5000
  # availability_zone";

#[test]
fn options_of_a_service_are_merged_into_its_backend_when_it_is_made_and_never_later() {
    let cloud = Cloud::start();
    for (name, port) in [("WebApp", "80"), ("API", "9000"), ("myapp", "8080")] {
        cloud.instances(1, &[(NAME, name), (PORT, port), ("environment", "production")]);
    }
    // Whom the two lists leave out.
    let production = ("environment", "production");
    cloud.instances(1, &[MYAPP[0], MYAPP[1], ("environment", "test")]);
    cloud.instances(1, &[MYAPP[0], MYAPP[1], production, ("HAProxy:Exclude", "true")]);
    let kept = cloud.instances(1, &[MYAPP[0], MYAPP[1], production, ("HAProxy:Exclude", "no")]);
    let backends = ["aws-WebApp-80-us-east-2", "aws-API-9000-us-east-2", BACKEND];
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        let mut site = cloud.site(pair);
        site.edit("  # availability_zone", OPTIONS);
        site.edit("allowlist: {}", "allowlist: { environment: production }");
        site.edit("denylist: {}", "denylist: { \"HAProxy:Exclude\": \"true\" }");
        let once = site.once_well();
        let [web, api, plain] = backends.map(|backend| site.section(backend));
        let cookie = web.iter().find_map(|line| line.strip_prefix("cookie SRVID ")).unwrap_or_default();
        let words: BTreeSet<&str> = cookie.split(' ').collect();
        assert_eq!(words, ["insert", "indirect", "nocache", "httponly"].into(), "{once:?}\n{}", site.text());
        // A minute, as each version writes it.
        let is_long = |line: &String| line == "timeout server 1m" || line.starts_with("timeout server 60");
        assert!(api.iter().any(is_long) && !plain.iter().any(is_long), "{api:?}\n{plain:?}");
        assert!(api.iter().any(|line| line.starts_with("timeout connect 5")), "{api:?}");
        for section in [&web, &api, &plain] {
            assert!(section.contains(&"balance roundrobin".to_owned()), "{section:?}");
            assert!(!section.iter().any(|line| line.starts_with("cookie")) || section == &web);
        }
        assert_eq!(site.active(BACKEND).len(), 2);
        assert!(site.active(BACKEND).values().any(|at| *at == cloud.at(&kept[0], 8080)));
        assert_eq!(site.reloads(), 1, "all new backends come by one reload");

        // Other options, and a backend of the operator's hand: both stay as they are.
        let before = site.text();
        site.edit("SRVID", "OTHER");
        site.edit("server_timeout: 60000", "server_timeout: 1000");
        let changes = site.changes();
        site.once_well();
        assert_eq!((site.text(), site.changes(), site.reloads()), (before, changes, 1));
    }
}

/// An instance for each line of the documentation's table, and for each share that is none; by its address what it comes to.
fn table(cloud: &Cloud, near: &str, far: &str) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    let mut add = |zone: &str, share: Option<&str>, port: &'static str, line: &str| {
        let mut tags = vec![MYAPP[0], MYAPP[1], (OWN_PORT, port)];
        tags.extend(share.map(|share| (SHARE, share)));
        wanted.insert(format!("{}:{port}", cloud.one_in(zone, &tags)), line.to_owned());
    };
    add(near, None, "1001", "");
    add(far, None, "1002", "backup");
    add(near, Some("10"), "1003", "weight 90");
    add(far, Some("10"), "1004", "weight 10");
    for (invalid, (one, other)) in ["0", "100", "-5", "abc", ""].into_iter().zip([
        ("1011", "1012"),
        ("1021", "1022"),
        ("1031", "1032"),
        ("1041", "1042"),
        ("1051", "1052"),
    ]) {
        add(near, Some(invalid), one, "");
        add(far, Some(invalid), other, "backup");
    }
    wanted
}

/// Compares the servers of the backend, in the process and in the file, with the table.
fn stands_in_the_table(site: &Site, wanted: &BTreeMap<String, String>) {
    for (name, at) in &site.active(BACKEND) {
        let stat = |field: &str| site.haproxy.stat(BACKEND, name, field).or_fail().unwrap_or_default();
        let section = site.section(BACKEND);
        let line = section.iter().find(|line| line.starts_with(&format!("server {name} "))).unwrap();
        let is_backup = wanted[at] == "backup";
        assert_eq!(stat("bck"), if is_backup { "1" } else { "0" }, "{at}: {line}");
        assert_eq!(line.split(' ').any(|word| word == "backup"), is_backup, "{at}: {line}");
        match wanted[at].strip_prefix("weight ") {
            Some(share) => {
                assert_eq!(stat("weight"), share, "{line}");
                assert!(line.contains(&format!(" weight {share}")), "{line}");
            }
            None => assert!(!line.contains(" weight "), "{line}"),
        }
    }
}

#[test]
fn a_zone_makes_backups_weights_and_all_backups_where_nobody_is_near() {
    let cloud = Cloud::start();
    let (near, far) = ("us-east-2a", "us-east-2b");
    let wanted = table(&cloud, near, far);
    cloud.one_in(far, &[(NAME, "away"), (PORT, "9000")]);
    cloud.one_in(far, &[(NAME, "away"), (PORT, "9000")]);
    let away = "aws-away-9000-us-east-2";

    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        let mut site = cloud.site(pair);
        site.edit("# availability_zone: \"us-east-1a\"", "availability_zone: \"us-east-2a\"");
        let once = site.once_well();
        let active = site.active(BACKEND);
        let seen: BTreeSet<&String> = active.values().collect();
        assert_eq!(seen, wanted.keys().collect(), "{once:?}");
        stands_in_the_table(&site, &wanted);
        let far_away = site.section(away);
        assert!(far_away.contains(&"option allbackups".to_owned()), "{far_away:?}");
        assert_eq!(site.active(away).len(), 2);
        for name in site.active(away).keys() {
            assert_eq!(site.haproxy.stat(away, name, "bck").or_fail().unwrap_or_default(), "1");
        }
        // Who is wrong is told, and nothing of it is an error.
        assert!(once.err.contains("no share between zones"), "{once:?}");
        assert!(!once.err.contains("left out"), "nobody is left out for it: {once:?}");
        let changes = site.changes();
        site.once_well();
        assert_eq!(site.changes(), changes);
    }
}

#[test]
fn slots_grow_as_the_file_says_and_never_shrink() {
    let cloud = Cloud::start();
    let mut ids = cloud.instances(11, &MYAPP);
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        let site = cloud.site(pair);
        let once = site.once_well();
        assert!(!once.err.contains("WARNING"), "growth is ordinary: {once:?}");
        assert_eq!(site.rows(BACKEND).len(), 12, "10 and a half more than 1 more");
        assert_eq!(site.active(BACKEND).len(), 11);
    }
    ids.extend(cloud.instances(4, &MYAPP));
    let exponential = |site: &mut Site| {
        site.edit("growth_factor: 1.5", "growth_factor: 2");
        site.edit("growth_type: \"linear\"", "growth_type: \"exponential\"");
    };
    let sites = PAIRS.map(|pair| {
        let linear = cloud.site(pair);
        let mut other = cloud.site(pair);
        exponential(&mut other);
        for (site, slots) in [(&linear, 18), (&other, 20)] {
            site.once_well();
            assert_eq!((site.rows(BACKEND).len(), site.active(BACKEND).len()), (slots, 15));
        }
        linear
    });
    // A third leaves: no guard holds that, and the slots stay.
    for id in &ids[10..] {
        cloud.moto.terminate(id).or_fail();
    }
    for site in &sites {
        let (reloads, names) = (site.reloads(), site.active(BACKEND));
        site.once_well();
        let active = site.active(BACKEND);
        assert_eq!((site.rows(BACKEND).len(), active.len()), (18, 10));
        assert!(active.iter().all(|(name, at)| names.get(name) == Some(at)), "who stays keeps its slot");
        assert_eq!(site.reloads(), reloads);
    }
}
