//! What roster-haproxy writes, read by every real HAProxy.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use roster_haproxy::name::BackendName;
use roster_haproxy::render::*;
use roster_haproxy::version::Version;
use roster_testkit::{Haproxy, HaproxyBin, OrFail, free_port};
use tempfile::TempDir;

// Also compared with snapshots by the tests of roster-haproxy.
#[path = "../../../../haproxy/src/render/tests/documents.rs"]
mod documents;

/// A certificate for example.org and its key, of no use elsewhere; valid until 2126.
const CERTIFICATE: &str = include_str!("render/web.pem");

fn version(bin: &HaproxyBin) -> Version {
    bin.version().parse().or_fail()
}

/// Puts the files where HAProxy looks for them; haproxy.cfg itself too.
fn write(rendered: &Rendered, folder: &Path) {
    for file in &rendered.files {
        fs::write(file.path.as_str(), &file.text).or_fail();
    }
    fs::write(folder.join("web.pem"), CERTIFICATE).or_fail();
    fs::write(folder.join("haproxy.cfg"), &rendered.config).or_fail();
}

/// What `haproxy -c` says, and whether it is content.
fn check(bin: &HaproxyBin, folder: &Path) -> (bool, String) {
    let output =
        Command::new(bin.path()).arg("-c").arg("-f").arg(folder.join("haproxy.cfg")).output().or_fail();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn text(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

#[test]
fn haproxy_takes_every_document_without_a_word() {
    for bin in HaproxyBin::each() {
        let folder = TempDir::new().or_fail();
        fs::write(folder.path().join("servers.state"), "1\n").or_fail();
        // A socket that is inherited would have to be handed to the check too.
        let documents = documents::all(text(folder.path())).into_iter().filter(|(name, _)| *name != "held");
        for (name, document) in documents {
            let rendered = render(&document, version(&bin)).unwrap();
            write(&rendered, folder.path());
            let (valid, said) = check(&bin, folder.path());
            assert!(valid, "{name} on {bin}:\n{said}");
            assert!(!said.contains("[WARNING]") && !said.contains("[ALERT]"), "{name} on {bin}:\n{said}");
        }
    }
}

#[test]
fn haproxy_says_what_is_wrong_and_the_line_leads_to_the_section() {
    for bin in HaproxyBin::each() {
        let folder = TempDir::new().or_fail();
        let mut web = documents::backend("web", Vec::new());
        web.lines = vec![RawLine::new(Place::Backend, "timeout server soon").unwrap()];
        let mut document = documents::document(
            text(folder.path()),
            vec![
                Section::Backend(documents::backend("fine", vec![documents::server(1, "10.0.0.1:80")])),
                Section::Backend(web),
            ],
        );
        document.user.global = "maxcon 10".to_owned();
        let rendered = render(&document, version(&bin)).unwrap();
        write(&rendered, folder.path());
        let (valid, said) = check(&bin, folder.path());
        assert!(!valid, "{bin} took it:\n{said}");
        let section = |complaint: &str| {
            let line = said.lines().find(|line| line.contains(complaint)).unwrap_or_else(|| panic!("{said}"));
            let number = line.split("haproxy.cfg:").nth(1).and_then(|rest| rest.split(']').next());
            rendered
                .section_at(number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}")))
        };
        assert_eq!(section("'maxcon'"), None, "{said}");
        let web = SectionKey::Backend(BackendName::new("web").unwrap());
        assert_eq!(section("timeout server"), Some(&web), "{said}");
    }
}

/// A backend that answers with its name and the path that its servers would see.
fn mirror(name: &str) -> Backend {
    let line =
        format!(r#"http-request return status 200 content-type text/plain lf-string "{name} %[path]""#);
    Backend {
        lines: vec![RawLine::new(Place::Backend, &line).unwrap()],
        ..documents::backend(name, vec![documents::server(1, "127.0.0.1:1")])
    }
}

fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).or_fail();
    stream.write_all(request.as_bytes()).or_fail();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).or_fail();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
}

fn get(addr: SocketAddr, host: &str, path: &str) -> String {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// A HAProxy that runs on what is rendered.
fn running(bin: &HaproxyBin, sections: impl FnOnce(&str) -> Vec<Section>) -> Haproxy {
    let mut haproxy =
        Haproxy::builder(bin).config("listen before\n    bind 127.0.0.1:{port:before}\n").start().or_fail();
    let folder = text(haproxy.dir());
    let rendered = render(&documents::document(folder, sections(folder)), version(bin)).unwrap();
    assert_eq!(rendered.left_out, []);
    write(&rendered, haproxy.dir());
    haproxy.reload().or_fail();
    haproxy
}

fn front(addr: SocketAddr) -> Frontend {
    Frontend {
        name: FrontendName::new("http-in").unwrap(),
        mode: Mode::Http,
        binds: vec![documents::bind(&addr.to_string())],
        lines: Vec::new(),
        routing: None,
        default_backend: Some(documents::backend_name("other")),
    }
}

fn free_addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port().or_fail()))
}

fn routed(bin: &HaproxyBin) -> (Haproxy, SocketAddr) {
    let addr = free_addr();
    let haproxy = running(bin, |folder| {
        let front = Frontend { routing: Some(documents::routing(folder)), ..front(addr) };
        let api = Backend { strip_prefix: PathPrefix::new("/api").ok(), ..mirror("api") };
        let mut sections = vec![Section::Frontend(front), Section::Backend(api)];
        sections.extend(["shop", "api-v2", "other"].map(|name| Section::Backend(mirror(name))));
        sections
    });
    (haproxy, addr)
}

#[test]
fn requests_go_by_host_then_by_the_longest_path() {
    for bin in HaproxyBin::each() {
        let (_haproxy, addr) = routed(&bin);
        for (host, path, answer) in [
            ("example.org", "/", "shop /"),
            ("EXAMPLE.org:8080", "/zzz?q=/api", "shop /zzz"),
            ("example.org", "/api", "api /"),
            ("Example.org", "/api/x/y?q", "api /x/y"),
            ("example.org", "/api/v2/x", "api-v2 /api/v2/x"),
            ("example.org", "/Api/v2", "shop /Api/v2"),
            ("elsewhere.org", "/api/v", "shop /api/v"),
            ("elsewhere.org", "/api/v2", "api-v2 /api/v2"),
            ("elsewhere.org", "/", "other /"),
            ("xexample.org", "/", "other /"),
            ("example.org.evil.org", "/api", "shop /api"),
            ("[::1]:80", "/", "other /"),
        ] {
            assert_eq!(get(addr, host, path), answer, "{bin}: {host}{path}");
        }
        assert_eq!(ask(addr, "GET /api/v HTTP/1.0\r\n\r\n"), "shop /api/v", "{bin}");
        // A path within the host must not stand for the path of the request.
        for host in ["example.org/api", "/api"] {
            let answer = get(addr, host, "/zzz");
            assert!(!answer.starts_with("api") && !answer.starts_with("shop"), "{bin}: {host}: {answer}");
        }
    }
}

#[test]
fn a_route_is_added_and_taken_away_on_the_runtime_socket() {
    for bin in HaproxyBin::each() {
        let (haproxy, addr) = routed(&bin);
        let map = documents::path(text(haproxy.dir()), "web-hosts.map");
        assert_eq!(get(addr, "new.org", "/"), "other /", "{bin}");
        haproxy.cli(&format!("add map {map} new.org/ shop")).or_fail();
        assert_eq!(get(addr, "new.org", "/"), "shop /", "{bin}");
        haproxy.cli(&format!("del map {map} new.org/")).or_fail();
        assert_eq!(get(addr, "new.org", "/"), "other /", "{bin}");
    }
}

#[test]
fn the_servers_state_is_loaded_though_the_operators_defaults_do_not_ask_for_it() {
    for bin in HaproxyBin::each() {
        let (mut haproxy, _) = routed(&bin);
        haproxy.cli("set server api/srv1 state maint").or_fail();
        let state = haproxy.cli("show servers state").or_fail();
        fs::write(haproxy.dir().join("servers.state"), state).or_fail();
        haproxy.reload().or_fail();
        assert!(haproxy.cli("show stat").or_fail().contains("api,srv1,"), "{bin}");
        let rows = haproxy.cli("show servers state api").or_fail();
        let row = rows.lines().find(|line| line.contains(" srv1 ")).unwrap_or_else(|| panic!("{rows}"));
        // srv_op_state 0 and srv_admin_state 1: in maintenance, forced.
        assert_eq!(row.split(' ').skip(5).take(2).collect::<Vec<_>>(), ["0", "1"], "{bin}: {rows}");
    }
}

/// Each word as a registry may write it, and as HAProxy has to read it.
const WORDS: &[(&str, &str)] = &[
    ("plain", "plain"),
    (r#""two words""#, "two words"),
    (r"two\ words", "two words"),
    (r#"'it is "so"'"#, r#"it is "so""#),
    (r#""it's so""#, "it's so"),
    (r#"'a'"'"'b'"#, "a'b"),
    (r"\#not-a-comment", "#not-a-comment"),
    (r#""\$HOME""#, "$HOME"),
    ("'${HOME}'", "${HOME}"),
    ("$HOME", "$HOME"),
    (r"\1\\2", r"\1\2"),
    (r#""a\tb""#, "a\tb"),
    (r"a\r\nbackend\ evil\r\n", "a\r\nbackend evil\r\n"),
    (r"it\'s\\\n", "it's\\\n"),
    (r"\x01\x7f\x22", "\u{1}\u{7f}\""),
    (";|&<>()[]{}*?!~`", ";|&<>()[]{}*?!~`"),
    ("é世界", "é世界"),
];

#[test]
fn haproxy_reads_exactly_the_words_of_a_raw_line() {
    for bin in HaproxyBin::each() {
        let addr = free_addr();
        let lines = WORDS.iter().enumerate().map(|(number, (given, _))| {
            let line = format!(
                "http-request return status 200 content-type text/plain string {given} if {{ path /{number} }} # x"
            );
            RawLine::new(Place::Frontend, &line).unwrap()
        });
        let front = Frontend { lines: lines.collect(), ..front(addr) };
        let _haproxy = running(&bin, |_| vec![Section::Frontend(front), Section::Backend(mirror("other"))]);
        for (number, (given, read)) in WORDS.iter().enumerate() {
            assert_eq!(get(addr, "x", &format!("/{number}")), *read, "{bin}: {given}");
        }
    }
}

#[test]
fn haproxy_takes_live_what_needs_no_reload_by_the_structure() {
    for bin in HaproxyBin::each() {
        let sections = |folder: &str| {
            documents::all(folder).into_iter().find(|(name, _)| *name == "balances").unwrap().1.sections
        };
        let haproxy = running(&bin, sections);
        for section in sections(text(haproxy.dir())) {
            let Section::Backend(backend) = section else { panic!("not a backend") };
            let (name, live) = (&backend.name, backend.pool.balance.takes_servers_live());
            let added =
                haproxy.cli(&format!("add server {name}/new 127.0.0.1:1 id 9 weight 3 check")).or_fail();
            assert_eq!(added.contains("New server registered"), live, "{bin} {name}: {added}");
            let weighed = haproxy.cli(&format!("set server {name}/srv1 weight 33")).or_fail();
            assert_eq!(weighed.trim().is_empty(), live, "{bin} {name}: {weighed}");
            let stopped = haproxy.cli(&format!("set server {name}/srv1 weight 0")).or_fail();
            assert_eq!(stopped.trim(), "", "{bin} {name}");
            let moved = haproxy.cli(&format!("set server {name}/srv1 addr 10.9.9.9 port 99")).or_fail();
            assert!(moved.contains("changed from"), "{bin} {name}: {moved}");
        }
        let with_cookie = "add server roundrobin/cookie 127.0.0.1:1 cookie c";
        let added = haproxy.cli(with_cookie).or_fail().contains("New server registered");
        assert_eq!(added, version(&bin).takes_cookie_live(), "{bin}");
    }
}
