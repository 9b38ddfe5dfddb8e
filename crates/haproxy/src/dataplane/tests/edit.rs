use super::*;

fn set(endpoint: &str) -> ServerChange {
    ServerChange { endpoint: Some(super::endpoint(endpoint)), ..ServerChange::default() }
}

fn weighs(number: u32) -> ServerChange {
    ServerChange { weight: WeightChange::Set(weight(number)), ..ServerChange::default() }
}

fn disabled(disabled: bool) -> ServerChange {
    ServerChange { disabled: Some(disabled), ..ServerChange::default() }
}

fn shows(of: &str, name: &str, changes: ServerChange) -> String {
    difference(ODD, &edited(ODD, &[change(of, name, changes)]))
}

#[test]
fn a_changed_line_keeps_all_else_that_stands_on_it() {
    let all = ServerChange {
        endpoint: Some(endpoint("[fd00::9]:8080")),
        weight: WeightChange::Set(weight(9)),
        disabled: Some(true),
        check_port: "81".parse().ok(),
    };
    let shown: String = ["s 1", "s2", "s3", "s4", "s5", "s6"]
        .iter()
        .filter_map(|name| Some(shows("web", ServerName::new(name).ok()?.as_str(), all)))
        .chain([shows("static", "l1", all), shows("checked", "c1", all), shows("checked", "c2", all)])
        .collect();
    insta::assert_snapshot!("changed_lines", shown);
}

#[test]
fn what_the_line_says_already_is_not_written() {
    for (of, name, same) in [
        ("web", "s2", set("10.0.0.2:80")),
        ("web", "s2", weighs(5)),
        ("web", "s3", weighs(4)),
        ("web", "s4", weighs(2)),
        ("web", "s4", set("[fd00::4]:80")),
        ("web", "s4", disabled(false)),
        ("web", "s5", weighs(1)),
        ("checked", "c1", weighs(7)),
        ("checked", "c1", disabled(true)),
        ("checked", "c2", disabled(false)),
    ] {
        assert_eq!(shows(of, name, same), "", "{of}/{name} {same:?}");
    }
}

#[test]
fn maintenance_by_default_server_is_ended_by_a_word_of_its_own() {
    assert_eq!(
        shows("checked", "c1", disabled(false)),
        "-  server c1 10.0.1.1:80\n+  server c1 10.0.1.1:80 enabled\n"
    );
    assert_eq!(
        shows("checked", "c2", disabled(true)),
        "-  server c2 10.0.1.2:80 weight 1 enabled no-check\n+  server c2 10.0.1.2:80 weight 1 no-check\n"
    );
}

#[test]
fn a_weight_that_goes_leaves_no_trace() {
    let gone = ServerChange { weight: WeightChange::Remove, ..ServerChange::default() };
    assert!(shows("web", "s4", gone).ends_with("+  server s4 fd00::4:80 disabled enabled\n"));
    assert_eq!(shows("web", "s5", gone), "");
}

#[test]
fn a_weight_that_a_line_has_anyway_needs_no_word() {
    assert!(
        shows("web", "s2", weighs(1))
            .ends_with("+  server s2 'ipv4@10.0.0.2:80'\tcheck # \"quoted\", not a comment's end\n")
    );
    assert!(shows("checked", "c2", weighs(7)).ends_with("+  server c2 10.0.1.2:80 enabled no-check\n"));
    assert!(shows("checked", "c1", weighs(1)).ends_with("+  server c1 10.0.1.1:80 weight 1\n"));
}

fn shaped(of: &str, name: &str, check: Option<CheckKeywords>, cookie: Option<&str>) -> String {
    let cookie = cookie.map(|cookie| cookie.parse().unwrap());
    let shape = Box::new(ServerShape { check, cookie });
    let edit = Edit::Shape { backend: backend(of), server: server(name), shape };
    difference(ODD, &edited(ODD, &[edit]))
}

#[test]
fn a_line_gets_the_check_and_the_cookie_and_keeps_the_rest() {
    let check = || line(1).keywords.check;
    let plain = || Some(CheckKeywords::default());
    assert!(
        shaped("checked", "c2", plain(), Some("c2"))
            .ends_with("+  server c2 10.0.1.2:80 cookie c2 weight 1 enabled check\n")
    );
    assert!(
        shaped("checked", "c2", check(), None)
            .ends_with("+  server c2 10.0.1.2:80 inter 500ms weight 1 enabled check\n")
    );
    assert!(shaped("static", "l1", plain(), None).ends_with("+  server l1 10.0.2.1:80 port 99 check\n"));
    // A word that is not known might take the one behind it for its value.
    assert!(shaped("web", "s3", plain(), None).contains("+  server s3 [fd00::3]:80 check cookie s3"));
    assert!(shaped("web", "s3", None, Some("x")).contains("+  server s3 [fd00::3]:80 cookie x backup"));
    assert_eq!(shaped("checked", "c1", None, None), "");
}

#[test]
fn a_server_comes_behind_the_last_one_and_goes_again() {
    let add = Edit::AddServer { backend: backend("app"), server: Box::new(line(4)) };
    let more = edited(BY_HAND, std::slice::from_ref(&add));
    assert_eq!(difference(BY_HAND, &more), "+    server srv4 10.0.0.4:80 id 4 check inter 500ms\n");
    assert!(more.contains("weight 30\n    server srv4 10.0.0.4:80 id 4 check inter 500ms\n\nbackend two\n"));
    assert_eq!(edited(&more, std::slice::from_ref(&add)), more, "a second time");
    let rewritten = more.replace("check inter 500ms", "inter 500 check");
    assert_eq!(edited(&rewritten, std::slice::from_ref(&add)), rewritten, "as the API may write it");
    let gone = Edit::RemoveServer { backend: backend("app"), server: server("srv4") };
    assert_eq!(edited(&more, std::slice::from_ref(&gone)), BY_HAND);
    assert_eq!(edited(BY_HAND, &[gone]), BY_HAND, "one that is not there");
}

#[test]
fn a_server_comes_into_an_empty_backend_and_behind_a_last_line_without_end() {
    let add = |to: &str| [Edit::AddServer { backend: backend(to), server: Box::new(line(1)) }];
    let new = "    server srv1 10.0.0.1:80 id 1 check inter 500ms\n";
    assert_eq!(edited("backend x", &add("x")), format!("backend x\n{new}"));
    let text = "backend x\n\n# next\nbackend y\n";
    assert_eq!(edited(text, &add("x")), format!("backend x\n{new}\n# next\nbackend y\n"));
    let text = "backend x\n\tserver s 10.0.0.9:80";
    assert_eq!(edited(text, &add("x")), format!("{text}\n\t{}", new.trim_start()));
}

#[test]
fn many_edits_of_one_text_count_in_their_order() {
    let add = Edit::AddServer { backend: backend("two"), server: Box::new(line(1)) };
    let edits = [
        add.clone(),
        change("two", "srv1", weighs(3)),
        change("two", "srv1", set("10.9.9.9:80")),
        Edit::RemoveServer { backend: backend("two"), server: server("t1") },
        change("two", "srv1", weighs(8)),
    ];
    assert_eq!(
        difference(BY_HAND, &edited(BY_HAND, &edits)),
        "-  server t1 127.0.0.1:29001\n+  server srv1 10.9.9.9:80 weight 8 id 1 check inter 500ms\n"
    );
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_is_changed() {
    let error = |text: &str, edit: Edit| apply(text, &[edit], V3_0).unwrap_err().to_string();
    insta::assert_snapshot!(
        "refused",
        [
            error(ODD, change("nowhere", "s1", weighs(1))),
            error(ODD, change("web", "s9", weighs(1))),
            error(ODD, change("checked", "t2", weighs(1))),
            error(ODD, change("many", "m1", weighs(1))),
            error("backend x\n server a 10.0.0.1:80\n server a 10.0.0.2:80\n", change("x", "a", weighs(3))),
            error(BY_HAND, put("fleet/app", whole("app", 1))),
            error(ODD, Edit::RemoveBackend { mark: mark("fleet/other"), backend: backend("web") }),
            error(BY_HAND, Edit::Checks { backend: backend("app"), check: None }),
            error(BY_HAND, Edit::Routes { frontend: frontend("nowhere"), routes: Vec::new() }),
            error(
                "frontend fe\n bind :80\n",
                Edit::Routes { frontend: frontend("fe"), routes: vec![route("a.example", "", "x")] },
            ),
        ]
        .join("\n")
    );
}

/// What the API makes of a section: two blanks before each line, `inter` with another unit, sorted lines.
fn rewritten(text: &str, name: &str) -> String {
    let header = format!("backend {name}\n");
    let (before, rest) = text.split_once(&header).unwrap();
    let (inside, after) = rest.split_once("\n\n").unwrap_or((rest.trim_end(), ""));
    let mut lines: Vec<String> = inside.lines().map(|line| format!("  {}", line.trim())).collect();
    lines.sort_by_key(|line| (line.contains(" server "), line.split(' ').nth(2).map(str::to_owned)));
    let lines = lines.join("\n").replace("500ms", "500");
    let lines = lines.replace("insert indirect nocache", "indirect nocache insert");
    let gap = if after.is_empty() { "\n" } else { "\n\n" };
    format!("{before}{header}{lines}{gap}{after}")
}

#[test]
fn a_backend_of_ours_is_what_was_wanted_though_the_api_wrote_it_anew() {
    let edit = put("fleet/web", whole("fresh", 3));
    let made = edited(BY_HAND, std::slice::from_ref(&edit));
    insta::assert_snapshot!("new_backend", made.strip_prefix(BY_HAND).unwrap());
    assert_eq!(edited(&made, std::slice::from_ref(&edit)), made);
    let by_api = rewritten(&made, "fresh");
    assert_ne!(by_api, made);
    assert_eq!(edited(&by_api, &[edit]), by_api);
}

#[test]
fn only_the_servers_that_differ_are_written_where_the_rest_is_the_same() {
    let made = rewritten(&edited(BY_HAND, &[put("fleet/web", whole("fresh", 3))]), "fresh");
    let mut other = whole("fresh", 4);
    other.pool.servers.remove(0);
    other.pool.servers[0].weight = Some(weight(5));
    assert_eq!(
        difference(&made, &edited(&made, &[put("fleet/web", other)])),
        "-  server srv1 10.0.0.1:80 id 1 check inter 500\n\
         -  server srv2 10.0.0.2:80 id 2 check inter 500\n\
         +  server srv2 10.0.0.2:80 id 2 weight 5 check inter 500ms\n\
         +  server srv4 10.0.0.4:80 id 4 check inter 500ms\n"
    );
}

#[test]
fn another_backend_of_ours_takes_the_place_of_the_old_one_and_its_mark() {
    let made = edited(BY_HAND, &[put("fleet/web", whole("fresh", 1)), put("fleet/last", whole("last", 1))]);
    let mut other = whole("fresh", 2);
    other.pool.balance = crate::render::Balance::LeastConn;
    other.pool.check = None;
    let changed = edited(&made, &[put("jobs/web", other)]);
    insta::assert_snapshot!("changed_backend", changed.strip_prefix(BY_HAND).unwrap());
}

#[test]
fn a_mark_comes_above_a_backend_without_one_and_takes_no_others_place() {
    let mark_of = |service: &str, name: &str| Edit::Mark { mark: mark(service), backend: backend(name) };
    let text = "# a note\nbackend web\n server a 10.0.0.1:80\n";
    let marked = edited(text, &[mark_of("fleet/web", "web")]);
    assert_eq!(marked, "# a note\n# Kept by Roster: service fleet/web\nbackend web\n server a 10.0.0.1:80\n");
    assert_eq!(edited(&marked, &[mark_of("jobs/web", "web")]), marked);
    let said = "backend web # {\"comment\":\"Kept by Roster: service fleet/web\"}\n";
    assert_eq!(edited(said, &[mark_of("fleet/web", "web")]), said);
    assert!(apply(text, &[mark_of("fleet/api", "api")], V3_0).is_err());
}

#[test]
fn a_backend_of_ours_goes_with_its_mark_and_leaves_what_is_not_ours() {
    let made = edited(BY_HAND, &[put("fleet/web", whole("fresh", 2))]);
    let remove = Edit::RemoveBackend { mark: mark("fleet/web"), backend: backend("fresh") };
    assert_eq!(edited(&made, std::slice::from_ref(&remove)).trim_end(), BY_HAND.trim_end());
    let among = "# Kept by Roster: service fleet/web\n# a note\nbackend fresh\n server a 10.0.0.1:80\n\n# next\nbackend y\n";
    assert_eq!(edited(among, &[remove]), "# a note\n# next\nbackend y\n");
}

#[test]
fn the_checks_of_a_backend_of_ours_ask_what_is_wanted() {
    let made = edited(BY_HAND, &[put("fleet/web", whole("fresh", 1))]);
    let with = |check| [Edit::Checks { backend: backend("fresh"), check }];
    let none = edited(&made, &with(None));
    insta::assert_snapshot!("no_checks", difference(&made, &none));
    let check = whole("fresh", 1).pool.check;
    assert_eq!(edited(&made, &with(check.clone())), made);
    let back = edited(&none, &with(check));
    assert!(back.contains("expect status 200-399\n    server srv1 "), "{back}");
}

#[test]
fn a_backend_is_not_added_behind_a_condition_that_does_not_end() {
    let added = put("a/b", whole("b1", 1));
    for text in [".if", "backend a\n.if streq(x,y)\n  server s 10.0.0.1:80\n"] {
        let refused = apply(text, std::slice::from_ref(&added), V3_0);
        assert_eq!(refused, Err(EditError::Conditional("b1".to_owned())), "{text}");
    }
    assert!(apply("backend a\n.if streq(x,y)\n.endif\n", &[added], V3_0).is_ok());
}

#[test]
fn a_comment_at_the_end_stays_with_the_section_before_it() {
    let text = "backend a\n  server s 10.0.0.1:80\n# the end\n\n  # and more\n# of it";
    let two = [put("fleet/x", whole("x", 0)), put("fleet/y", whole("y", 0))];
    let more = edited(text, &two);
    assert!(
        more.starts_with("backend a\n  server s 10.0.0.1:80\n  # the end\n\n  # and more\n  # of it\n"),
        "{more}"
    );
    let view = FileView::read(&more);
    assert_eq!(view.sections[1].comments.len(), 1, "only the mark: {more}");
    assert_eq!(edited(&more, &two), more);
    assert_eq!(with_section(text, ""), text);
    assert!(with_section(text, "\nbackend z\n").contains("\n  # of it\nbackend z\n"));
}
