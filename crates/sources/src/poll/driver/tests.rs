use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::*;

/// Counts its listings; each answers once it is let through.
struct Gated {
    begun: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    seen: mpsc::UnboundedSender<bool>,
}

impl Lister for Gated {
    async fn list(&mut self, known: Option<Arc<Snapshot>>, now: Timestamp) -> Result<Snapshot, Failure> {
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two at once");
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        self.seen.send(known.is_some()).unwrap();
        self.gate.acquire().await.unwrap().forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if number == 1 {
            return Err(Failure::new("down"));
        }
        Ok(Snapshot { taken: now, ..Snapshot::default() })
    }
}

struct Rig {
    poller: Poller<Gated>,
    gate: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    seen: mpsc::UnboundedReceiver<bool>,
}

/// A source that by itself lists once.
fn rig() -> Rig {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (to, seen) = mpsc::unbounded_channel();
    let lister =
        Gated { begun: Arc::clone(&begun), under_way: Arc::default(), gate: Arc::clone(&gate), seen: to };
    let hour = Duration::from_secs(3_600);
    let schedule = Schedule { every: hour, jitter: Duration::ZERO, first: hour, longest: hour };
    Rig { poller: Poller::new(lister, schedule), gate, begun, seen }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it comes soon")
}

#[tokio::test]
async fn whoever_wakes_it_is_answered_and_the_last_answer_is_handed_on() {
    let Rig { poller, gate, mut seen, .. } = rig();
    let (out, mut events) = mpsc::channel(4);
    let (waker, stop) = (poller.waker(), CancellationToken::new());
    let running = tokio::spawn(poller.run(out, stop.clone()));
    assert!(!soon(seen.recv()).await.unwrap(), "nothing is known at first");
    waker.wake();
    gate.add_permits(1);
    assert!(matches!(soon(events.recv()).await, Some(SourceEvent::Full(_))));
    assert!(soon(seen.recv()).await.unwrap(), "asked for during the first, the second follows");
    gate.add_permits(1);
    assert!(matches!(soon(events.recv()).await, Some(SourceEvent::Lost(_))));
    waker.wake();
    assert!(soon(seen.recv()).await.unwrap());
    gate.add_permits(1);
    assert!(matches!(soon(events.recv()).await, Some(SourceEvent::Full(_))), "the same answer, after a loss");
    stop.cancel();
    soon(running).await.unwrap();
}

#[tokio::test]
async fn it_can_be_stopped_in_the_middle_of_a_listing_and_ends_when_nobody_listens() {
    let Rig { poller, mut seen, .. } = rig();
    let (out, _events) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let running = tokio::spawn(poller.run(out, stop.clone()));
    soon(seen.recv()).await;
    stop.cancel();
    soon(running).await.unwrap();

    let Rig { poller, gate, seen: _seen, .. } = rig();
    let (out, events) = mpsc::channel(4);
    drop(events);
    gate.add_permits(1);
    soon(poller.run(out, CancellationToken::new())).await;
}

#[tokio::test]
async fn one_look_lists_once_and_knows_what_was_kept() {
    let Rig { poller, gate, begun, mut seen } = rig();
    gate.add_permits(2);
    let mut poller = poller.resume(Arc::default());
    assert!(soon(poller.fetch()).await.is_ok());
    assert!(seen.recv().await.unwrap());
    assert!(soon(poller.fetch()).await.is_err());
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}
