//! On a real HAProxy 3.4, by hand: `HAPROXY_34_BIN=/path/to/haproxy cargo test -p roster-targets -- --ignored dynamic`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command as Process;
use std::time::Duration;

use roster_haproxy::cli::command::BackendCommand;
use roster_haproxy::cli::{Command, ServerPath};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::keywords::{CheckKeywords, HostName, Millis};
use roster_haproxy::name::{BackendName, CookieValue, ServerName};
use roster_haproxy::render::*;
use roster_haproxy::version::Version;
use roster_haproxy::weight::{ServerId, Weight};
use roster_targets::managed::dynamic::{Added, add, publish};
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{
    HEALTH_PATH, Haproxy, HaproxyBin, HttpBackend, OrFail, Poll, TrafficLoad, free_port, http_get,
    wait_until_or_fail,
};
use tempfile::TempDir;

const CAP: Duration = Duration::from_secs(20);

/// The builder of the HAProxy under test knows this path, the document does not.
const SOCKET: &str = "/SOCKET";

struct Site {
    bin: HaproxyBin,
    folder: TempDir,
    front: SocketAddr,
    servers: [HttpBackend; 2],
}

fn name(name: &str) -> BackendName {
    BackendName::new(name).or_fail()
}

fn line(text: &str) -> RawLine {
    RawLine::new(Place::Backend, text).or_fail()
}

fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).or_fail();
    stream.set_read_timeout(Some(CAP)).or_fail();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").or_fail();
    let mut said = String::new();
    stream.read_to_string(&mut said).or_fail();
    said
}

/// As many settings as a profile can have.
fn shop(servers: Vec<ServerLine>) -> Backend {
    let check = HttpCheck {
        method: CheckMethod::Get,
        path: RequestPath::new(HEALTH_PATH).or_fail(),
        host: Some(HostName::new("example.org").or_fail()),
        expect: None,
    };
    Backend {
        name: name("shop"),
        mode: Mode::Http,
        strip_prefix: Some(PathPrefix::new("/shop").or_fail()),
        lines: vec![line("timeout server 3s"), line("http-response set-header X-Profile yes")],
        pool: Pool {
            balance: Balance::Uri,
            cookie: Some(FieldName::new("SRV").or_fail()),
            check: Some(check),
            servers,
        },
    }
}

fn plain(name: &str) -> Backend {
    let name = BackendName::new(name).or_fail();
    Backend { name, mode: Mode::Http, strip_prefix: None, lines: Vec::new(), pool: Pool::default() }
}

impl Site {
    fn new() -> Self {
        let bin = HaproxyBin::named_3_4().or_fail();
        let folder = TempDir::with_prefix("dyn-").or_fail();
        fs::write(folder.path().join("servers.state"), "1\n").or_fail();
        let front = SocketAddr::from(([127, 0, 0, 1], free_port().or_fail()));
        let servers = ["one", "two"].map(|name| HttpBackend::start(name).or_fail());
        Self { bin, folder, front, servers }
    }

    fn file(&self, name: &str) -> FilePath {
        FilePath::new(self.folder.path().join(name).to_str().unwrap()).or_fail()
    }

    fn server(&self, number: u32) -> ServerLine {
        let server = if number == 1 { &self.servers[0] } else { &self.servers[1] };
        let check = CheckKeywords { inter: Millis::new(100).ok(), ..CheckKeywords::default() };
        ServerLine {
            name: ServerName::new(&format!("s{number}")).or_fail(),
            at: server.addr().to_string().parse().or_fail(),
            keywords: ServerKeywords {
                id: ServerId::new(number),
                weight: Weight::new(10 * number).ok(),
                cookie: CookieValue::new(&format!("c{number}")).ok(),
                check: Some(check),
                ..ServerKeywords::default()
            },
            weight: None,
            disabled: false,
        }
    }

    /// A frontend that goes by a map, `web`, and these.
    fn document(&self, more: Vec<Backend>) -> Document {
        let route = |backend: &Backend| {
            let path = PathPrefix::new(&format!("/{}", backend.name)).or_fail();
            Route { of: RouteKey::Path(path), to: backend.name.clone() }
        };
        let front = Frontend {
            name: FrontendName::new("front").or_fail(),
            mode: Mode::Http,
            binds: vec![Bind::plain(self.front.to_string().parse().or_fail())],
            lines: Vec::new(),
            routing: Some(Routing {
                hosts: self.file("hosts.map"),
                paths: self.file("paths.map"),
                routes: more.iter().map(route).collect(),
            }),
            default_backend: None,
        };
        let mut sections = vec![Section::Frontend(front), Section::Backend(plain("web"))];
        sections.extend(more.into_iter().map(Section::Backend));
        let defaults = "timeout connect 5s\ntimeout client 1m\ntimeout server 1m\nlog global\n\
                        option httplog\noption httpchk GET /of-the-operator";
        let sections_of_operator = "defaults\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n\
                                    backend mine\n    mode http\n";
        Document {
            user: UserText {
                global: "log 127.0.0.1:9 local0".to_owned(),
                defaults: defaults.to_owned(),
                sections: sections_of_operator.to_owned(),
            },
            ours: Ours {
                stats_socket: FilePath::new(SOCKET).or_fail(),
                expose_listeners: true,
                hard_stop_after: Some(Millis::new(5_000).or_fail()),
                state_file: Some(self.file("servers.state")),
            },
            sections,
            crt_lists: Vec::new(),
            left_out: Vec::new(),
            profiles: vec![
                Profile::of(&shop(Vec::new())),
                Profile::default(),
                Profile { mode: Mode::Tcp, balance: Balance::LeastConn, ..Profile::default() },
            ],
        }
    }

    fn rendered(&self, document: &Document) -> Rendered {
        let rendered = render(document, self.bin.version().parse::<Version>().or_fail()).unwrap();
        assert_eq!(rendered.left_out, []);
        for file in &rendered.files {
            fs::write(file.path.as_str(), &file.text).or_fail();
        }
        rendered
    }

    fn start(&self, rendered: &Rendered) -> Haproxy {
        let config = rendered.config.replace(SOCKET, "{socket}");
        Haproxy::builder(&self.bin).whole_config(&config).master_worker().start().or_fail()
    }
}

fn address(haproxy: &Haproxy) -> SocketAddress {
    SocketAddress::Unix(haproxy.socket())
}

async fn carry_out(haproxy: &Haproxy, commands: &[Command]) {
    let outcome = Batch::new(commands).run(&address(haproxy), &Limits::default()).await.or_fail();
    for (command, reply) in commands.iter().zip(&outcome.replies) {
        reply.verdict(command).unwrap_or_else(|refusal| panic!("{command}: {refusal}"));
    }
}

async fn added(haproxy: &Haproxy, live: &[LiveBackend]) -> Added {
    add(&address(haproxy), &Limits::default(), live).await.or_fail()
}

fn in_rotation(server: &ServerLine, backend: &BackendName) -> Vec<Command> {
    let path = || ServerPath { backend: backend.clone(), server: server.name.clone() };
    let keywords = Box::new(server.keywords.clone());
    vec![
        Command::AddServer { server: path(), at: server.at, keywords },
        Command::EnableHealth(path()),
        Command::EnableServer(path()),
    ]
}

/// What was said to the servers is kept, and nobody is turned away.
fn reload_under_load(site: &Site, haproxy: &mut Haproxy, after: &Rendered) {
    haproxy.cli("set server shop/s1 weight 77; set server shop/s2 state drain").or_fail();
    fs::write(site.file("servers.state").as_str(), haproxy.cli("show servers state").or_fail()).or_fail();
    let load = TrafficLoad::builder(site.front).path("/shop/x").start();
    let served = |load: &TrafficLoad, more: u64| {
        let goal = load.totals().ok + more;
        wait_until_or_fail(CAP, "requests are served", || {
            Poll::when(load.totals(), |totals| totals.ok >= goal)
        });
    };
    served(&load, 50);
    haproxy.set_config(&after.config.replace(SOCKET, "{socket}")).or_fail();
    haproxy.reload().or_fail();
    served(&load, 50);
    let totals = load.stop();
    assert_eq!(totals.failed(), 0, "{totals:?}");
    let row = haproxy.server("shop", "s1").or_fail();
    assert_eq!((row.uweight, row.op), (77, 2));
    assert!(haproxy.server("shop", "s2").or_fail().in_drain());
}

#[test]
#[ignore = "wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy"]
fn profiles_are_taken_without_a_word() {
    let site = Site::new();
    let document = site.document(vec![shop(vec![site.server(1)])]);
    let said = |document: &Document| {
        let path = site.folder.path().join("haproxy.cfg");
        let config = site.rendered(document).config.replace(SOCKET, site.file("s").as_str());
        fs::write(&path, config).or_fail();
        let output = Process::new(site.bin.path()).arg("-c").arg("-f").arg(path).output().or_fail();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    for text in [said(&document), said(&Document { profiles: Vec::new(), ..document.clone() })] {
        assert!(!text.contains("[WARNING]") && !text.contains("[ALERT]"), "{text}");
    }
}

#[tokio::test]
#[ignore = "wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy"]
async fn a_new_backend_serves_by_its_profile_and_goes_on_over_a_reload() {
    let site = Site::new();
    let before = site.rendered(&site.document(Vec::new()));
    let mut haproxy = site.start(&before);
    let servers = vec![site.server(1), site.server(2)];
    let after = site.rendered(&site.document(vec![shop(servers.clone())]));
    let live = before.structure.live_backends(&after.structure);
    assert_eq!(live.len(), 1);

    let added = added(&haproxy, &live).await;
    assert_eq!((&added.added, &added.failed), (&BTreeSet::from([name("shop")]), &Vec::new()));
    assert_eq!(added.warnings, []);
    assert_eq!(self::added(&haproxy, &live).await.existing, added.added);
    let left = before.structure.with_backends(&after.structure, &added.added);
    assert_eq!(left.reload_reasons(&after.structure), []);

    let commands: Vec<_> = servers.iter().flat_map(|server| in_rotation(server, &name("shop"))).collect();
    carry_out(&haproxy, &commands).await;
    haproxy.cli(&format!("add map {} /shop shop", site.file("paths.map"))).or_fail();
    assert_eq!(http_get(site.front, "/shop/x").or_fail().status, 503);
    let published = publish(&address(&haproxy), &Limits::default(), &added.added).await.or_fail();
    assert_eq!((published.published, published.failed), (added.added, Vec::new()));

    let said = get(site.front, "/shop/x").to_ascii_lowercase();
    assert!(said.starts_with("http/1.1 200 "), "{said}");
    assert!(said.contains("\r\nset-cookie: srv=c") && said.contains("\r\nx-profile: yes\r\n"), "{said}");
    let weights = || {
        ["s1", "s2"].map(|server| haproxy.server("shop", server).map(|row| row.uweight).unwrap_or_default())
    };
    assert_eq!(weights(), [10, 20]);

    // Only the check of the profile asks for a status: a connection alone would pass.
    site.servers[1].set_health(500);
    wait_until_or_fail(CAP, "s2 is found ill", || {
        Poll::when(haproxy.server("shop", "s2").or_fail(), |row| row.op == 0)
    });
    site.servers[1].set_health(200);
    wait_until_or_fail(CAP, "s2 is found well", || {
        Poll::when(haproxy.server("shop", "s2").or_fail(), |row| row.op == 2)
    });

    reload_under_load(&site, &mut haproxy, &after);
}

#[tokio::test]
#[ignore = "wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy"]
async fn what_haproxy_refuses_is_told_and_the_others_come() {
    let site = Site::new();
    let before = site.rendered(&site.document(Vec::new()));
    let haproxy = site.start(&before);
    let after = site.rendered(&site.document(vec![plain("new"), plain("mine")]));
    let mut live = before.structure.live_backends(&after.structure);
    let gone = ProfileName::new("roster-0").or_fail();
    live.push(LiveBackend { name: name("gone"), mode: Mode::Http, profile: gone });
    live.push(LiveBackend { name: name("front"), ..live[0].clone() });
    let added = added(&haproxy, &live).await;
    assert_eq!(added.added, BTreeSet::from([name("new")]));
    assert_eq!(added.existing, BTreeSet::from([name("mine")]));
    let failed: BTreeSet<_> = added.failed.iter().map(|failed| failed.backend.clone()).collect();
    assert_eq!(failed, BTreeSet::from([name("front"), name("gone")]));
}

#[tokio::test]
#[ignore = "wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy"]
async fn a_backend_that_was_added_goes_again_once_nobody_is_in_it() {
    let site = Site::new();
    let before = site.rendered(&site.document(Vec::new()));
    let haproxy = site.start(&before);
    let after = site.rendered(&site.document(vec![plain("new")]));
    let added = added(&haproxy, &before.structure.live_backends(&after.structure)).await.added;
    let server = site.server(1);
    carry_out(&haproxy, &in_rotation(&server, &name("new"))).await;
    publish(&address(&haproxy), &Limits::default(), &added).await.or_fail();
    haproxy.cli(&format!("add map {} /new new", site.file("paths.map"))).or_fail();
    assert_eq!(http_get(site.front, "/new").or_fail().status, 200);

    carry_out(&haproxy, &[Command::Backend(BackendCommand::Unpublish(name("new")))]).await;
    assert_eq!(http_get(site.front, "/new").or_fail().status, 503);
    haproxy.cli("disable server new/s1").or_fail();
    haproxy.cli("wait 5s srv-removable new/s1").or_fail();
    let path = ServerPath { backend: name("new"), server: server.name };
    carry_out(&haproxy, &[Command::DelServer(path)]).await;
    haproxy.cli("wait 5s be-removable new").or_fail();
    carry_out(&haproxy, &[Command::Backend(BackendCommand::Del(name("new")))]).await;
    let shown = haproxy.cli("show backend").or_fail();
    assert!(!shown.lines().any(|line| line == "new"), "{shown}");
}
