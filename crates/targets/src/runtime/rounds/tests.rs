use proptest::prelude::*;
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::ServerName;
use roster_haproxy::weight::Weight;

use super::*;

fn path(backend: u8, server: u16) -> ServerPath {
    ServerPath {
        backend: BackendName::new(&format!("b{backend}")).unwrap(),
        server: ServerName::new(&format!("s{server}")).unwrap(),
    }
}

fn addr(server: ServerPath) -> Command {
    Command::SetAddr { server, to: "10.0.0.1:80".parse().unwrap() }
}

fn state(server: ServerPath, to: AdminCommand) -> Command {
    Command::SetState { server, to }
}

fn repointed(server: u16) -> [Command; 3] {
    let s = || path(0, server);
    [state(s(), AdminCommand::Maint), addr(s()), state(s(), AdminCommand::Ready)]
}

#[test]
fn what_builds_on_nothing_goes_out_at_once() {
    let commands: Vec<_> = (0..1_000)
        .flat_map(|n| [state(path(0, n), AdminCommand::Maint), addr(path(0, n))])
        .chain((0..1_000).map(|n| state(path(1, n), AdminCommand::Ready)))
        .collect();
    assert_eq!(rounds(&commands), [(0..3_000).collect::<Vec<_>>()]);
    assert!(rounds(&[]).is_empty());
}

#[test]
fn a_server_is_made_ready_a_round_after_it_got_its_address() {
    let commands: Vec<_> =
        (0..500).flat_map(|n| [addr(path(0, n)), state(path(0, n), AdminCommand::Ready)]).collect();
    let even = (0..1_000).step_by(2).collect::<Vec<_>>();
    let odd = (1..1_000).step_by(2).collect::<Vec<_>>();
    assert_eq!(rounds(&commands), [even, odd]);
}

#[test]
fn a_server_is_made_ready_a_round_after_it_was_added() {
    let at = "10.0.0.1:80".parse().unwrap();
    let keywords = Box::new(ServerKeywords::default());
    let commands =
        [Command::AddServer { server: path(0, 0), at, keywords }, Command::EnableServer(path(0, 0))];
    assert_eq!(rounds(&commands), [[0], [1]]);
}

#[test]
fn a_server_that_leaves_waits_until_the_one_that_comes_is_ready() {
    let commands = [
        addr(path(0, 1)),
        state(path(0, 1), AdminCommand::Ready),
        state(path(0, 2), AdminCommand::Drain),
        state(path(1, 1), AdminCommand::Drain),
        state(path(0, 3), AdminCommand::Ready),
    ];
    assert_eq!(rounds(&commands), [vec![0, 3, 4], vec![1, 2]]);
}

#[test]
fn a_backend_that_is_all_pointed_elsewhere_is_never_taken_out_at_once() {
    let commands: Vec<_> = (0..100).flat_map(repointed).collect();
    let rounds = rounds(&commands);
    let mut ready = 0;
    let mut taken_out = Vec::new();
    for round in &rounds {
        let says = |to| {
            let of =
                |place: &&usize| matches!(&commands[**place], Command::SetState { to: t, .. } if *t == to);
            round.iter().filter(of).count()
        };
        ready += says(AdminCommand::Ready);
        taken_out.push(says(AdminCommand::Maint));
    }
    assert_eq!(taken_out, [1, 2, 4, 8, 16, 32, 37, 0]);
    assert_eq!(ready, 100);
}

#[test]
fn ten_thousand_servers_of_one_backend_are_pointed_elsewhere_in_a_few_rounds() {
    let commands: Vec<_> = (0..10_000).flat_map(repointed).collect();
    assert_eq!(rounds(&commands).len(), 15);
}

#[test]
fn a_question_sees_what_came_before_it_and_nothing_after() {
    let commands = [
        Command::ShowBackend,
        addr(path(0, 1)),
        Command::ShowServersState(None),
        state(path(1, 2), AdminCommand::Ready),
    ];
    assert_eq!(rounds(&commands), [vec![0, 1], vec![2, 3]]);
}

fn any_command() -> impl Strategy<Value = Command> {
    (0_u8..3, 0_u16..5, 0..9).prop_map(|(backend, server, kind)| {
        let s = path(backend, server);
        match kind {
            0 | 1 => addr(s),
            2 | 3 => state(s, AdminCommand::Ready),
            4 => state(s, AdminCommand::Drain),
            5 => state(s, AdminCommand::Maint),
            6 => Command::SetWeight { server: s, to: Weight::ONE },
            7 => Command::DelServer(s),
            _ => Command::ShowBackend,
        }
    })
}

proptest! {
    #[test]
    fn the_order_that_counts_is_kept(commands in prop::collection::vec(any_command(), 0..40)) {
        let rounds = rounds(&commands);
        prop_assert!(rounds.iter().all(|round| !round.is_empty() && round.is_sorted()));
        let mut when = vec![usize::MAX; commands.len()];
        for (number, round) in rounds.iter().enumerate() {
            for place in round {
                prop_assert_eq!(when[*place], usize::MAX, "twice");
                when[*place] = number;
            }
        }
        prop_assert!(when.iter().all(|number| *number != usize::MAX), "each command goes out");
        let is_pointed_later = |server: &ServerPath, place: usize| {
            commands.iter().skip(place).any(|c| matches!(c, Command::SetAddr { server: s, .. } if s == server))
        };
        for (second, later) in commands.iter().enumerate() {
            for (first, earlier) in commands.iter().enumerate().take(second) {
                let kept = when[first] <= when[second];
                let (Some(a), Some(b)) = (earlier.server(), later.server()) else {
                    prop_assert!(kept, "a question keeps its place");
                    continue;
                };
                if a == b {
                    prop_assert!(kept);
                    let builds_on = matches!(earlier, Command::SetAddr { .. });
                    prop_assert!(!builds_on || when[first] < when[second], "its address first");
                }
                if a.backend == b.backend && !takes_nothing_away(later) {
                    prop_assert!(kept || is_pointed_later(b, second));
                }
            }
        }
    }
}
