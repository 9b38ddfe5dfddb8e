use std::collections::BTreeSet;

use super::documents::{all, backend, backend_name, document, server};
use super::*;
use crate::keywords::HostName;
use crate::render::*;

const V3_4: Version = Version::new(3, 4, 0);

fn line(text: &str) -> RawLine {
    RawLine::new(Place::Backend, text).unwrap()
}

/// A backend of many settings.
fn shop(name: &str) -> Backend {
    let mut backend = backend(name, vec![server(1, "10.0.0.1:80")]);
    backend.strip_prefix = Some(PathPrefix::new("/shop").unwrap());
    backend.lines = vec![line("timeout server 3s"), line("option forwardfor")];
    backend.pool.balance = Balance::Uri;
    backend.pool.cookie = Some(FieldName::new("SRV").unwrap());
    backend.pool.check = Some(HttpCheck {
        method: CheckMethod::Get,
        path: RequestPath::new("/health").unwrap(),
        host: Some(HostName::new("example.org").unwrap()),
        expect: None,
    });
    backend
}

fn with(sections: Vec<Backend>, profiles: Vec<Profile>) -> Document {
    Document { profiles, ..document(FOLDER, sections.into_iter().map(Section::Backend).collect()) }
}

fn profiles() -> Vec<Profile> {
    let plain = Profile::default();
    let tcp = Profile { mode: Mode::Tcp, balance: Balance::LeastConn, ..Profile::default() };
    vec![Profile::of(&shop("any")), plain.clone(), tcp, plain]
}

fn at_3_4(document: &Document) -> Rendered {
    render(document, V3_4).unwrap()
}

fn live(before: &Document, after: &Document) -> Vec<String> {
    let live = at_3_4(before).structure.live_backends(&at_3_4(after).structure);
    live.iter().map(|backend| backend.name.to_string()).collect()
}

#[test]
fn each_profile_is_a_section_at_the_end_that_builds_on_a_copy_of_defaults() {
    let mut document = with(vec![backend("web", vec![server(1, "10.0.0.1:80")])], profiles());
    document.user.sections = "listen mine\n    bind :81".to_owned();
    let rendered = at_3_4(&document);
    insta::assert_snapshot!("profiles", rendered.config);
    assert_eq!(rendered.left_out, []);
    let profiles = |line: &(usize, &str)| rendered.is_profile_at(line.0);
    let (inside, before): (Vec<_>, Vec<_>) = (1..).zip(rendered.config.lines()).partition(profiles);
    assert!(before.iter().any(|(_, line)| *line == "listen mine"));
    assert_eq!(inside.iter().filter(|(_, line)| line.starts_with("defaults ")).count(), 4);
    assert!(inside.iter().all(|(line, _)| rendered.section_at(*line).is_none()));
    assert!(!rendered.is_profile_at(inside.last().unwrap().0 + 2));
}

#[test]
fn below_3_4_and_without_profiles_nothing_is_written_of_them() {
    for (name, before) in all(FOLDER) {
        let after = Document { profiles: profiles(), ..before.clone() };
        for version in [V2_6, V3_0, V3_2, Version::new(3, 3, 9)] {
            let (before, after) = (render(&before, version).unwrap(), render(&after, version).unwrap());
            assert_eq!(before.config, after.config, "{name}");
            assert_eq!(before.structure, after.structure, "{name}");
        }
        assert_eq!(at_3_4(&before).config.matches("\ndefaults roster-").count(), 0, "{name}");
        assert_eq!(at_3_4(&after).config.matches("\ndefaults roster-").count(), 4, "{name}");
    }
}

#[test]
fn a_name_stays_for_as_long_as_the_text_does() {
    let names = |document: &Document| {
        let config = at_3_4(document).config;
        let names = config.lines().filter_map(|line| line.strip_prefix("defaults roster-"));
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = with(Vec::new(), profiles());
    let mut after = before.clone();
    after.profiles.reverse();
    after.profiles.push(Profile { balance: Balance::First, ..Profile::default() });
    assert_eq!(at_3_4(&before).config, at_3_4(&with(Vec::new(), profiles())).config);
    assert!(names(&before).is_subset(&names(&after)) && names(&before).len() + 1 == names(&after).len());
}

#[test]
fn what_defaults_cannot_hold_or_hand_on_is_no_profile() {
    for text in [
        "acl a path /",
        "stick-table type ip size 1k",
        "stick on src",
        "http-request track-sc0 src",
        "http-request deny if a",
        "http-request deny if { path /x } a",
        "http-request deny unless a { path /x }",
        "http-request deny if { nbsrv(web) lt 1 }",
        "http-request set-header X %[srv_conn(web/s1)]",
        "http-request deny if { src_conn_rate gt 3 }",
        "http-request deny unless { http_auth(users) }",
        "http-request set-header X %[src,table_conn_cnt(web)]",
        "http-request cache-use c",
        "tcp-request content reject",
        "redirect location /",
        "force-persist if { path /x }",
        "compression algo gzip",
        "log global",
        "option httplog",
        "timeout client 3s",
        "max-session-srv-conns 3",
        "cookie SRV insert dynamic",
        "no option httpclose",
    ] {
        let profile = Profile { lines: vec![line("retries 1"), line(text)], ..Profile::default() };
        let rendered = at_3_4(&with(Vec::new(), vec![profile]));
        assert_eq!(rendered.config.matches("\ndefaults ").count(), 1, "{text}");
    }
    for profile in [
        Profile { balance: Balance::StaticRr, ..Profile::default() },
        Profile { lines: vec![RawLine::new(Place::Listen, "retries 1").unwrap()], ..Profile::default() },
    ] {
        let rendered = at_3_4(&with(Vec::new(), vec![profile]));
        assert_eq!(rendered.config.matches("\ndefaults ").count(), 1);
    }
    for text in [
        "timeout queue 5s",
        "http-request deny if { src 10.0.0.1 } or !{ path_beg /be }",
        "http-request set-header X-Port %[src_port]",
        "http-check expect status 200",
    ] {
        let profile = Profile { lines: vec![line(text)], ..Profile::default() };
        assert!(
            at_3_4(&with(Vec::new(), vec![profile])).config.ends_with(&format!("    {text}\n")),
            "{text}"
        );
    }
}

#[test]
fn nothing_builds_on_defaults_that_hold_rules() {
    for text in [
        "http-request deny",
        "  acl a path /",
        "\"tcp-request\" content accept",
        "htt\\p-request deny",
        "$RULE",
    ] {
        let mut document = with(Vec::new(), profiles());
        document.user.defaults = format!("# the operator's\n    timeout connect 1s\n{text}");
        assert_eq!(at_3_4(&document).config.matches("\ndefaults ").count(), 1, "{text}");
    }
}

#[test]
fn a_new_backend_of_a_known_profile_needs_no_reload() {
    let before = with(vec![backend("web", Vec::new())], profiles());
    let mut after =
        with(vec![backend("web", Vec::new()), shop("new"), backend("plain", Vec::new())], profiles());
    assert_eq!(live(&before, &after), ["new", "plain"]);
    let (was, is) = (at_3_4(&before).structure, at_3_4(&after).structure);
    let found = was.live_backends(&is);
    assert_eq!(found[0].mode, Mode::Http);
    let section = format!("\ndefaults {} from roster-", found[0].profile);
    assert!(at_3_4(&before).config.contains(&section));

    let added = found.iter().map(|backend| backend.name.clone()).collect();
    assert_eq!(was.with_backends(&is, &added).reload_reasons(&is), []);
    assert_eq!(was.with_backends(&is, &added).live_backends(&is), []);
    let one = BTreeSet::from([backend_name("new")]);
    let left = was.with_backends(&is, &one).reload_reasons(&is);
    assert_eq!(left, [ReloadReason::Added(SectionKey::Backend(backend_name("plain")))]);
    assert_eq!(was.with_backends(&is, &added).without_backends(&added), was);

    let Some(Section::Backend(shop)) = after.sections.get_mut(1) else { panic!("no backend") };
    shop.lines.pop();
    assert_eq!(live(&before, &after), ["plain"]);
}

#[test]
fn no_backend_comes_live_that_haproxy_would_refuse_or_make_otherwise() {
    let before = with(vec![backend("web", Vec::new())], profiles());
    let after = with(vec![backend("web", Vec::new()), shop("new")], profiles());
    let mut other = after.clone();
    other.user.defaults.push_str("\n    retries 1");
    assert_eq!(live(&before, &other), [""; 0]);

    let mut named = before.clone();
    named.sections.push(Section::Frontend(Frontend {
        name: FrontendName::new("new").unwrap(),
        mode: Mode::Http,
        binds: Vec::new(),
        lines: Vec::new(),
        routing: None,
        default_backend: None,
    }));
    assert_eq!(live(&named, &after), [""; 0]);
    let unknown = with(vec![backend("web", Vec::new())], Vec::new());
    assert_eq!(live(&unknown, &after), [""; 0]);
}

#[test]
fn other_profiles_alone_can_wait_for_the_next_reload() {
    let (before, after) = (with(Vec::new(), profiles()), with(Vec::new(), Vec::new()));
    let reasons = at_3_4(&before).structure.reload_reasons(&at_3_4(&after).structure);
    assert_eq!(reasons, [ReloadReason::Profiles]);
    assert!(reasons.iter().all(ReloadReason::can_wait));
}

#[test]
fn a_structure_that_was_kept_before_there_were_profiles_is_still_read() {
    let structure = at_3_4(&with(vec![shop("shop")], Vec::new())).structure;
    let mut json = serde_json::to_value(&structure).unwrap();
    assert!(json.as_object_mut().unwrap().remove("profiles").is_some());
    assert_eq!(serde_json::from_value::<Structure>(json).unwrap(), structure);
    let structure = at_3_4(&with(vec![shop("shop")], profiles())).structure;
    let json = serde_json::to_string(&structure).unwrap();
    assert_eq!(serde_json::from_str::<Structure>(&json).unwrap(), structure);
}

#[test]
fn from_3_3_on_no_two_sections_share_a_name() {
    let front = |name: &str| {
        Section::Frontend(Frontend {
            name: FrontendName::new(name).unwrap(),
            mode: Mode::Http,
            binds: Vec::new(),
            lines: Vec::new(),
            routing: None,
            default_backend: None,
        })
    };
    let back = |name: &str| Section::Backend(backend(name, Vec::new()));
    let document = document(FOLDER, vec![back("web"), front("web"), back(DEFAULTS)]);
    let left_out = |version| render(&document, version).unwrap().left_out.len();
    assert_eq!((left_out(V3_2), left_out(Version::new(3, 3, 0)), left_out(V3_4)), (0, 2, 2));
}
