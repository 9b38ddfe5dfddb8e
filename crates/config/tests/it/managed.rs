//! A target whose file Roster writes, and the keys of an exposure that only such a target has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use insta::assert_snapshot;
use roster_config::native::{
    AtExit, Config, Listeners, ManagedProcess, ManagedReach, Reach, ReloadBudget, ReloadBy,
};
use roster_core::exposure::Layout;
use roster_haproxy::render::{FilePath, Ours, RawLine};

use super::{COMPLETE, MINIMAL, env, errors, parse};

const SOURCES: &str = "sources: { fleet: { file: { path: services.yaml } } }\n";

/// A configuration with this one target, `own`.
fn with(managed: &str) -> String {
    format!("{SOURCES}targets: {{ own: {{ managed: {managed} }} }}\n")
}

fn reach_of(config: &Config, target: &str) -> ManagedReach {
    match config.targets.iter().find(|(name, _)| name.as_str() == target) {
        Some((_, Reach::Managed(reach))) => (**reach).clone(),
        other => panic!("{other:?}"),
    }
}

fn reach(managed: &str) -> ManagedReach {
    reach_of(&parse(&with(managed)).unwrap(), "own")
}

fn layout(backend: &str) -> Layout {
    let text = format!("{MINIMAL}  own: {{ managed: {{ config: haproxy.cfg }} }}\nexpose: [{{ {backend} }}]");
    (*parse(&text).unwrap().rules[0].layout).clone()
}

/// Each with its errors, where `{}` in `around` stands for it.
fn each_wrong(around: &str, entries: &[&str]) -> String {
    let one = |entry: &&str| format!("{entry}\n{}\n", errors(&around.replace("{}", entry)));
    entries.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_target_comes_to_what_it_says() {
    let config = parse(COMPLETE).unwrap();
    let edge = reach_of(&config, "edge");
    assert_eq!(edge.config, Path::new("/etc/haproxy/haproxy.cfg"));
    assert_eq!(
        (edge.haproxy.as_path(), edge.run_dir.as_path()),
        ("/usr/sbin/haproxy".as_ref(), "/run/roster".as_ref())
    );
    assert_eq!(edge.user.global, "maxconn 20000\nlog /dev/log local0\n");
    assert_eq!(edge.user.sections.lines().last(), Some("    default_backend mail"));
    let expected = ManagedProcess::Own {
        master_socket: "/run/roster/master.sock".parse().unwrap(),
        output: PathBuf::from("/run/roster/haproxy.log"),
        listen: Listeners::Held,
        at_exit: AtExit::Stop { graceful: Duration::from_secs(30) },
    };
    assert_eq!(edge.process, expected);
    let unit = reach_of(&config, "unit");
    assert_eq!(unit.config, Path::new("/etc/roster/unit/haproxy.cfg"));
    assert_eq!(unit.haproxy, Path::new("haproxy"));
    assert_eq!(unit.stats_socket.as_str(), "/run/haproxy/admin.sock");
    assert_eq!((unit.hard_stop_after, unit.max_reloads), (None, None));
    let reload = ReloadBy::Command {
        program: "systemctl".into(),
        arguments: ["reload", "haproxy"].map(str::to_owned).into(),
    };
    assert_eq!(unit.process, ManagedProcess::External { reload, timeout: Duration::from_secs(30) });
    let container = reach_of(&config, "container");
    assert_eq!(container.stats_socket.as_str(), "/run/roster/container/admin.sock");
    let reload = ReloadBy::Master("/run/haproxy-master.sock".into());
    assert_eq!(container.process, ManagedProcess::External { reload, timeout: Duration::from_secs(30) });
}

#[test]
fn the_file_to_write_is_all_that_must_be_said() {
    let reach = reach("{ config: haproxy.cfg }");
    let ours = Ours {
        stats_socket: "/run/roster/own/admin.sock".parse().unwrap(),
        expose_listeners: true,
        hard_stop_after: Duration::from_secs(300).try_into().ok(),
        state_file: "/run/roster/own/server-state".parse().ok(),
    };
    assert_eq!(reach.ours(), ours);
    let ManagedProcess::Own { listen, at_exit, .. } = reach.process else { panic!("{:?}", reach.process) };
    assert_eq!((listen, at_exit), (Listeners::Haproxy, AtExit::Keep));
    assert_eq!((reach.quiet.as_millis(), reach.at_most.as_millis()), (200, 2000));
    let budget = ReloadBudget { count: 30.try_into().unwrap(), per: Duration::from_secs(600) };
    assert_eq!(reach.max_reloads, Some(budget));
    assert_eq!((reach.timeout.as_secs(), reach.poll.as_secs()), (5, 1));
}

#[test]
fn paths_are_relative_to_the_folder_and_a_bare_name_is_looked_up() {
    let reach = reach(
        "{ config: ./h.cfg, haproxy: bin/haproxy, run_dir: run, process: { socket: s.sock, reload: { command: [./r] } } }",
    );
    assert_eq!(reach.haproxy, Path::new("/etc/roster/bin/haproxy"));
    assert_eq!(reach.run_dir, Path::new("/etc/roster/run"));
    assert_eq!(reach.stats_socket.as_str(), "/etc/roster/s.sock");
    let ManagedProcess::External { reload: ReloadBy::Command { program, .. }, .. } = reach.process else {
        panic!()
    };
    assert_eq!(program, Path::new("/etc/roster/./r"));
}

#[test]
fn text_of_the_operators_own_is_read_from_where_it_stands_and_in_no_output() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("base.cfg"), "userlist u\n    user a insecure-password hunter2\n\n")
        .unwrap();
    let text = with(
        "{ config: h.cfg, defaults: \"timeout connect ${BASE}s\", \
         sections: [\"userlist v\\n    user b insecure-password hunter2\", { file: base.cfg }, \"cache c\\n\"] }",
    );
    let config = Config::parse("roster.yaml", &text, folder.path(), &env()).unwrap();
    let user = reach_of(&config, "own").user;
    assert_eq!(user.defaults, "timeout connect 12s");
    let sections = "userlist v\n    user b insecure-password hunter2\n\n\
                    userlist u\n    user a insecure-password hunter2\n\ncache c";
    assert_eq!(user.sections, sections);
    let document = roster_config::document::Document::parse("roster.yaml", &text, &env()).unwrap();
    let file: roster_config::native::File = document.decode().unwrap();
    let shown = format!("{config:?} {file:?}");
    assert!(shown.contains("bytes") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn each_wrong_target_says_what_to_do() {
    let shown = each_wrong(
        &with("{}"),
        &[
            "{}",
            "{ config: '' }",
            "{ config: h.cfg, haproxy: '' }",
            "{ config: h.cfg, run_dir: 'my run' }",
            "{ config: h.cfg, run_dir: /a23456789/b23456789/c23456789/d23456789/e23456789/f23456789/g23456789/h2345678 }",
            "{ config: h.cfg, global: { file: nowhere.cfg } }",
            "{ config: h.cfg, global: { file: h.cfg } }",
            "{ config: h.cfg, global: { path: base.cfg } }",
            "{ config: h.cfg, global: [a, b] }",
            "{ config: h.cfg, global: daemon }",
            "{ config: h.cfg, global: \"maxconn 5\\nhard-stop-after 30s\" }",
            "{ config: h.cfg, global: 'stats socket /run/roster/own/admin.sock' }",
            "{ config: h.cfg, defaults: \"mode http\\nfrontend www\" }",
            "{ config: h.cfg, sections: 'bind *:80' }",
            "{ config: h.cfg, sections: ['cache c', 'total-max-size 4'] }",
            "{ config: h.cfg, process: systemd }",
            "{ config: h.cfg, process: {} }",
            "{ config: h.cfg, process: { reload: {} } }",
            "{ config: h.cfg, process: { reload: { command: systemctl } } }",
            "{ config: h.cfg, process: { reload: { command: [] } } }",
            "{ config: h.cfg, process: { reload: { command: [''] } } }",
            "{ config: h.cfg, process: { reload: { command: ['true'], master: /m.sock } } }",
            "{ config: h.cfg, process: { reload: { master: /m.sock, timeout: 0s } } }",
            "{ config: h.cfg, process: { reload: { master: /m.sock }, socket: 'a b' } }",
            "{ config: h.cfg, process: { reload: { master: /m.sock } }, listen: held, on_exit: stop, stop: {} }",
            "{ config: h.cfg, stop: { graceful: 5s } }",
            "{ config: h.cfg, on_exit: leave, listen: hold }",
            "{ config: h.cfg, hard_stop_after: 0s }",
            "{ config: h.cfg, hard_stop_after: never }",
            "{ config: h.cfg, settle: { quiet: 3s } }",
            "{ config: h.cfg, max_reloads: 30 }",
            "{ config: h.cfg, max_reloads: { count: 0, per: 10m } }",
            "{ config: h.cfg, max_reloads: { per: 0s } }",
            "{ config: h.cfg, timeout: 0s, poll: 0s }",
        ],
    );
    assert_snapshot!(shown);
}

#[test]
fn targets_that_would_write_over_each_other_are_told() {
    let text = format!(
        "{SOURCES}targets:
  a: {{ managed: {{ config: h.cfg, run_dir: run }} }}
  b: {{ managed: {{ config: ./h.cfg, run_dir: run/ }} }}
  c: {{ managed: {{ config: c.cfg, process: {{ reload: {{ master: m.sock }}, socket: run/admin.sock }} }} }}
"
    );
    assert_snapshot!(errors(&text), @"
    roster.yaml:4:27: this file is that of target `a` too; give each its own
    roster.yaml:4:45: this folder is that of target `a` too; give each its own
    roster.yaml:5:81: this socket is that of target `a` too; give each its own
    3 errors; nothing was applied
    ");
}

#[test]
fn a_value_from_the_environment_is_in_no_error_of_a_target() {
    let text = "\
sources: { fleet: { file: { path: services.yaml } } }
targets:
  own:
    managed:
      config: h.cfg
      run_dir: '/${SECRET_NAME} x'
      global: { file: '${SECRET_NAME}' }
  other:
    managed:
      config: h2.cfg
      global: '${SECRET_NAME} daemon'
      sections: 'no ${SECRET_NAME}'
expose: [{ on: own, backend: { bind: '${SECRET_NAME}', lines: '${SECRET_NAME}', balance: '${SECRET_NAME}' } }]
";
    let shown =
        format!("{}\n\n{}", errors(text), errors(&text.lines().take(12).collect::<Vec<_>>().join("\n")));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown);
}

#[test]
fn a_backend_is_laid_out_as_it_says() {
    let config = parse(COMPLETE).unwrap();
    let named = |name: &str| {
        let rule = config.rules.iter().find(|rule| match &rule.services {
            roster_core::exposure::Services::Listed(keys) => keys.iter().any(|key| key.to_string() == name),
            _ => false,
        });
        rule.unwrap().layout.clone()
    };
    let shop = named("fleet/shop");
    assert_eq!((shop.mode.word(), shop.balance.to_string().as_str()), ("http", "hdr(X-Tenant)"));
    let lines: Vec<_> = shop.lines.iter().map(RawLine::as_str).collect();
    assert_eq!(lines, ["option forwardfor", "http-request set-header X-Forwarded-Proto https"]);
    let check = shop.check.as_ref().unwrap();
    assert_eq!((check.method.word(), check.path.as_str()), ("GET", "/health?full=1"));
    assert_eq!(check.host.as_ref().unwrap().as_str(), "web.internal");
    assert_eq!(check.expect.unwrap().to_string(), "200-299");
    assert_eq!(shop.cookie.as_ref().unwrap().as_str(), "SRV");
    let binds: Vec<_> = shop.binds.iter().map(ToString::to_string).collect();
    let tls = "[::]:443 name tls v4v6 accept-proxy ssl crt-list /etc/roster/certs/list.txt strict-sni ssl-min-ver TLSv1.2 \
               alpn h2,http/1.1";
    assert_eq!(binds, ["*:80", tls]);
    let mail = named("fleet/mail");
    assert_eq!(
        (mail.mode.word(), mail.check.as_ref().unwrap().expect.unwrap().to_string()),
        ("tcp", "204".to_owned())
    );
    assert_eq!(
        mail.binds[0].to_string(),
        "unix@/run/roster/mail.sock ssl crt-list /etc/haproxy/certs.txt ssl-min-ver TLSv1.3"
    );
    assert_eq!(*named("fleet/api"), Layout::default());
}

#[test]
fn an_exposure_that_reaches_a_managed_target_too_has_its_keys() {
    assert_eq!(layout("backend: { mode: tcp }").mode.word(), "tcp");
    assert_eq!(layout("on: [local, own], backend: { balance: first }").balance.to_string(), "first");
    let around = format!(
        "{MINIMAL}  far: {{ runtime: {{ tcp: far:1 }} }}\n  own: {{ managed: {{ config: h.cfg }} }}\nexpose: [{{}}]"
    );
    let shown = each_wrong(
        &around,
        &[
            "{ on: local, backend: { mode: http } }",
            "{ on: [local, far], backend: { balance: first, lines: retries 1, bind: '*:80' } }",
            "{ on: local, server: { check: true, cookie: true }, backend: { http_check: {}, cookie: SRV } }",
            "{ on: elsewhere, backend: { mode: http } }",
        ],
    );
    assert_snapshot!(shown);
}

#[test]
fn each_wrong_layout_says_what_to_do() {
    let around = format!("{}expose: [{{}}]", with("{ config: h.cfg }"));
    let shown = each_wrong(
        &around,
        &[
            "{ backend: { mode: udp } }",
            "{ backend: { balance: fastest } }",
            "{ backend: { mode: tcp, balance: uri } }",
            "{ backend: { mode: tcp, cookie: SRV }, server: { cookie: true } }",
            "{ backend: { cookie: SRV } }",
            "{ backend: { cookie: 'S V' }, server: { cookie: true } }",
            "{ backend: { http_check: {} } }",
            "{ backend: { http_check: { method: POST, path: health } }, server: { check: true } }",
            "{ backend: { http_check: { expect: [299, 200] } }, server: { check: true } }",
            "{ backend: { http_check: { expect: [200, 204, 301] } }, server: { check: true } }",
            "{ backend: { http_check: { expect: 99 } }, server: { check: true } }",
            "{ backend: { lines: [] } }",
            "{ backend: { lines: [option forwardfor, 'server x 10.0.0.1:80'] } }",
            "{ backend: { lines: option forwardfrom } }",
            "{ backend: { lines: \"retries 1\\nserver x 10.0.0.1:80\" } }",
            "{ backend: { bind: 80 } }",
            "{ backend: { bind: ['*:80', 'fd@3'] } }",
            "{ backend: { bind: run/web.sock } }",
            "{ backend: { bind: /a23456789/b23456789/c23456789/d23456789/e23456789/f23456789/g23456789/h23456789/i/web.sock } }",
            "{ backend: { bind: { crt_list: certs.txt } } }",
            "{ backend: { bind: { at: '*:443', crt_list: 'my certs.txt' } } }",
            "{ backend: { bind: { at: '*:443', strict_sni: true, ssl_min_ver: TLSv1.2, alpn: h2, v4v6: true } } }",
            "{ backend: { bind: { at: '[::]:443', crt_list: certs.txt, ssl_min_ver: TLSv1.1 } } }",
            "{ backend: { bind: ['*:80', { at: ':80' }] } }",
            "{ service: [fleet/a, fleet/b], backend: { bind: '*:80' } }",
            "{ service: fleet/a, backend: { bind: '*:80' } }, { service: fleet/b, backend: { bind: ['*:81', '0.0.0.0:80'] } }",
        ],
    );
    assert_snapshot!(shown);
}

#[test]
fn a_frontend_and_its_routes_are_as_they_say() {
    let config = parse(COMPLETE).unwrap();
    let edge = reach_of(&config, "edge");
    let [public, streams] = edge.frontends.as_slice() else { panic!("{:?}", edge.frontends) };
    let binds: Vec<_> = public.section.binds.iter().map(ToString::to_string).collect();
    let list = "/etc/haproxy/haproxy.cfg.public.crt-list";
    assert_eq!(binds, ["*:8443".to_owned(), format!("*:9443 ssl crt-list {list} strict-sni")]);
    assert_eq!(
        public.maps.each_ref().map(FilePath::as_str),
        ["/etc/haproxy/haproxy.cfg.public.hosts.map", "/etc/haproxy/haproxy.cfg.public.paths.map"]
    );
    let [certificates] = public.certificates.as_slice() else { panic!("{:?}", public.certificates) };
    assert_eq!(certificates.list.as_str(), list);
    let from: Vec<_> = certificates.from.iter().map(ToString::to_string).collect();
    assert_eq!(from, ["/etc/roster/first.pem", "/etc/roster/certs"]);
    assert_eq!((streams.section.mode.word(), streams.certificates.len()), ("tcp", 0));
    let routes = config.rules.iter().flat_map(|rule| &rule.layout.routes);
    let routes: Vec<_> = routes.filter(|route| route.frontend.as_str() == "public").collect();
    let [host, both] = routes.as_slice() else { panic!("{routes:?}") };
    assert_eq!(host.host.as_ref().unwrap().as_str(), "{service}.example.org");
    assert_eq!(both.path.as_ref().unwrap().as_str(), "/{service}");
}

#[test]
fn each_wrong_frontend_and_route_says_what_to_do() {
    let target = "{ config: h.cfg, frontends: { web: { bind: '*:80' }, raw: { bind: '*:81', mode: tcp } } }";
    let routes = format!("{}expose: [{{ backend: {{ route: {{}} }} }}]", with(target));
    let shown = each_wrong(
        &routes,
        &[
            "{ host: a.org }",
            "{ frontend: web }",
            "{ frontend: wob, host: a.org }",
            "{ frontend: raw, host: a.org }",
            "{ frontend: web, host: 'a b' }",
            "{ frontend: web, host: '{slot}.org' }",
            "{ frontend: web, path: api }",
            "[{ frontend: web, path: /api }, { frontend: web, hots: a.org }]",
        ],
    );
    let frontends = with("{ config: h.cfg, frontends: { {} } }");
    let more = each_wrong(
        &frontends,
        &[
            "web: {}",
            "'my web': { bind: '*:80' }",
            "web: { bind: '*:80', lines: 'bind *:81' }",
            "web: { bind: { at: '*:443', crt_list: a.txt, certificates: certs } }",
            "web: { bind: { at: '*:443', certificates: 'my certs' } }",
            "web: { bind: ['*:80', '0.0.0.0:80'] }",
        ],
    );
    let elsewhere = format!(
        "{}expose: [{{ backend: {{ bind: {{ at: '*:443', certificates: certs }} }} }}]",
        with("{ config: h.cfg }")
    );
    let runtime = format!("{MINIMAL}expose: [{{ backend: {{ route: {{ frontend: web, path: / }} }} }}]");
    assert_snapshot!(format!("{shown}\n{more}\n{}\n\n{}", errors(&elsewhere), errors(&runtime)));
}

#[test]
fn the_example_is_a_configuration() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/managed");
    let text = fs::read_to_string(example.join("roster.yaml")).unwrap();
    // Wherever the checkout is, its path may be longer than a socket's.
    let config = Config::parse("roster.yaml", &text, Path::new("/example"), &env()).unwrap();
    let reach = reach_of(&config, "own");
    assert_eq!(reach.config, Path::new("/example/run/haproxy.cfg"));
    let binds: Vec<_> =
        config.rules.iter().flat_map(|rule| &rule.layout.binds).map(ToString::to_string).collect();
    assert_eq!(binds, ["127.0.0.1:8080"]);
}
