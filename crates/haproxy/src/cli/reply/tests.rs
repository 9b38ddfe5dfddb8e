use proptest::prelude::*;

use super::*;
use crate::cli::command::BackendCommand;
use crate::cli::{AdminCommand, ServerPath};
use crate::keywords::ServerKeywords;
use crate::name::{BackendName, ServerName};
use crate::render::{Mode, ProfileName};
use crate::weight::Weight;

fn server() -> ServerPath {
    ServerPath { backend: BackendName::new("web").unwrap(), server: ServerName::new("s1").unwrap() }
}

fn set_addr(to: &str) -> Command {
    Command::SetAddr { server: server(), to: to.parse().unwrap() }
}

fn add() -> Command {
    let keywords = Box::new(ServerKeywords::default());
    Command::AddServer { server: server(), at: "10.0.0.1:80".parse().unwrap(), keywords }
}

fn changes() -> Vec<Command> {
    vec![
        set_addr("10.0.0.1:80"),
        Command::SetState { server: server(), to: AdminCommand::Ready },
        Command::SetWeight { server: server(), to: Weight::ONE },
        Command::ResetWeight(server()),
        Command::SetMaxconn { server: server(), to: 1 },
        Command::EnableHealth(server()),
        Command::DisableHealth(server()),
        Command::EnableServer(server()),
        Command::SetHealth { server: server(), up: false },
        add(),
        Command::DelServer(server()),
        Command::ShutdownSessions(server()),
    ]
}

fn verdict(command: &Command, text: &str) -> Result<Accepted, Refusal> {
    Reply::new(text.to_owned()).verdict(command)
}

#[test]
fn no_text_is_success_for_most_commands_and_an_error_where_haproxy_always_speaks() {
    for command in changes() {
        let speaks =
            matches!(command, Command::SetAddr { .. } | Command::AddServer { .. } | Command::DelServer(_));
        assert_eq!(verdict(&command, "").is_err(), speaks, "{command}");
    }
}

#[test]
fn address_changes_are_read_in_the_words_of_every_version() {
    let by = "by 'stats socket command'\n";
    for (text, accepted) in [
        // 2.6 to 3.2
        (
            format!("IP changed from '10.0.0.1' to '10.0.0.2', port changed from '90' to '91' {by}"),
            Accepted::Done,
        ),
        // 2.6, 2.8
        (format!("no need to change the addr, no need to change the port {by}"), Accepted::Unchanged),
        (format!("no need to change the addr, port changed from '91' to '91' {by}"), Accepted::Done),
        (format!("IP changed from 'fd00::1' to '10.0.0.2', no need to change the port {by}"), Accepted::Done),
        (
            format!("IP changed from '1.2.3.4' to '10.0.0.2', port changed from '+0' to '91' {by}"),
            Accepted::Done,
        ),
        // 3.0 and later
        ("nothing changed\n".to_owned(), Accepted::Unchanged),
        (format!("port changed from '90' to '91' {by}"), Accepted::Done),
        (format!("IP changed from '(null)' to '10.0.0.2' {by}"), Accepted::Done),
    ] {
        assert_eq!(verdict(&set_addr("10.0.0.2:91"), &text), Ok(accepted), "{text}");
    }
}

#[test]
fn an_ipv6_address_is_compared_as_an_address_not_as_text() {
    let text = "IP changed from '10.0.0.1' to 'fd00:0::1' by 'stats socket command'\n";
    assert_eq!(verdict(&set_addr("[fd00::1]:80"), text), Ok(Accepted::Done));
}

#[test]
fn an_address_change_of_which_one_half_was_refused_is_not_success() {
    let text = "IP changed from '10.0.0.1' to '10.0.0.2', can't change <port> to port map because it is \
                incompatible with current health check port configuration (use 'port' statement from the 'server' \
                directive. by 'stats socket command'\n";
    assert!(matches!(verdict(&set_addr("10.0.0.2:80"), text), Err(Refusal::Other(_))));
}

#[test]
fn an_answer_about_another_address_is_noticed() {
    for text in [
        "IP changed from '10.0.0.1' to '10.0.0.3' by 'stats socket command'\n",
        "port changed from '80' to '4464' by 'stats socket command'\n",
    ] {
        assert!(matches!(verdict(&set_addr("10.0.0.2:70"), text), Err(Refusal::Mismatch(_))), "{text}");
    }
}

#[test]
fn a_server_is_added_or_deleted_only_if_the_last_line_says_so() {
    assert_eq!(verdict(&add(), "New server registered.\n"), Ok(Accepted::Done));
    let warned = verdict(&add(), "Ignoring cookie as HTTP mode is disabled.\nNew server registered.\n");
    assert_eq!(warned, Ok(Accepted::Warned("Ignoring cookie as HTTP mode is disabled.".to_owned())));
    assert!(verdict(&add(), "New server registered.\nunknown keyword 'x'.\n").is_err());
    assert!(verdict(&add(), "Server deleted.\n").is_err());
    assert_eq!(
        verdict(&Command::DelServer(server()), "Server deleted."),
        Ok(Accepted::Done),
        "2.6: no line end"
    );
    assert_eq!(verdict(&Command::DelServer(server()), "Server deleted.\n"), Ok(Accepted::Done));
    assert!(verdict(&Command::DelServer(server()), "New server registered.\n").is_err());
}

/// Each text as 2.6.12, 3.0.11 or 3.2.0 sends it.
fn refusals() -> Vec<(&'static str, Refusal)> {
    let static_weight = "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n";
    let static_add = "Backend must use a dynamic load balancing to support dynamic servers.\n";
    let referenced =
        "This server cannot be removed at runtime due to other configuration elements pointing to it.";
    let connections = "Server still has connections attached to it, cannot remove it.";
    vec![
        ("No such backend.\n", Refusal::NoSuchBackend),
        ("No such server.\n", Refusal::NoSuchServer),
        ("No such server.", Refusal::NoSuchServer),
        ("Permission denied\n", Refusal::PermissionDenied),
        ("Proxy is disabled.\n", Refusal::ProxyDisabled),
        (static_weight, Refusal::WeightNotAllowed),
        (static_add, Refusal::NotDynamicAlgorithm(static_add.trim().to_owned())),
        (referenced, Refusal::Referenced),
        (connections, Refusal::StillHasConnections),
        ("Only servers in maintenance mode can be deleted.", Refusal::NotInMaint),
        ("Already exists a server with the same name in backend.\n", Refusal::DuplicateName),
        (
            "'id' : custom id 77 already used at (null):0 ('server d2').\n",
            Refusal::DuplicateId("'id' : custom id 77 already used at (null):0 ('server d2').".to_owned()),
        ),
        (
            "unknown keyword 'init-state'.\n",
            Refusal::UnknownKeyword("unknown keyword 'init-state'.".to_owned()),
        ),
        (
            "'cookie' option is not accepted for dynamic server\n",
            Refusal::UnknownKeyword("'cookie' option is not accepted for dynamic server".to_owned()),
        ),
        ("Health check was not configured on this server, cannot enable.\n", Refusal::NoCheck),
        (
            "Unknown command, but maybe one of the following ones is a better match:\n  quit    : disconnect\n",
            Refusal::UnknownCommand,
        ),
        (
            "Unknown command: 'bogus', but maybe one of the following ones is a better match:\n  quit : disconnect\n",
            Refusal::UnknownCommand,
        ),
    ]
}

#[test]
fn every_known_refusal_has_its_kind_whatever_the_command() {
    for (text, refusal) in refusals() {
        for command in changes() {
            assert_eq!(verdict(&command, text), Err(refusal.clone()), "{command}: {text}");
        }
    }
}

#[test]
fn a_refused_question_is_not_an_answer() {
    for text in ["Can't find backend.\n", "No such proxy.\n", "Permission denied\n"] {
        assert!(verdict(&Command::ShowServersState(None), text).is_err());
    }
    assert_eq!(verdict(&Command::ShowBackend, "# name\nweb\n"), Ok(Accepted::Done));
}

#[test]
fn an_unknown_text_is_never_success() {
    for text in
        ["Done.\n", "OK", "done", "[6]: Server deleted.\n", "New server", "nothing changed, really", "> "]
    {
        for command in changes() {
            assert!(verdict(&command, text).is_err(), "{command}: {text}");
        }
    }
}

#[test]
fn what_was_kept_back_is_not_success() {
    let kept = Reply::not_tried("its address was refused".to_owned());
    for command in changes().into_iter().chain([Command::ShowBackend]) {
        assert_eq!(kept.verdict(&command), Err(Refusal::NotTried("its address was refused".to_owned())));
    }
    assert_eq!(kept.text(), "");
}

#[test]
fn a_refusal_says_what_to_do_next() {
    assert!(Refusal::PermissionDenied.to_string().contains("level admin"));
    assert!(Refusal::WeightNotAllowed.to_string().contains("hash-type consistent"));
    let long = verdict(&changes()[1], &"x".repeat(100_000)).unwrap_err();
    assert!(long.to_string().len() < 400);
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic_and_never_success_by_accident(text in "(?s).*") {
        for command in changes() {
            let judged = verdict(&command, &text);
            if !text.trim().is_empty() && !text.contains("New server") && !text.contains("Server deleted")
                && !text.contains("chang")
            {
                prop_assert!(judged.is_err(), "{}: {:?}", command, text);
            }
        }
    }
}

#[test]
fn what_haproxy_says_of_backends_is_read() {
    let web = || BackendName::new("web").unwrap();
    let from = ProfileName::new("roster-1f").unwrap();
    let add = Command::Backend(BackendCommand::Add { backend: web(), from, mode: Mode::Http });
    let publish = Command::Backend(BackendCommand::Publish(web()));
    let del = Command::Backend(BackendCommand::Del(web()));
    // Recorded from 3.4.0.
    assert_eq!(verdict(&add, "New backend registered.\n"), Ok(Accepted::Done));
    assert_eq!(verdict(&publish, "Backend published.\n"), Ok(Accepted::Done));
    assert_eq!(verdict(&del, "Backend deleted.\n"), Ok(Accepted::Done));
    assert_eq!(verdict(&publish, "No such backend.\n"), Err(Refusal::NoSuchBackend));
    for text in [
        "Error during backend creation : name is already used by other proxy 'frontend web'.\n",
        "Cannot find default proxy 'roster-1f'.\n",
        "Backend must be unpublished prior to its deletion.\n",
        "",
    ] {
        for command in [&add, &publish, &del] {
            assert_eq!(verdict(command, text), Err(Refusal::Other(text.trim().to_owned())));
        }
    }
}
