use proptest::prelude::*;

use super::*;
use crate::keywords::tests::all;
use crate::render::{Mode, ProfileName};

fn path(backend: &str, server: &str) -> ServerPath {
    ServerPath { backend: BackendName::new(backend).unwrap(), server: ServerName::new(server).unwrap() }
}

fn add_backend(backend: BackendName) -> BackendCommand {
    BackendCommand::Add { backend, from: ProfileName::new("roster-1f").unwrap(), mode: Mode::Http }
}

/// Every kind of command on one server.
fn every(server: &ServerPath, to: Endpoint) -> Vec<Command> {
    let s = || server.clone();
    let backend = || server.backend.clone();
    let mut commands = vec![
        Command::ShowInfo,
        Command::ShowLevel,
        Command::ShowBackend,
        Command::Notes(NoteCommand::Allow),
        Command::Notes(NoteCommand::Set { server: s(), note: Note::new(b"note") }),
        Command::Notes(NoteCommand::Get(s())),
        Command::ShowServersState(None),
        Command::ShowServersState(Some(backend())),
        Command::ShowServersConn(None),
        Command::ShowServersConn(Some(backend())),
        Command::ShowStat(StatScope::All),
        Command::ShowStat(StatScope::Backend(backend())),
        Command::ShowStat(StatScope::Proxy(u32::MAX)),
        Command::SetAddr { server: s(), to },
        Command::SetWeight { server: s(), to: Weight::MAX },
        Command::ResetWeight(s()),
        Command::SetMaxconn { server: s(), to: u32::MAX },
        Command::EnableHealth(s()),
        Command::DisableHealth(s()),
        Command::EnableServer(s()),
        Command::SetHealth { server: s(), up: true },
        Command::SetHealth { server: s(), up: false },
        Command::AskIfDynamic(backend()),
        Command::AddServer { server: s(), at: to, keywords: Box::new(all()) },
        Command::DelServer(s()),
        Command::ShutdownSessions(s()),
        Command::Backend(add_backend(backend())),
        Command::Backend(BackendCommand::Publish(backend())),
        Command::Backend(BackendCommand::Unpublish(backend())),
        Command::Backend(BackendCommand::Del(backend())),
    ];
    for to in [AdminCommand::Ready, AdminCommand::Drain, AdminCommand::Maint] {
        commands.push(Command::SetState { server: s(), to });
    }
    commands
}

#[test]
fn commands_read_as_the_manual_writes_them() {
    let s = || path("web", "s1");
    let v4: Endpoint = "10.0.0.1:8080".parse().unwrap();
    let v6: Endpoint = "[fd00::1]:8080".parse().unwrap();
    let plain = || Box::new(ServerKeywords::default());
    for (command, line) in [
        (Command::SetAddr { server: s(), to: v4 }, "set server web/s1 addr 10.0.0.1 port 8080"),
        (Command::SetAddr { server: s(), to: v6 }, "set server web/s1 addr fd00::1 port 8080"),
        (Command::SetState { server: s(), to: AdminCommand::Drain }, "set server web/s1 state drain"),
        (Command::SetWeight { server: s(), to: Weight::ZERO }, "set server web/s1 weight 0"),
        (Command::ResetWeight(s()), "set server web/s1 weight 100%"),
        (Command::AddServer { server: s(), at: v4, keywords: plain() }, "add server web/s1 10.0.0.1:8080"),
        (Command::AddServer { server: s(), at: v6, keywords: plain() }, "add server web/s1 [fd00::1]:8080"),
        (Command::DelServer(s()), "del server web/s1"),
        (Command::EnableHealth(s()), "enable health web/s1"),
        (Command::ShowServersState(Some(s().backend)), "show servers state web"),
        (Command::ShowStat(StatScope::Proxy(4)), "show stat 4 6 -1"),
        (Command::Backend(add_backend(s().backend)), "add backend web from roster-1f mode http"),
        (Command::Backend(BackendCommand::Publish(s().backend)), "publish backend web"),
        (Command::Backend(BackendCommand::Unpublish(s().backend)), "unpublish backend web"),
        (Command::Backend(BackendCommand::Del(s().backend)), "del backend web"),
    ] {
        assert_eq!(command.to_string(), line);
    }
}

#[test]
fn the_longest_command_is_far_below_haproxys_buffer() {
    let longest = path(&"b".repeat(128), &"s".repeat(128));
    let to = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        .parse()
        .unwrap_or("[fd00::1]:65535".parse().unwrap());
    for command in every(&longest, to) {
        assert!(command.to_string().len() < 4096, "{command}");
    }
}

#[test]
fn what_shows_or_is_always_refused_is_a_query() {
    for command in every(&path("web", "s1"), "10.0.0.1:80".parse().unwrap()) {
        let line = command.to_string();
        let asks = line.starts_with("show ") || line.starts_with("get var ");
        let harmless = asks || line.ends_with(" roster-asks");
        assert_eq!(command.is_query(), harmless, "{line}");
    }
}

proptest! {
    #[test]
    fn no_command_holds_what_ends_a_line_or_starts_another_command(
        backend in "[A-Za-z0-9_.:-]{1,128}|(?s).{1,40}",
        server in "[A-Za-z0-9_.:-]{1,128}|(?s).{1,40}",
    ) {
        let (Ok(backend), Ok(server)) = (BackendName::new(&backend), ServerName::new(&server)) else {
            return Ok(());
        };
        for command in every(&ServerPath { backend, server }, "10.0.0.1:80".parse().unwrap()) {
            let line = command.to_string();
            prop_assert!(!line.contains(['\n', '\r', '\0', ';', '\\', '#', '"', '\'', '$', '<', '\t']), "{}", line);
            prop_assert!(!line.contains("  ") && line.is_ascii(), "{}", line);
        }
    }
}
