use std::fmt::Write as _;

use super::documents::{all, backend, bind, document, server};
use super::*;
use crate::keywords::Millis;
use crate::render::*;

/// The files one after the other, and what was left out.
fn shown(rendered: &Rendered) -> String {
    let mut text = rendered.config.clone();
    for file in &rendered.files {
        write!(text, "\n==> {} ({:?})\n{}", file.path, file.kind, file.text).unwrap();
    }
    for left_out in &rendered.left_out {
        write!(text, "\nleft out: {left_out}\n").unwrap();
    }
    text
}

#[test]
fn the_files_look_as_they_did() {
    for (name, document) in all(FOLDER) {
        insta::assert_snapshot!(name, shown(&rendered(&document)));
    }
}

#[test]
fn init_state_is_written_where_haproxy_knows_it() {
    let document = named("keywords");
    assert!(render(&document, V3_2).unwrap().config.contains(" init-state down "));
    let older = rendered(&document);
    assert!(!older.config.contains("init-state"), "{}", older.config);
    assert_eq!(older.left_out.len(), 1);
}

#[test]
fn what_cannot_stand_beside_what_came_before_is_left_out_and_told() {
    let mut twice =
        backend("web", vec![server(1, "10.0.0.1:80"), server(1, "10.0.0.2:80"), server(2, "10.0.0.3:80")]);
    twice.pool.servers[2].name = twice.pool.servers[0].name.clone();
    twice.lines = vec![RawLine::new(Place::Frontend, "maxconn 10").unwrap()];
    let front = |name: &str| Frontend {
        name: FrontendName::new(name).unwrap(),
        mode: Mode::Http,
        binds: vec![bind("*:80")],
        lines: Vec::new(),
        routing: None,
        default_backend: None,
    };
    let listen = Listen {
        name: documents::backend_name("web"),
        mode: Mode::Tcp,
        binds: Vec::new(),
        lines: Vec::new(),
        pool: Pool::default(),
    };
    let sections = vec![
        Section::Backend(twice.clone()),
        Section::Frontend(front("web")),
        Section::Frontend(front("second")),
        Section::Listen(listen),
        Section::Backend(Backend { lines: Vec::new(), ..backend("web", Vec::new()) }),
    ];
    let rendered = rendered(&document(FOLDER, sections));
    let told: Vec<String> = rendered.left_out.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    a line is left out of backend web: it was checked for a frontend section
    server srv1 is left out of backend web: one before it has the same id 1
    server srv1 is left out of backend web: one before it has the same name
    frontend second does not listen on *:80: frontend web does; give one of them another port
    listen web is left out: a section before it has the same name; rename one of the services
    backend web is left out: a section before it has the same name; rename one of the services
    "#);
    assert_eq!(rendered.config.matches("\nbackend web\n").count(), 1);
    assert_eq!(rendered.config.matches("    server ").count(), 1);
    assert_eq!(rendered.config.matches("    bind ").count(), 1);
}

#[test]
fn of_two_routes_for_the_same_requests_the_first_stands() {
    let mut document = named("web");
    let Some(Section::Frontend(front)) = document.sections.first_mut() else { panic!("no frontend") };
    let routing = front.routing.as_mut().unwrap();
    let mut other = routing.routes[0].clone();
    other.to = documents::backend_name("other");
    routing.routes.push(other);
    let rendered = rendered(&document);
    assert_eq!(
        rendered.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["requests for example.org/ do not go to other in frontend http-in: a route before it takes them"]
    );
    assert!(rendered.files.iter().all(|file| !file.text.contains("other")));
}

#[test]
fn the_operators_text_is_written_as_it_is() {
    let document = named("user_text");
    let text = rendered(&document).config;
    for part in [&document.user.global, &document.user.defaults, &document.user.sections] {
        assert!(text.contains(part.trim_end()), "{text}");
    }
    assert!(text.ends_with("    server one 127.0.0.1:1\n"));
}

#[test]
fn an_operators_text_that_works_against_ours_is_refused_with_what_to_do() {
    let mut document = named("minimal");
    document.ours.hard_stop_after = Millis::new(1000).ok();
    document.user = UserText {
        global: "maxconn 1\n  daemon # x\nstats socket \"/var/lib/roster/admin.sock\" level user\nhard-stop-after 1s\n\
                 defaults\nstats socket /other.sock\nserver-state-file /x"
            .to_owned(),
        defaults: "mode http\ndefaults second\n# frontend\n".to_owned(),
        sections: "\n# mine\n  timeout client 1s\nfrontend x".to_owned(),
    };
    let list = path_list("/var/lib/roster/one");
    document.crt_lists = vec![list.clone(), list];
    let errors = render(&document, V3_0).unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    line 2 of `global` is `daemon`; take it out: Roster starts HAProxy itself and follows its process
    line 3 of `global` has a stats socket at /var/lib/roster/admin.sock, where Roster puts its own; give it another path
    line 4 of `global` is `hard-stop-after`, which Roster writes itself; take it out
    line 5 of `global` begins a section with "defaults"; write it under `sections`, or leave that word out
    line 2 of `defaults` begins a section with "defaults"; write it under `sections`, or leave that word out
    line 3 of `sections` begins with "timeout", which is no section; begin with frontend, listen or the like
    /var/lib/roster/one would be two files; give each map and crt-list a path of its own
    "#);
}

fn path_list(path: &str) -> CrtList {
    CrtList { path: FilePath::new(path).unwrap(), entries: Vec::new() }
}

#[test]
fn a_line_that_haproxy_complains_of_is_found_in_its_section() {
    let rendered = rendered(&named("user_text"));
    let web = SectionKey::Backend(documents::backend_name("web"));
    for (number, line) in (1..).zip(rendered.config.lines()) {
        let ours = matches!(line, "backend web" | "    balance roundrobin") || line.contains("server srv1");
        if ours {
            assert_eq!(rendered.section_at(number), Some(&web), "{line}");
        } else if line.contains("stats") || line.contains("maxconn") || line.contains("elsewhere") {
            assert_eq!(rendered.section_at(number), None, "{line}");
        }
    }
    assert_eq!(rendered.section_at(0), None);
    assert_eq!(rendered.section_at(usize::MAX), None);
}

#[test]
fn no_password_of_the_operator_is_in_debug_output() {
    let document = named("user_text");
    let rendered = rendered(&document);
    for debug in [format!("{document:?}"), format!("{rendered:?}"), format!("{:?}", rendered.structure)] {
        assert!(!debug.contains("secret"), "{debug}");
    }
}

#[test]
fn what_is_written_about_balance_binds_and_modes_is_read_back() {
    for text in [
        "roundrobin",
        "static-rr",
        "leastconn",
        "first",
        "source",
        "uri",
        "random",
        "hdr(X-User)",
        "url_param u",
    ] {
        assert_eq!(text.parse::<Balance>().unwrap().to_string(), text);
    }
    assert_eq!("rdp-cookie".parse(), Ok(Balance::RdpCookie(FieldName::new("msts").unwrap())));
    for (given, written) in [
        ("*:80", "*:80"),
        (":80", "*:80"),
        ("0.0.0.0:80", "*:80"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("[::]:443", "[::]:443"),
        ("/run/web.sock", "unix@/run/web.sock"),
        ("unix@/run/web.sock", "unix@/run/web.sock"),
        ("fd@3", "fd@3"),
    ] {
        assert_eq!(given.parse::<BindAddress>().unwrap().to_string(), written);
    }
    for wrong in [
        "",
        "80",
        "web:80",
        "::1:80",
        "fd@x",
        "fd@+3",
        "*:0",
        "*:80 ssl",
        "/run/a b",
        "unix@x",
        "[10.0.0.1]:80",
    ] {
        assert!(wrong.parse::<BindAddress>().is_err(), "{wrong:?} was taken");
    }
    for wrong in ["", "hdr()", "hdr(a b)", "uri whole", "hdr(x", "roundrobin x", "map"] {
        assert!(wrong.parse::<Balance>().is_err(), "{wrong:?} was taken");
    }
}
