//! Documents that are compared with snapshots here and given to every real HAProxy by the tests of roster-targets, which
//! take this file in too: so it says `super::core` for this crate.

use roster_haproxy::address::Port;
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::keywords::{
    Alpn, CaFile, CheckKeywords, HostName, InitState, Millis, ProxyProtocol, TlsKeywords, Verify,
};
use roster_haproxy::name::{BackendName, CookieValue, ServerName};
use roster_haproxy::render::*;
use roster_haproxy::weight::{ServerId, Weight};

/// All documents, by name. The files that they name are in this folder: `web.pem`, a certificate with its key, among
/// them.
pub(super) fn all(folder: &str) -> Vec<(&'static str, Document)> {
    vec![
        ("minimal", minimal(folder)),
        ("web", web(folder)),
        ("tcp", tcp(folder)),
        ("held", held(folder)),
        ("balances", balances(folder)),
        ("keywords", keywords(folder)),
        ("user_text", user_text(folder)),
    ]
}

pub(super) fn path(folder: &str, name: &str) -> FilePath {
    FilePath::new(&format!("{folder}/{name}")).unwrap()
}

pub(super) fn backend_name(name: &str) -> BackendName {
    BackendName::new(name).unwrap()
}

pub(super) fn server(slot: u32, at: &str) -> ServerLine {
    ServerLine {
        name: ServerName::new(&format!("srv{slot}")).unwrap(),
        at: at.parse().unwrap(),
        keywords: ServerKeywords {
            id: ServerId::new(slot),
            check: Some(CheckKeywords::default()),
            ..ServerKeywords::default()
        },
        weight: None,
        disabled: false,
    }
}

pub(super) fn backend(name: &str, servers: Vec<ServerLine>) -> Backend {
    Backend {
        name: backend_name(name),
        mode: Mode::Http,
        strip_prefix: None,
        lines: Vec::new(),
        pool: Pool { servers, ..Pool::default() },
    }
}

pub(super) fn bind(at: &str) -> Bind {
    Bind::plain(at.parse().unwrap())
}

pub(super) fn document(folder: &str, sections: Vec<Section>) -> Document {
    Document {
        user: UserText {
            defaults: "    timeout connect 5s\n    timeout client 1m\n    timeout server 1m".to_owned(),
            ..UserText::default()
        },
        ours: Ours {
            stats_socket: path(folder, "admin.sock"),
            expose_listeners: true,
            hard_stop_after: Some(Millis::new(30_000).unwrap()),
            state_file: Some(path(folder, "servers.state")),
        },
        sections,
        crt_lists: Vec::new(),
        profiles: Vec::new(),
        left_out: Vec::new(),
    }
}

fn minimal(folder: &str) -> Document {
    let mut document =
        document(folder, vec![Section::Backend(backend("web", vec![server(1, "10.0.0.1:8080")]))]);
    document.ours.expose_listeners = false;
    document.ours.hard_stop_after = None;
    document.ours.state_file = None;
    document
}

fn route(host: Option<&str>, path: Option<&str>, to: &str) -> Route {
    let host = host.map(|host| HostName::new(host).unwrap());
    let path = path.map(|path| PathPrefix::new(path).unwrap());
    let of = match (host, path) {
        (Some(host), Some(path)) => RouteKey::HostAndPath(host, path),
        (Some(host), None) => RouteKey::Host(host),
        (None, path) => RouteKey::Path(path.unwrap()),
    };
    Route { of, to: backend_name(to) }
}

pub(super) fn routing(folder: &str) -> Routing {
    Routing {
        hosts: path(folder, "web-hosts.map"),
        paths: path(folder, "web-paths.map"),
        routes: vec![
            route(Some("Example.org"), None, "shop"),
            route(Some("example.org"), Some("/api"), "api"),
            route(Some("example.org"), Some("/api/v2"), "api-v2"),
            route(None, Some("/api"), "shop"),
            route(None, Some("/api/v2"), "api-v2"),
        ],
    }
}

fn line(place: Place, text: &str) -> RawLine {
    RawLine::new(place, text).unwrap()
}

fn http_in(folder: &str) -> Frontend {
    let tls = BindTls {
        crt_list: path(folder, "web.crt-list"),
        strict_sni: true,
        oldest: Some(TlsVersion::V1_2),
        alpn: Some(Alpn::H2OrHttp1),
    };
    let name = Some(BindName::new("tls").unwrap());
    Frontend {
        name: FrontendName::new("http-in").unwrap(),
        mode: Mode::Http,
        binds: vec![
            bind("*:12380"),
            Bind { name, tls: Some(tls), both_families: true, ..bind("[::]:12343") },
            Bind { accept_proxy: true, ..Bind::plain(BindAddress::Unix(path(folder, "web.sock"))) },
        ],
        lines: vec![
            line(Place::Frontend, "http-request set-header X-Forwarded-Proto https if { ssl_fc }"),
            line(
                Place::Frontend,
                r#"http-request return status 200 content-type text/plain string "it's up" if { path /ping }"#,
            ),
        ],
        routing: Some(routing(folder)),
        default_backend: Some(backend_name("shop")),
    }
}

fn check(method: CheckMethod, path: &str, host: Option<&str>, expect: Option<(u16, u16)>) -> HttpCheck {
    HttpCheck {
        method,
        path: RequestPath::new(path).unwrap(),
        host: host.map(|host| HostName::new(host).unwrap()),
        expect: expect.map(|(from, to)| StatusRange::new(from, to).unwrap()),
    }
}

fn web(folder: &str) -> Document {
    let mut shop = backend("shop", vec![server(1, "10.0.0.1:8080"), server(2, "[fd00::2]:8080")]);
    shop.lines = vec![line(Place::Backend, "option forwardfor"), line(Place::Backend, "timeout server 5m")];
    shop.pool.cookie = Some(FieldName::new("SRV").unwrap());
    for server in &mut shop.pool.servers {
        server.keywords.cookie = Some(CookieValue::new(server.name.as_str()).unwrap());
    }
    let full = "/health?full=1&who=roster";
    shop.pool.check = Some(check(CheckMethod::Get, full, Some("example.org"), Some((200, 204))));
    let mut api = backend("api", vec![server(1, "10.0.0.3:8080")]);
    api.strip_prefix = Some(PathPrefix::new("/api").unwrap());
    api.pool.check = Some(check(CheckMethod::Head, "/", None, None));
    let v2 = backend("api-v2", vec![ServerLine { disabled: true, ..server(1, "127.0.0.1:1") }]);
    let backends = [shop, api, v2].map(Section::Backend);
    let sections = [Section::Frontend(http_in(folder))].into_iter().chain(backends).collect();
    let name =
        |wildcard, negated, host: &str| SniFilter { negated, wildcard, host: HostName::new(host).unwrap() };
    // An exception stands on the line of its wildcard: elsewhere it does nothing, and 3.2 says so.
    let names = vec![name(true, false, "example.org"), name(false, true, "not.example.org")];
    let crt_lists = vec![CrtList {
        path: path(folder, "web.crt-list"),
        entries: vec![
            CrtEntry { certificate: path(folder, "web.pem"), names: Vec::new() },
            CrtEntry { certificate: path(folder, "web.pem"), names },
        ],
    }];
    Document { crt_lists, ..document(folder, sections) }
}

fn listen(name: &str, at: &str) -> Listen {
    let mut servers = vec![server(1, "10.0.0.1:5432"), server(2, "10.0.0.2:5432")];
    for server in &mut servers {
        server.name = ServerName::new(&server.at.to_string()).unwrap();
    }
    Listen {
        name: backend_name(name),
        mode: Mode::Tcp,
        binds: vec![bind(at)],
        lines: vec![
            RawLine::new(Place::Listen, "option clitcpka").unwrap(),
            RawLine::new(Place::Listen, "timeout client 1h").unwrap(),
        ],
        pool: Pool { balance: Balance::LeastConn, servers, ..Pool::default() },
    }
}

fn tcp(folder: &str) -> Document {
    document(
        folder,
        vec![Section::Listen(listen("db", "127.0.0.1:12354")), Section::Listen(listen("db2", "[::1]:12355"))],
    )
}

fn held(folder: &str) -> Document {
    document(folder, vec![Section::Listen(listen("db", "fd@10"))])
}

fn balances(folder: &str) -> Document {
    let field = |name| FieldName::new(name).unwrap();
    let all = [
        ("roundrobin", Balance::RoundRobin),
        ("static-rr", Balance::StaticRr),
        ("leastconn", Balance::LeastConn),
        ("first", Balance::First),
        ("source", Balance::Source),
        ("uri", Balance::Uri),
        ("header", Balance::Header(field("X-User"))),
        ("url-param", Balance::UrlParam(field("user"))),
        ("rdp-cookie", Balance::RdpCookie(field("msts"))),
        ("random", Balance::Random),
    ];
    let sections = all.into_iter().map(|(name, balance)| {
        let mut backend = backend(name, vec![server(1, "10.0.0.1:80"), server(2, "10.0.0.2:80")]);
        backend.pool.servers[0].weight = Some(Weight::new(7).unwrap());
        backend.pool.balance = balance;
        Section::Backend(backend)
    });
    document(folder, sections.collect())
}

fn keywords(folder: &str) -> Document {
    let host = || Some(HostName::new("web.internal").unwrap());
    let millis = |n| Some(Millis::new(n).unwrap());
    let ca_file = CaFile::new(path(folder, "web.pem").as_str()).unwrap();
    let all = ServerKeywords {
        id: ServerId::new(77),
        weight: Some(Weight::MAX),
        maxconn: 100.try_into().ok(),
        backup: true,
        cookie: Some(CookieValue::new("srv1").unwrap()),
        slowstart: millis(10_000),
        init_state: Some(InitState::Down),
        send_proxy: Some(ProxyProtocol::V2),
        tls: Some(TlsKeywords {
            verify: Verify::Required { ca_file, host: host() },
            sni: host(),
            alpn: Some(Alpn::H2OrHttp1),
        }),
        check: Some(CheckKeywords {
            inter: millis(2000),
            fastinter: millis(500),
            downinter: millis(5000),
            rise: 2.try_into().ok(),
            fall: 3.try_into().ok(),
            port: Port::new(8081),
            addr: "fd00::9".parse().ok(),
            tls: true,
            sni: host(),
            send_proxy: true,
        }),
    };
    let with = |keywords| ServerLine { keywords, ..server(1, "10.0.0.1:8443") };
    let mut every = backend("every", vec![with(all)]);
    every.pool.cookie = Some(FieldName::new("SRV").unwrap());
    let plain = TlsKeywords { verify: Verify::None, sni: None, alpn: None };
    let few =
        ServerKeywords { tls: Some(plain), send_proxy: Some(ProxyProtocol::V1), ..ServerKeywords::default() };
    document(folder, vec![Section::Backend(every), Section::Backend(backend("few", vec![with(few)]))])
}

fn user_text(folder: &str) -> Document {
    let user = UserText {
        global: "    # As ever.\n    maxconn 4096\n\n    master-worker\n    log 127.0.0.1 local0\n\n".to_owned(),
        defaults: "log global\nmode tcp\noption dontlognull\ntimeout connect 5s\ntimeout client 1m\ntimeout server 1m"
            .to_owned(),
        sections: "\
resolvers dns
    nameserver local 127.0.0.1:53

listen stats
    bind 127.0.0.1:12399
    mode http
    timeout client 10s
    stats enable
    stats auth \"admin:not so secret\" # as told
    default_backend web

defaults other
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m

listen elsewhere
    bind 127.0.0.1:12398
    server one 127.0.0.1:1
"
        .to_owned(),
    };
    Document {
        user,
        ..document(folder, vec![Section::Backend(backend("web", vec![server(1, "10.0.0.1:80")]))])
    }
}
