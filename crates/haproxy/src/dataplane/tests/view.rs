use super::*;
use crate::dataplane::Strategy::{CreateNew, FailOnConflict, TakeOver, UseExisting};
use crate::render::Balance;

fn shown(text: &str) -> String {
    use std::fmt::Write as _;
    let (view, mut shown) = (FileView::read(text), String::new());
    writeln!(shown, "version {:?} checksum {:?} preamble {:?}", view.version, view.checksum, view.preamble)
        .unwrap();
    for section in &view.sections {
        writeln!(
            shown,
            "{} {:?} from {:?} above {:?}",
            section.keyword, section.name, section.from, section.comments
        )
        .unwrap();
    }
    for backend in &view.backends {
        let BackendView { name, mark, mode, algorithm, default_server, servers, templates, .. } = backend;
        let mark = mark.as_ref().map(Mark::to_string);
        writeln!(shown, "\n{name}: {mark:?} mode {mode} default-server {default_server}").unwrap();
        writeln!(shown, "  balance {:?} dynamic {}", algorithm.text, algorithm.is_dynamic()).unwrap();
        for server in servers {
            let ServerView { name, address, endpoint, weight, disabled, check, backup, cookie, .. } = server;
            let endpoint = endpoint.map(|endpoint| endpoint.to_string());
            let weight = weight.map(Weight::get);
            writeln!(
                shown,
                "  {name:?} {address:?} {endpoint:?} weight {weight:?} starts {}",
                server.start_weight()
            )
            .unwrap();
            let id = server.id.map(ServerId::get);
            writeln!(
                shown,
                "    disabled {disabled} check {check} {:?} backup {backup} cookie {cookie:?} id {id:?} understood {}",
                server.check_port, server.understood
            )
            .unwrap();
        }
        for template in templates {
            writeln!(shown, "  template {template:?}").unwrap();
        }
    }
    for frontend in &view.frontends {
        writeln!(shown, "\n{}: mode {} routes {:?}", frontend.name, frontend.mode, frontend.routes).unwrap();
    }
    shown
}

#[test]
fn a_file_is_read_as_haproxy_does() {
    insta::assert_snapshot!("odd", shown(ODD));
}

#[test]
fn a_file_says_the_same_before_and_after_the_api_wrote_it() {
    insta::assert_snapshot!("by_api", shown(BY_API));
    let servers = |text: &str| shown(text).split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(servers(BY_HAND), servers(BY_API));
}

#[test]
fn a_mark_is_read_where_the_api_puts_it_and_nowhere_else() {
    for text in
        ["# Kept by Roster: service a/b\nbackend x\n", "# mine\n# Kept by Roster: service a/b\nbackend x\n"]
    {
        assert_eq!(FileView::read(text).backends[0].mark, Some(mark("a/b")), "{text}");
    }
    for text in [
        "backend y\n  # Kept by Roster: service a/b\nbackend x\n",
        "# Kept by Roster: service a/b\n\nbackend x\n",
        "# kept by roster: service a/b\nbackend x\n",
        "# Kept by Roster: service a\nbackend x\n",
        "# Kept by Roster: service a/b;c\nbackend x\n",
    ] {
        assert_eq!(FileView::read(text).backend("x").unwrap().mark, None, "{text}");
    }
}

#[test]
fn an_algorithm_is_dynamic_where_haproxy_takes_servers_live() {
    for (lines, dynamic) in [
        ("", true),
        ("balance roundrobin", true),
        ("balance static-rr", false),
        ("balance random(3)", true),
        ("balance uri whole", false),
        ("balance uri depth 3\n hash-type consistent sdbm", true),
        ("balance source\n hash-type map-based", false),
        ("balance url_param id check_post\n hash-type consistent", true),
        ("balance hash req.cookie(x)\n hash-type consistent", true),
        ("balance hash req.cookie(x)", false),
        ("balance sticky", false),
    ] {
        let text = format!("backend x\n {lines}\n");
        assert_eq!(FileView::read(&text).backends[0].algorithm.is_dynamic(), dynamic, "{lines}");
    }
}

#[test]
fn only_a_compatible_backend_of_somebody_else_is_used() {
    let text = "# Kept by Roster: service a/b\nbackend ours\n balance static-rr\nbackend plain\nbackend fixed\n \
                balance static-rr\n# Kept by Roster: service a/b\nlisten odd\n";
    let view = FileView::read(text);
    let judge = |strategy: Strategy, name: &str, wanted: Option<Balance>| {
        strategy.judge(&view, &backend(name), wanted.as_ref())
    };
    for strategy in [UseExisting, TakeOver, CreateNew, FailOnConflict] {
        assert_eq!(judge(strategy, "new", None), Ok(Verdict::Create));
        assert_eq!(judge(strategy, "ours", Some(Balance::LeastConn)), Ok(Verdict::Ours));
        assert!(matches!(judge(strategy, "odd", None), Err(Conflict::Name { .. })));
    }
    assert_eq!(judge(UseExisting, "plain", Some(Balance::RoundRobin)), Ok(Verdict::ServersOnly));
    assert_eq!(judge(UseExisting, "plain", None), Ok(Verdict::ServersOnly));
    assert!(matches!(judge(UseExisting, "plain", Some(Balance::LeastConn)), Err(Conflict::Algorithm { .. })));
    assert!(matches!(judge(UseExisting, "fixed", Some(Balance::StaticRr)), Err(Conflict::Static { .. })));
    assert_eq!(judge(TakeOver, "plain", Some(Balance::LeastConn)), Ok(Verdict::ServersOnly));
    assert_eq!(judge(TakeOver, "fixed", Some(Balance::RoundRobin)), Ok(Verdict::ServersOnly));
    assert_eq!(judge(CreateNew, "plain", None), Err(Conflict::Exists(backend("plain"))));
    assert_eq!(judge(FailOnConflict, "plain", None), Err(Conflict::Forbidden(backend("plain"))));
}

#[test]
fn a_template_makes_the_servers_with_its_numbers() {
    let view = FileView::read("backend x\n server-template web 2-4 h:80\n server-template b 2 h:80\n");
    let made: Vec<&str> = ["web1", "web2", "web4", "web5", "web02", "b1", "b2", "b3", "web"]
        .into_iter()
        .filter(|name| view.backends[0].is_made_of_template(name))
        .collect();
    assert_eq!(made, ["web2", "web4", "b1", "b2"]);
}
