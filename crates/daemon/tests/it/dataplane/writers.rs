//! Somebody else writes through the API all the time: neither loses anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use roster_targets::dataplane::client::{Client, Reload, View, Why, Write};
use roster_testkit::{OrFail, Poll, wait_until_or_fail};

use super::site::{Site, alone, on_each, wait_for};
use crate::rig::CAP;

/// Sets the weight of `foreign/own` as fast as it can, each time on the version that it read.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    done: u32,
    stale: u32,
    /// The last weight that the API took.
    last: u16,
    reloads: u32,
}

impl Writer {
    fn start(client: Client) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || wait_for(write(&client, &seen)));
        Self { stop, thread }
    }

    fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn write(client: &Client, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let mut own = client.server("foreign", "own", View::InForce).await.or_fail();
        let weight = if tally.done % 2 == 0 { 50 } else { 51 } + u16::try_from(tally.done % 100).or_fail();
        own.value.set_weight(weight);
        match client.replace_server("foreign", "own", &own.value, Write::At(own.version)).await {
            Ok(outcome) => {
                tally.done += 1;
                tally.last = weight;
                tally.reloads += u32::from(outcome.reload != Reload::None);
            }
            Err(error) if matches!(error.why, Why::StaleVersion { .. }) => tally.stale += 1,
            Err(error) => panic!("{error}"),
        }
    }
    tally
}

fn both_keep_all(site: &Site, passes: usize) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    let pid = site.pid();
    let writer = Writer::start(site.client());
    for pass in 0..passes {
        let web = &ports[pass % 2..pass % 2 + 2];
        site.services(&[("web", web)]);
        site.until_ready("web", web);
    }
    let tally = writer.stop();
    eprintln!("{tally:?}");
    let web = &ports[(passes - 1) % 2..(passes - 1) % 2 + 2];
    assert!(tally.done > 10, "the other hardly wrote: {tally:?}");
    // All of the other's.
    assert_eq!(site.rig.haproxy.server("foreign", "own").or_fail().uweight, u32::from(tally.last));
    site.until_written(&format!("server own 127.0.0.1:9 weight {}", tally.last));
    // All of Roster's.
    site.until_ready("web", web);
    wait_until_or_fail(CAP, "the servers in the file", || {
        Poll::when(site.text(), |text| {
            let ready = site.rig.ready("web");
            ready.iter().all(|(name, port)| {
                let line = format!("server {name} 127.0.0.1:{port} weight 10");
                text.lines().any(|one| one.trim().starts_with(&line) && !one.contains("disabled"))
            })
        })
    });
    assert_eq!((site.pid(), site.reloads(), tally.reloads), (pid, 0, 0), "{}", daemon.log());
}

#[test]
fn a_hundred_passes_beside_another_writer_lose_nothing_on_either_side() {
    alone(|site| both_keep_all(&site, 100));
}

#[test]
fn with_the_socket_too_nothing_is_lost_beside_another_writer() {
    on_each(|site| {
        if site.keys.contains("socket") {
            both_keep_all(&site, 25);
        }
    });
}

#[test]
fn a_new_backend_comes_beside_another_writer() {
    on_each(|mut site| {
        site.with_backends();
        let ports = site.ports();
        site.services(&[("web", &ports[..1])]);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..1]);
        let writer = Writer::start(site.client());
        site.services(&[("web", &ports[..1]), ("api", &ports[2..3])]);
        site.until_ready("api", &ports[2..3]);
        let tally = writer.stop();
        // A write of the other's in the middle of Roster's reload may ask for one more.
        let reloads = 1..=1 + u64::from(tally.reloads);
        assert!(reloads.contains(&site.reloads()), "{tally:?}\n{}", daemon.log());
        site.until_written(&format!("server own 127.0.0.1:9 weight {}", tally.last));
        site.until_ready("web", &ports[..1]);
    });
}
