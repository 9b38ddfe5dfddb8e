//! A header is always exactly what the API documents. It answers to most others as if all were well: host names, ports
//! that are none, actions that it does not know, and blanks too many (measured on 2.9 and 3.2).

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::Operation;
use super::*;
use crate::address::Port;
use crate::change::Change;
use crate::observed::State;

/// Reads one action as the API's documentation has it, and takes nothing else.
fn strictly(action: &str) -> Option<Action> {
    let words: Vec<&str> = action.split(' ').collect();
    let (name, backend, server) = (*words.first()?, words.get(1)?.parse().ok()?, words.get(2)?.parse().ok()?);
    let number = |text: &str| -> Option<u32> {
        let number: u32 = text.parse().ok()?;
        // Neither a sign nor a zero in front.
        (number.to_string() == text).then_some(number)
    };
    let port = |text: &str| Port::new(u16::try_from(number(text)?).ok()?);
    match (name, words.get(3..)?) {
        ("SetServerAddr", [ip, at]) => {
            let ip: IpAddr = ip.parse().ok()?;
            Some(Action::SetServerAddr { backend, server, to: Endpoint { ip, port: port(at)? } })
        }
        ("SetServerWeight", ["100%"]) => {
            Some(Action::SetServerWeight { backend, server, to: LiveWeight::Full(Weight::ONE) })
        }
        ("SetServerWeight", [to]) => {
            let to = LiveWeight::Is(Weight::new(number(to).filter(|to| *to <= 256)?).ok()?);
            Some(Action::SetServerWeight { backend, server, to })
        }
        ("SetServerState", [to]) => {
            let states = [("ready", State::Ready), ("drain", State::Drain), ("maint", State::Maint)];
            let to = states.into_iter().find(|(word, _)| word == to)?.1;
            Some(Action::SetServerState { backend, server, to })
        }
        ("SetServerCheckPort", [to]) => Some(Action::SetServerCheckPort { backend, server, to: port(to)? }),
        _ => None,
    }
}

/// A text from which a name may or may not be made.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_.:-]{1,12}", "[ -~]{1,6}", ".{1,6}", "[a-z;, \t\n\r]{1,4}", "[a-zäß\u{0}]{1,4}"]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let port = (1..=u16::MAX).prop_map(|port| Port::new(port).unwrap());
    let ip = prop_oneof![
        any::<u32>().prop_map(|v4| IpAddr::V4(v4.into())),
        any::<u128>().prop_map(|v6| IpAddr::V6(v6.into()))
    ];
    // Through the text, since not every address can be a server's.
    (ip, port).prop_filter_map("an address that no server has", |(ip, port)| match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}").parse().ok(),
        IpAddr::V6(ip) => format!("[{ip}]:{port}").parse().ok(),
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        endpoint().prop_map(Change::Address),
        (0..=256_u32).prop_map(|number| Change::Weight(super::weight(number))),
        Just(Change::InitialWeight),
        prop::sample::select(vec![State::Ready, State::Drain, State::Maint]).prop_map(Change::State),
    ]
}

proptest! {
    #[test]
    fn any_header_reads_back_as_the_actions_that_are_in_it(
        names in prop::collection::vec((text(), text()), 1..4),
        changes in prop::collection::vec((0..4_usize, change()), 1..8),
    ) {
        let names: Vec<(BackendName, ServerName)> = names
            .into_iter()
            .filter_map(|(of, name)| Some((BackendName::new(&of).ok()?, ServerName::new(&name).ok()?)))
            .collect();
        let backends: Vec<String> = names
            .iter()
            .map(|(of, name)| format!("backend {of}\n  balance roundrobin\n  server {name} 192.0.2.1:80\n"))
            .collect();
        let file = backends.concat();
        let operations: Vec<Operation> = changes
            .into_iter()
            .filter_map(|(place, change)| {
                let (backend, server) = names.get(place)?.clone();
                Some(Operation { backend, server, change })
            })
            .collect();
        let process = Process::new();
        let context = PassContext {
            version: V3_0,
            process: &process,
            edits: &[],
            posts: Posts::No,
            ready_with_address: true,
        };
        if let Some(Write::Live(write)) = write(&file, &operations, &context).write {
            let Some(header) = write.header() else { return Ok(()) };
            let same = |one: &Action, other: &Action| match (one, other) {
                // What it stands for is not in the header.
                (
                    Action::SetServerWeight { backend, server, to: LiveWeight::Full(_) },
                    Action::SetServerWeight { backend: of, server: name, to: LiveWeight::Full(_) },
                ) => (backend, server) == (of, name),
                (one, other) => one == other,
            };
            let read: Vec<Option<Action>> = header.split(';').map(strictly).collect();
            prop_assert_eq!(read.len(), write.actions().len(), "{}", header);
            for (read, action) in read.iter().zip(write.actions()) {
                prop_assert!(read.as_ref().is_some_and(|read| same(read, action)), "{header:?}");
            }
            prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{header:?}");
        }
    }

    #[test]
    fn no_name_has_what_ends_an_action_or_a_word(text in text()) {
        for name in [BackendName::new(&text).ok().map(|name| name.to_string()), ServerName::new(&text).ok().map(|name| name.to_string())] {
            let is_one_word = |name: &String| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
            prop_assert!(name.as_ref().is_none_or(is_one_word), "{name:?}");
        }
    }
}

#[test]
fn what_the_api_swallows_cannot_be_said() {
    for text in [
        "localhost:80",
        "web.example:80",
        "10.0.0.1:99999",
        "10.0.0.1:0",
        "10.0.0.1:abc",
        "10.0.0.1: 80",
        "10.0.0.1",
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?} was taken");
    }
    assert!(Port::new(0).is_none() && "99999".parse::<Port>().is_err());
    assert!(Weight::new(257).is_err());
    for wrong in [
        "SetServerAddr b s localhost 80",
        "SetServerAddr b s 10.0.0.1 99999",
        "SetServerAddr b s  10.0.0.1 80",
        " SetServerState b s ready",
        "SetServerState b s up",
        "SetServerWeight b s 257",
        "setserverweight b s 1",
        "SetServerHealth b s up",
    ] {
        assert_eq!(strictly(wrong), None, "the parser of these tests is not strict");
    }
}
