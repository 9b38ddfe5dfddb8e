//! Against a scripted socket. Its answers were recorded from HAProxy 3.4.0, but for what an older one says.

use std::collections::BTreeSet;

use roster_haproxy::cli::Refusal;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{LiveBackend, Mode, ProfileName};
use roster_targets::managed::dynamic::{Added, DynamicError, Why, add, publish};
use roster_targets::runtime::session::Limits;
use roster_testkit::OrFail;

use crate::runtime::script::{Answer, Script, info};

fn name(name: &str) -> BackendName {
    BackendName::new(name).or_fail()
}

fn live(backend: &str, profile: &str) -> LiveBackend {
    LiveBackend { name: name(backend), mode: Mode::Http, profile: ProfileName::new(profile).or_fail() }
}

fn names(of: &[&str]) -> BTreeSet<BackendName> {
    of.iter().map(|backend| name(backend)).collect()
}

/// A HAProxy with `web` and the frontend `front`, that was started with `defaults roster-1f`.
fn recorded(_: usize, line: &str) -> Answer {
    let said = match line {
        "show info" | "quit" => return Answer::AsUsual,
        "add backend new from roster-1f mode http" => "New backend registered.\n",
        "add backend front from roster-1f mode http" => {
            "Error during backend creation : name is already used by other proxy 'frontend front'.\n"
        }
        "add backend web from roster-1f mode http" => {
            "Error during backend creation : name is already used by other proxy 'backend web'.\n"
        }
        "add backend other from roster-0 mode http" => "Cannot find default proxy 'roster-0'.\n",
        "show backend" => "# name\nweb\nnew\n",
        "publish backend new" => "Backend published.\n",
        line if line.starts_with("publish backend ") => "No such backend.\n",
        _ => "",
    };
    Answer::Say(format!("{said}\n> "))
}

/// The same before `new` was there.
fn recorded_before(connection: usize, line: &str) -> Answer {
    match line {
        "show backend" if connection == 0 => Answer::Say("# name\nweb\n\n> ".to_owned()),
        _ => recorded(connection, line),
    }
}

async fn added(script: &Script, live: &[LiveBackend]) -> Added {
    add(&script.address, &Limits::default(), live).await.or_fail()
}

#[tokio::test]
async fn each_new_backend_is_added_and_looked_for() {
    let script = Script::new(recorded_before);
    let added = added(&script, &[live("new", "roster-1f"), live("web", "roster-1f")]).await;
    assert_eq!((added.added, added.existing), (names(&["new"]), names(&["web"])));
    assert_eq!((added.failed, added.warnings), (Vec::new(), Vec::new()));
    let sent: Vec<String> = script.lines().concat();
    assert_eq!(sent.iter().filter(|line| line.starts_with("add backend ")).count(), 1, "{sent:?}");
}

#[tokio::test]
async fn one_that_is_refused_keeps_nobody_else_from_coming() {
    let script = Script::new(recorded_before);
    let backends = [live("front", "roster-1f"), live("other", "roster-0"), live("new", "roster-1f")];
    let added = added(&script, &backends).await;
    assert_eq!(added.added, names(&["new"]));
    let told: Vec<_> = added.failed.iter().map(ToString::to_string).collect();
    let because = "comes by a reload, because HAProxy answered";
    assert_eq!(
        told,
        [
            format!(
                r#"backend front {because} "Error during backend creation : name is already used by other proxy 'frontend front'.""#
            ),
            format!(r#"backend other {because} "Cannot find default proxy 'roster-0'.""#),
        ]
    );
}

#[tokio::test]
async fn one_that_somebody_else_added_meanwhile_is_there() {
    let script = Script::new(|connection, line| match line {
        "show backend" if connection == 0 => Answer::Say("# name\n\n> ".to_owned()),
        _ => recorded(connection, line),
    });
    let added = added(&script, &[live("web", "roster-1f")]).await;
    assert_eq!((added.added, added.existing, added.failed), (names(&[]), names(&["web"]), Vec::new()));
}

#[tokio::test]
async fn one_that_is_not_shown_was_not_added() {
    let script = Script::new(|connection, line| match line {
        "show backend" => Answer::Say("# name\nweb\n\n> ".to_owned()),
        _ => recorded(connection, line),
    });
    let added = added(&script, &[live("new", "roster-1f")]).await;
    assert_eq!(added.added, names(&[]));
    assert!(matches!(added.failed.as_slice(), [failed] if failed.why == Why::NotShown), "{:?}", added.failed);
}

#[tokio::test]
async fn a_haproxy_without_the_command_is_told_by_each_backend() {
    let script = Script::new(|_, line| match line {
        "show backend" => Answer::Say("# name\nweb\n\n> ".to_owned()),
        "add backend new from roster-1f mode http" => Answer::Say(
            "Unknown command: 'add backend', but maybe one of the following ones is a better match:\n\n> "
                .to_owned(),
        ),
        _ => Answer::AsUsual,
    });
    let added = added(&script, &[live("new", "roster-1f")]).await;
    let [failed] = added.failed.as_slice() else { panic!("{:?}", added.failed) };
    assert_eq!(failed.why, Why::Refused(Refusal::UnknownCommand));
}

#[tokio::test]
async fn nothing_counts_that_was_said_by_a_process_that_was_replaced() {
    let script = Script::new(|connection, line| match line {
        "show info" => Answer::Say(info(if connection == 0 { 8 } else { 9 }, 0)),
        _ => recorded_before(connection, line),
    });
    let outcome = add(&script.address, &Limits::default(), &[live("new", "roster-1f")]).await;
    assert!(matches!(outcome, Err(DynamicError::Session(_))), "{outcome:?}");
    assert!(!script.lines().concat().iter().any(|line| line.starts_with("add backend ")));
}

#[tokio::test]
async fn backends_are_published_one_by_one() {
    let script = Script::new(recorded);
    let published = publish(&script.address, &Limits::default(), &names(&["new", "other"])).await.or_fail();
    assert_eq!(published.published, names(&["new"]));
    let [failed] = published.failed.as_slice() else { panic!("{:?}", published.failed) };
    assert_eq!((&failed.backend, &failed.why), (&name("other"), &Why::Refused(Refusal::NoSuchBackend)));
}

#[tokio::test]
async fn a_socket_that_does_not_tell_its_backends_is_an_error_that_says_what_to_change() {
    let script = Script::new(|_, line| match line {
        "show backend" => Answer::Say("Permission denied\n\n> ".to_owned()),
        _ => Answer::AsUsual,
    });
    let error = add(&script.address, &Limits::default(), &[live("new", "roster-1f")]).await.unwrap_err();
    assert!(error.to_string().contains("level admin"), "{error}");
}
