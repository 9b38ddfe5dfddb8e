//! What holds for any text and any edits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::Operation;
use super::*;
use crate::change::Change;
use crate::observed::State;

const V2_6: Version = Version::new(2, 6, 12);

const PIECES: &[&str] = &[
    "backend b1",
    "backend b1 from d",
    "frontend fe",
    "listen l",
    "defaults",
    "defaults d",
    "global",
    "server",
    "server s1 10.0.0.1:80",
    "server s2 \"10.0.0.2:80\" weight",
    "default-server",
    "weight",
    "5",
    "disabled",
    "enabled",
    "check",
    "use_backend",
    "acl",
    "roster_0",
    "roster_",
    "path_beg",
    "/x",
    "if",
    "mode http",
    "balance",
    "hash-type",
    "server-template t 1-",
    "\n",
    "\n",
    "\n ",
    "\n  ",
    "\n\n",
    "\r\n",
    "\t",
    " ",
    "#",
    "# _version=",
    "# _md5hash=",
    "# Kept by Roster: service a/b",
    "\"",
    "'",
    "\\",
    "\\\n",
    "$",
    "${X}",
    "é",
    "\0",
    "\u{b}",
    ".if",
    ".endif",
    ":",
    "[",
    "]",
    "99999999999999999999",
    "option httpchk",
    "http-check send",
];

/// Text of pieces that mean something, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES).prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![4 => piece, 1 => ".{0,6}"], 0..60).prop_map(|pieces| pieces.concat())
}

/// A file that HAProxy could take, with much in it that is not ours.
fn file() -> impl Strategy<Value = String> {
    let server = |n: usize| {
        let rest = prop::collection::vec(
            prop::sample::select(vec![
                "weight 7",
                "check",
                "inter 500",
                "disabled",
                "enabled",
                "backup",
                "cookie c",
                "port 81",
                "frob 1",
                "weight 2",
                "sni str(\"a b\")",
            ]),
            0..5,
        );
        let end = prop::sample::select(vec!["", " ", " # note", "\t#weight 9", "\r"]);
        (rest, end, prop::sample::select(vec!["  ", "\t", "", "    "])).prop_map(
            move |(rest, end, blanks)| {
                format!("{blanks}server s{n} 10.0.0.{n}:80 {}{end}\n", rest.join("  "))
            },
        )
    };
    let other = prop::sample::select(vec![
        "",
        "  # a comment\n",
        "\n",
        "  option redispatch\n",
        "# at the margin\n",
        "  balance leastconn\n",
        "  default-server weight 3\n",
        "  http-check send meth GET uri /x\n",
        "  stick on src # server s1 x\n",
    ]);
    let backend = |name: usize| {
        let servers: Vec<_> = (1..4).map(|n| (other.clone(), server(n))).collect();
        (servers, other.clone()).prop_map(move |(servers, last)| {
            let lines: String = servers.into_iter().map(|(line, server)| line.to_owned() + &server).collect();
            format!("backend b{name}\n{lines}{last}")
        })
    };
    let head = prop::sample::select(vec![
        "",
        "# _version=3\nglobal\n\ndefaults\n mode http\n",
        "defaults\n default-server disabled check\n",
        "frontend fe\n mode http\n use_backend b1 if { path /x }\n default_backend b2\n",
    ]);
    (head, backend(1), backend(2)).prop_map(|(head, one, two)| head.to_owned() + &one + &two)
}

fn change_of() -> impl Strategy<Value = ServerChange> {
    let weight = prop_oneof![
        Just(WeightChange::Keep),
        Just(WeightChange::Remove),
        (0..9_u32).prop_map(|number| WeightChange::Set(super::weight(number))),
    ];
    let endpoint = prop::option::of((1..5_u8).prop_map(|n| super::endpoint(&format!("10.0.0.{n}:80"))));
    let port = prop::option::of((80..83_u16).prop_map(|port| crate::address::Port::new(port).unwrap()));
    (endpoint, weight, prop::option::of(any::<bool>()), port).prop_map(
        |(endpoint, weight, disabled, check_port)| ServerChange { endpoint, weight, disabled, check_port },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    let of = || (1..4_usize).prop_map(|n| backend(&format!("b{n}")));
    let named = || (1..5_usize).prop_map(|n| server(&format!("s{n}")));
    prop_oneof![
        6 => (of(), named(), change_of()).prop_map(|(backend, server, change)| Edit::Server { backend, server, change }),
        2 => (of(), 1..6_u32).prop_map(|(backend, n)| Edit::AddServer { backend, server: Box::new(line(n)) }),
        1 => (of(), named()).prop_map(|(backend, server)| Edit::RemoveServer { backend, server }),
        1 => (1..6_usize, 0..3_u32).prop_map(|(n, servers)| put("a/b", whole(&format!("b{n}"), servers))),
        1 => (1..6_usize).prop_map(|n| Edit::RemoveBackend { mark: mark("a/b"), backend: backend(&format!("b{n}")) }),
        1 => prop::collection::vec(some_route(), 0..4).prop_map(|routes| Edit::Routes { frontend: frontend("fe"), routes }),
        1 => (1..6_usize, any::<bool>()).prop_map(|(n, some)| Edit::Checks {
            backend: backend(&format!("b{n}")),
            check: whole("b", 0).pool.check.filter(|_| some),
        }),
    ]
}

fn some_route() -> impl Strategy<Value = Route> {
    let host = prop::sample::select(vec!["any", "a.example", "B.example"]);
    let path = prop::sample::select(vec!["/", "/api", "/api/v2", "/other"]);
    (host, path, 1..3_usize, any::<bool>()).prop_map(|(host, path, to, bare)| {
        route(host, if bare && host != "any" { "" } else { path }, &format!("b{to}"))
    })
}

/// What a server's line says, read in a simple way of its own.
fn said(text: &str) -> BTreeMap<(String, String), String> {
    let (mut of, mut said) = (String::new(), BTreeMap::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        match words[..] {
            ["backend", name, ..] => of = name.to_owned(),
            ["server", name, ..] => _ = said.insert((of.clone(), name.to_owned()), line.to_owned()),
            _ => {}
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_and_nothing_of_it_is_lost(text in prop_oneof![soup(), any::<String>(), file()]) {
        let view = FileView::read(&text);
        let mut end = 0;
        for range in std::iter::once(&view.preamble).chain(view.sections.iter().map(|section| &section.range)) {
            prop_assert_eq!(range.start, end);
            end = range.end;
        }
        prop_assert_eq!(end, text.len());
    }

    #[test]
    fn any_edit_of_any_text_is_made_once(text in prop_oneof![soup(), file()], edit in edit()) {
        let edits = [edit];
        if let Ok(once) = apply(&text, &edits, V3_0) {
            prop_assert_eq!(apply(&once, &edits, V3_0), Ok(once.clone()), "from {:?}", text);
        }
    }

    #[test]
    fn only_the_lines_that_edits_name_are_touched(
        text in file(),
        changes in prop::collection::vec((1..3_usize, 1..4_usize, change_of()), 1..6),
    ) {
        let edits: Vec<Edit> = changes
            .iter()
            .map(|(of, name, changes)| change(&format!("b{of}"), &format!("s{name}"), *changes))
            .collect();
        let after = apply(&text, &edits, V3_0).unwrap();
        let (old, new): (Vec<&str>, Vec<&str>) = (text.split('\n').collect(), after.split('\n').collect());
        prop_assert_eq!(old.len(), new.len());
        let before = said(&text);
        for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
            let named = changes.iter().any(|(of, name, _)| {
                before[&(format!("b{of}"), format!("s{name}"))].trim_end() == old.trim_end()
            });
            prop_assert!(named, "{:?} became {:?}", old, new);
            prop_assert_eq!(old.split_once('#').map(|at| at.1), new.split_once('#').map(|at| at.1));
        }
        let view = FileView::read(&after);
        let last: BTreeMap<_, _> = changes.iter().map(|(of, name, to)| ((of, name), to)).collect();
        for ((of, name), to) in last {
            let shown = view.backend(&format!("b{of}")).unwrap().server(&format!("s{name}")).unwrap();
            prop_assert!(to.endpoint.is_none_or(|endpoint| shown.endpoint == Some(endpoint)));
            prop_assert!(to.disabled.is_none_or(|disabled| shown.disabled == disabled));
            match to.weight {
                WeightChange::Set(weight) => prop_assert_eq!(shown.start_weight(), weight),
                WeightChange::Remove => prop_assert_eq!(shown.weight, None),
                WeightChange::Keep => {}
            }
        }
    }

    #[test]
    fn a_live_write_leaves_the_process_as_the_file_says(
        text in file(),
        edits in prop::collection::vec(edit(), 0..4),
        actions in prop::collection::vec(action(), 0..6),
    ) {
        // The process runs what the text says before.
        let runs = |view: &FileView<'_>| -> BTreeMap<(String, String), (Option<Endpoint>, Weight, bool)> {
            let servers = view.backends.iter().flat_map(|of| of.servers.iter().map(move |server| {
                let key = (of.name.to_string(), server.name.to_string());
                (key, (server.endpoint, server.start_weight(), server.disabled))
            }));
            servers.collect()
        };
        let mut process = runs(&FileView::read(&text));
        if let Ok(write) = LiveWrite::new(&text, &edits, actions, &Process::new(), V3_0) {
            for action in write.actions() {
                let (of, name) = action.server();
                let server = process.get_mut(&(of.to_string(), name.to_string())).unwrap();
                match action {
                    Action::SetServerAddr { to, .. } => server.0 = Some(*to),
                    Action::SetServerWeight { to, .. } => server.1 = to.number(),
                    Action::SetServerState { to, .. } => server.2 = *to != State::Ready,
                    Action::SetServerCheckPort { .. } => {}
                }
            }
            prop_assert_eq!(&process, &runs(&FileView::read(write.text())), "{}", write.text());
        }
    }

    #[test]
    fn routes_are_read_back_as_they_were_set(
        text in file(),
        first in prop::collection::vec(some_route(), 0..6),
        second in prop::collection::vec(some_route(), 0..6),
    ) {
        let head = "frontend fe\n mode http\n acl mine path /m\n use_backend b1 if mine\n default_backend b2\n\n";
        let text = head.to_owned() + text.split_once("backend b1").unwrap().1;
        let set = |text: &str, routes: &[Route]| {
            apply(text, &[Edit::Routes { frontend: frontend("fe"), routes: routes.to_vec() }], V3_0).unwrap()
        };
        let read = |text: &str| -> BTreeMap<String, BackendName> {
            let view = FileView::read(text);
            let routes = view.frontend("fe").unwrap().routes.iter();
            routes.map(|route| (route.of.to_string(), route.to.clone())).collect()
        };
        let wanted = |routes: &[Route]| -> BTreeMap<String, BackendName> {
            routes.iter().rev().map(|route| (route.of.to_string(), route.to.clone())).collect()
        };
        let one = set(&text, &first);
        prop_assert_eq!(read(&one), wanted(&first));
        let two = set(&one, &second);
        prop_assert_eq!(read(&two), wanted(&second), "{}", two);
        let direct = set(&text, &second);
        let rules = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.contains("use_backend")).map(str::to_owned).collect()
        };
        prop_assert_eq!(rules(&two), rules(&direct));
        prop_assert_eq!(set(&two, &[]), text);
    }

    #[test]
    fn a_pass_leaves_no_operation_without_a_word(
        text in file(),
        operations in prop::collection::vec(operation(), 0..8),
        all_at_once in any::<bool>(),
    ) {
        // What is added and deleted again comes to nothing, of which there is no word.
        let is = |one: &Operation, other: &Operation| (&one.backend, &one.server) == (&other.backend, &other.server);
        let added = operations.iter().filter(|one| matches!(one.change, Change::Add { .. }));
        let mut deleted = operations.iter().filter(|one| one.change == Change::Delete);
        prop_assume!(!deleted.any(|gone| added.clone().any(|new| is(new, gone))));
        let process = Process::new();
        let context = PassContext {
            version: V2_6,
            process: &process,
            edits: &[],
            posts: Posts::No,
            ready_with_address: all_at_once,
        };
        let pass = write(&text, &operations, &context);
        prop_assert!(pass.posts.is_empty() && pass.refused.is_empty());
        let left: Vec<usize> = pass.left.iter().map(|left| left.operation).collect();
        match &pass.write {
            Some(Write::Live(write)) => prop_assert_eq!(write.actions().len() + left.len(), operations.len()),
            Some(Write::Reload(write)) => prop_assert!(!write.reasons().is_empty()),
            None => prop_assert_eq!(left.len(), operations.len()),
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    let of = (1..3_usize).prop_map(|n| backend(&format!("b{n}")));
    let named = (1..4_usize).prop_map(|n| server(&format!("s{n}")));
    let state = prop::sample::select(vec![State::Ready, State::Drain, State::Maint]);
    (of, named, 0..3_u8, 1..9_u8, state).prop_map(|(backend, server, kind, number, state)| match kind {
        0 => {
            Action::SetServerAddr { backend, server, to: endpoint(&format!("10.0.0.{}:80", number % 5 + 1)) }
        }
        1 => Action::SetServerWeight { backend, server, to: LiveWeight::Is(weight(number.into())) },
        _ => Action::SetServerState { backend, server, to: state },
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let of = (1..4_usize).prop_map(|n| backend(&format!("b{n}")));
    let named = (1..5_usize).prop_map(|n| server(&format!("s{n}")));
    let change = prop_oneof![
        (1..5_u8).prop_map(|n| Change::Address(endpoint(&format!("10.0.0.{n}:80")))),
        (0..9_u32).prop_map(|number| Change::Weight(weight(number))),
        Just(Change::InitialWeight),
        prop::sample::select(vec![State::Ready, State::Drain, State::Maint]).prop_map(Change::State),
        Just(Change::EnableCheck),
        Just(Change::HealthDown),
        Just(Change::Delete),
        (1..5_u32).prop_map(|n| Change::Add { endpoint: line(n).at, keywords: Box::new(line(n).keywords) }),
    ];
    (of, named, change).prop_map(|(backend, server, change)| Operation { backend, server, change })
}
