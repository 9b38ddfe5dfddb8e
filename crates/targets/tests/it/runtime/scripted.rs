//! The client against sockets that behave as HAProxy never should, or seldom does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roster_core::applied::ProcessId;
use roster_haproxy::cli::{Accepted, Command, Refusal};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::observed::State;
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::{Break, Limits, Progress, SessionError, run};
use roster_targets::runtime::socket::SocketAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::script::{Answer, Script, info};
use super::{CAP, add, quick, set_addr, state, texts, weight, weights};

#[tokio::test]
async fn answers_cut_anywhere_are_put_together() {
    let script = Script::new(|_, line| match line {
        "prompt" | "set severity-output none" => Answer::Drip("\n> ".to_owned()),
        "show info" => Answer::Drip(info(8, 0)),
        "quit" => Answer::AsUsual,
        line => Answer::Drip(format!("{line}\nand > more\n\n> ")),
    });
    let commands = [weight("s1", 3), weight("s2", 4)];
    let outcome = Batch::new(&commands).run(&script.address, &Limits::default()).await.unwrap();
    assert_eq!(
        texts(&outcome.replies),
        ["set server web/s1 weight 3\nand > more\n", "set server web/s2 weight 4\nand > more\n"]
    );
}

#[tokio::test]
async fn something_that_is_not_haproxy_gets_no_command() {
    for garbage in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}\u{2}", "hello\n> \n> \n> "] {
        let script = Script::new(move |_, _| Answer::SayAndClose(garbage.to_owned()));
        let error = Batch::new(&[weight("s1", 3)]).run(&script.address, &quick()).await.unwrap_err();
        assert!(matches!(error, SessionError::NotHaproxy { .. }), "{garbage:?}: {error}");
        assert!(error.nothing_was_sent());
        assert!(script.lines().concat().iter().all(|line| !line.contains("weight")));
    }
}

#[tokio::test]
async fn a_socket_that_never_answers_is_given_up() {
    let script = Script::new(|_, _| Answer::Hang);
    let started = Instant::now();
    let error = Batch::new(&[weight("s1", 3)]).run(&script.address, &quick()).await.unwrap_err();
    assert!(matches!(error, SessionError::Broken { cause: Break::Silent(_), .. }), "{error}");
    assert!(error.to_string().ends_with("none of 1 commands was sent"), "{error}");
    assert!(started.elapsed() < CAP);
}

#[tokio::test]
async fn silence_after_some_answers_tells_how_many_came() {
    let script = Script::new(|_, line| match line {
        "set server web/s3 weight 4" => Answer::Hang,
        _ => Answer::AsUsual,
    });
    let error = Batch::new(&weights(4, 10)).run(&script.address, &quick()).await.unwrap_err();
    assert_eq!(error.progress(), Some(Progress { answered: 3, sent: 4, of: 4 }));
}

#[tokio::test]
async fn a_steady_drip_of_answers_ends_with_the_total_limit() {
    let script = Script::new(|_, line| match line {
        line if line.starts_with("set server") => Answer::Drip("x".repeat(1 << 24)),
        _ => Answer::AsUsual,
    });
    let limits = Limits { total: Duration::from_millis(400), ..Limits::default() };
    let error = Batch::new(&weights(1, 1)).run(&script.address, &limits).await.unwrap_err();
    assert!(matches!(error, SessionError::Broken { cause: Break::TooSlow(_), .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_collected_for_ever() {
    let script = Script::new(|_, line| match line {
        line if line.starts_with("set server") => Answer::Say("x".repeat(1 << 20)),
        _ => Answer::AsUsual,
    });
    let limits = Limits { answer: 1 << 16, ..Limits::default() };
    let error = run(&script.address, &limits, &weights(1, 1)).await.unwrap_err();
    assert!(matches!(error, SessionError::Broken { cause: Break::AnswerTooLong(_), .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_closes_at_once_is_an_error_and_got_nothing() {
    let script = Script::new(|_, _| Answer::SayAndClose(String::new()));
    let error = Batch::new(&weights(3, 3)).run(&script.address, &quick()).await.unwrap_err();
    assert!(matches!(error, SessionError::Broken { cause: Break::Closed { within_answer: false }, .. }));
    assert!(error.nothing_was_sent(), "{error}");
}

#[tokio::test]
async fn a_connection_cut_within_an_answer_tells_how_many_commands_were_answered() {
    let script = Script::new(|_, line| match line {
        "set server web/s2 weight 3" => Answer::SayAndClose("No such ser".to_owned()),
        _ => Answer::AsUsual,
    });
    let error = Batch::new(&weights(5, 5)).run(&script.address, &quick()).await.unwrap_err();
    assert!(matches!(error, SessionError::Broken { cause: Break::Closed { within_answer: true }, .. }));
    assert_eq!(error.progress(), Some(Progress { answered: 2, sent: 5, of: 5 }));
    assert!(
        error.to_string().ends_with(
            "HAProxy closed the connection in the middle of an answer; 2 of 5 commands were answered, \
             3 may or may not have been carried out"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_holds_a_prompt_makes_all_answers_void() {
    let hostile = || Answer::Say("check said: \n> \n\n> ".to_owned());
    let script = Script::new(move |_, line| match line {
        "set server web/s1 weight 2" => hostile(),
        _ => Answer::AsUsual,
    });
    for error in [
        Batch::new(&weights(3, 3)).run(&script.address, &quick()).await.unwrap_err(),
        run(&script.address, &quick(), &weights(3, 3)).await.unwrap_err(),
    ] {
        assert!(matches!(error, SessionError::OutOfStep { .. }), "{error}");
        assert!(!error.nothing_was_sent());
    }
}

#[tokio::test]
async fn a_process_on_its_way_out_gets_no_command() {
    let script = Script::new(|_, line| match line {
        "show info" => Answer::Say(info(8, 1)),
        _ => Answer::AsUsual,
    });
    let error = Batch::new(&weights(3, 3)).run(&script.address, &quick()).await.unwrap_err();
    assert!(matches!(error, SessionError::Stopping { process: ProcessId { pid: 8, .. }, .. }), "{error}");
    assert!(error.nothing_was_sent());
    assert_eq!(script.lines(), [["prompt", "set severity-output none", "show info"]]);
}

#[tokio::test]
async fn another_process_than_expected_gets_no_command() {
    let script = Script::new(|_, _| Answer::AsUsual);
    let known = Batch::new(&[]).run(&script.address, &quick()).await.unwrap().process;
    let same = ProcessId::from(&known);
    assert!(Batch::new(&weights(1, 1)).expecting(same).run(&script.address, &quick()).await.is_ok());
    let sent = script.lines().len();
    for other in [ProcessId { pid: 9, ..same }, ProcessId { started: None, ..same }] {
        let error =
            Batch::new(&weights(3, 3)).expecting(other).run(&script.address, &quick()).await.unwrap_err();
        assert!(matches!(error, SessionError::OtherProcess { .. }), "{error}");
        assert!(error.nothing_was_sent());
    }
    assert!(script.lines()[sent..].iter().all(|lines| lines.len() == 3), "only the greeting");
}

#[tokio::test]
async fn a_new_process_on_the_next_connection_means_that_what_was_set_is_lost() {
    let script = Script::new(|connection, line| match (connection, line) {
        (1, "show info") => Answer::Say(info(9, 0)),
        _ => Answer::AsUsual,
    });
    let error = Batch::new(&weights(3, 3)).run(&script.address, &quick()).await.unwrap_err();
    let SessionError::ProcessChanged { before, after, .. } = &error else { panic!("{error}") };
    assert_eq!((before.pid, after.pid), (8, 9));
    assert!(!error.nothing_was_sent());
}

#[tokio::test]
async fn commands_that_cannot_be_confirmed_are_not_taken_for_done() {
    let script = Script::new(|connection, _| match connection {
        0 => Answer::AsUsual,
        _ => Answer::Hang,
    });
    let error = Batch::new(&weights(3, 3)).run(&script.address, &quick()).await.unwrap_err();
    assert!(matches!(error, SessionError::Unconfirmed { .. }), "{error}");
    assert_eq!(error.progress(), Some(Progress { answered: 3, sent: 3, of: 3 }));
}

#[tokio::test]
async fn questions_need_one_connection_and_changes_two() {
    let script = Script::new(|_, _| Answer::AsUsual);
    Batch::new(&[Command::ShowBackend]).run(&script.address, &quick()).await.unwrap();
    assert_eq!(script.lines().len(), 1);
    Batch::new(&[Command::ShowBackend, weight("s1", 1)]).run(&script.address, &quick()).await.unwrap();
    assert_eq!(script.lines().len(), 3);
    assert_eq!(
        script.lines()[1],
        [
            "prompt",
            "set severity-output none",
            "show info",
            "show backend",
            "set server web/s1 weight 1",
            "show info",
            "quit"
        ]
    );
}

#[tokio::test]
async fn a_line_that_haproxys_buffer_cannot_hold_is_refused_before_anything_is_sent() {
    let script = Script::new(|_, _| Answer::AsUsual);
    let limits = Limits { line: 30, ..Limits::default() };
    let commands = [weight("s1", 1), weight(&format!("web/{}", "s".repeat(100)), 1)];
    let error = Batch::new(&commands).run(&script.address, &limits).await.unwrap_err();
    assert!(matches!(error, SessionError::LineTooLong { number: 2, length: 124, limit: 30, .. }), "{error}");
    assert!(error.nothing_was_sent());
    assert!(script.lines().is_empty(), "no connection was made");
}

#[tokio::test]
async fn full_buffers_on_both_sides_stop_nobody() {
    // 20 MB come back while 1 MB goes out, and the script reads on only after each answer was taken.
    let script = Script::new(|_, line| match line {
        line if line.starts_with("set server") => Answer::Say("y".repeat(1_000) + "\n> "),
        _ => Answer::AsUsual,
    });
    let replies = run(&script.address, &Limits::default(), &weights(20_000, 100)).await.unwrap();
    assert_eq!(replies.len(), 20_000);
    assert!(replies.iter().all(|reply| reply.text().len() == 1_000));
}

#[tokio::test]
async fn giving_up_a_batch_closes_its_connection() {
    let script = Script::new(|_, line| match line {
        line if line.starts_with("set server") => Answer::Hang,
        _ => Answer::AsUsual,
    });
    let limits = Limits::default();
    let commands = weights(1, 1);
    let given_up =
        tokio::time::timeout(Duration::from_millis(200), Batch::new(&commands).run(&script.address, &limits));
    assert!(given_up.await.is_err());
    // The script serves one connection after the other: the second is answered once the first was closed.
    let next = tokio::time::timeout(CAP, run(&script.address, &limits, &[Command::ShowBackend])).await;
    assert_eq!(next.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn every_answer_belongs_to_the_command_at_its_place() {
    let script = Script::new(|_, line| match line.strip_suffix(" weight 7") {
        Some(_) => Answer::Say("No such server.\n\n> ".to_owned()),
        None => Answer::AsUsual,
    });
    let commands = weights(1_000, 10);
    let outcome = Batch::new(&commands).run(&script.address, &Limits::default()).await.unwrap();
    for (command, reply) in commands.iter().zip(&outcome.replies) {
        let refused = reply.verdict(command) == Err(Refusal::NoSuchServer);
        assert_eq!(refused, command.to_string().ends_with(" weight 7"), "{command}");
    }
}

/// 3.2.0 hangs for ever once more than its buffer of unanswered lines is on the way.
#[tokio::test]
async fn never_more_than_haproxys_buffer_is_under_way() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let haproxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut most, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            // Whatever the client is willing to send without an answer is there after this.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let Ok(count @ 1..) = stream.read(&mut buffer).await else { return most };
            most = most.max(count);
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.ends_with("quit\n") {
                return most;
            }
            stream.write_all("\n> ".repeat(text.lines().count()).as_bytes()).await.unwrap();
        }
    });
    let replies = run(&SocketAddress::Unix(path), &Limits::default(), &weights(2_000, 100)).await.unwrap();
    let most = haproxy.await.unwrap();
    assert_eq!(replies.len(), 2_000);
    assert!((4_000..=8_192).contains(&most), "{most} bytes");
}

#[tokio::test]
async fn what_was_not_sent_yet_when_haproxy_went_is_known() {
    let script = Script::new(|_, line| match line {
        "set server web/s9 weight 10" => Answer::SayAndClose(String::new()),
        _ => Answer::AsUsual,
    });
    let error = Batch::new(&weights(20_000, 100)).run(&script.address, &quick()).await.unwrap_err();
    let progress = error.progress().unwrap();
    assert_eq!(progress.answered, 9);
    assert!((10..1_000).contains(&progress.sent), "{progress}");
    assert!(error.to_string().contains("may or may not have been carried out, 19"), "{error}");
}

/// A `show servers state` in which s0 has this address.
fn shows(address: &str) -> Answer {
    Answer::Say(format!(
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
         srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_port\n\
         4 web 1 s0 {address} 2 0 1 1 9 1 0 2 0 80\n\n> "
    ))
}

fn repoint() -> [Command; 3] {
    [state("web", "s0", State::Maint), set_addr("web", "s0", "10.0.0.2:80"), state("web", "s0", State::Ready)]
}

const TAKEN: &str = "IP changed from '10.0.0.1' to '10.0.0.2' by 'stats socket command'\n\n> ";

/// From 2.9 on HAProxy answers before it has taken the address over.
#[tokio::test]
async fn a_server_is_made_ready_only_once_haproxy_shows_its_new_address() {
    let looks = AtomicUsize::new(0);
    let script = Script::new(move |_, line| match line {
        "set server web/s0 addr 10.0.0.2 port 80" => Answer::Say(TAKEN.to_owned()),
        "show servers state web" if looks.fetch_add(1, Ordering::Relaxed) < 7 => shows("10.0.0.1"),
        "show servers state web" => shows("10.0.0.2"),
        _ => Answer::AsUsual,
    });
    let commands = repoint();
    let outcome = Batch::new(&commands).run(&script.address, &quick()).await.unwrap();
    for (command, reply) in commands.iter().zip(&outcome.replies) {
        assert_eq!(reply.verdict(command), Ok(Accepted::Done), "{command}");
    }
    let sent = &script.lines()[0];
    assert_eq!(sent[3..5], ["set server web/s0 state maint", "set server web/s0 addr 10.0.0.2 port 80"]);
    assert_eq!(sent[5..13], ["show servers state web"; 8]);
    assert_eq!(sent[13..], ["set server web/s0 state ready", "show info", "quit"]);
}

#[tokio::test]
async fn a_server_whose_address_never_changes_is_not_made_ready() {
    let script = Script::new(|_, line| match line {
        "set server web/s0 addr 10.0.0.2 port 80" => Answer::Say(TAKEN.to_owned()),
        "show servers state web" => shows("10.0.0.1"),
        _ => Answer::AsUsual,
    });
    let commands = repoint();
    let outcome = Batch::new(&commands).run(&script.address, &quick()).await.unwrap();
    let refusal = outcome.replies[2].verdict(&commands[2]).unwrap_err();
    assert_eq!(refusal.to_string(), "not tried, because HAProxy still shows its old address");
    assert!(!script.lines().concat().contains(&"set server web/s0 state ready".to_owned()));
}

#[tokio::test]
async fn a_server_whose_address_or_making_was_refused_is_not_made_ready() {
    let script = Script::new(|_, line| match line {
        "set server web/s0 addr 10.0.0.2 port 80" => Answer::Say("Invalid addr '10.0.0.2'\n\n> ".to_owned()),
        "add server web/s1 10.0.0.3:80" => {
            Answer::Say("Already exists a server with the same name in backend.\n\n> ".to_owned())
        }
        _ => Answer::AsUsual,
    });
    let mut commands = repoint().to_vec();
    commands.push(add("web", "s1", "10.0.0.3:80", ServerKeywords::default()));
    commands.push(state("web", "s1", State::Ready));
    commands.push(state("web", "s2", State::Ready));
    let outcome = Batch::new(&commands).run(&script.address, &quick()).await.unwrap();
    let judged: Vec<_> =
        commands.iter().zip(&outcome.replies).map(|(command, reply)| reply.verdict(command)).collect();
    assert!(matches!(judged[1], Err(Refusal::Other(_))));
    assert!(matches!(judged[2], Err(Refusal::NotTried(_))));
    assert_eq!(judged[3], Err(Refusal::DuplicateName));
    assert!(matches!(judged[4], Err(Refusal::NotTried(_))));
    assert_eq!((&judged[0], &judged[5]), (&Ok(Accepted::Done), &Ok(Accepted::Done)));
    let sent = script.lines().concat();
    assert_eq!(sent.iter().filter(|line| line.ends_with("state ready")).count(), 1, "{sent:?}");
}
