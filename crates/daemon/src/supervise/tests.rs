use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::*;

// The clock of these tests stands still while a task can go on, so no pause ends before the test has looked.

/// A task that panics in its first run when it is told to.
pub(crate) struct PanicsOnce<T> {
    task: T,
    when: Option<CancellationToken>,
}

impl<T> PanicsOnce<T> {
    pub(crate) fn new(task: T, when: &CancellationToken) -> Self {
        Self { task, when: Some(when.clone()) }
    }
}

impl<T: Task> Task for PanicsOnce<T> {
    type Left = T::Left;

    async fn run(&mut self) -> Result<T::Left, String> {
        match self.when.take() {
            Some(when) => tokio::select! {
                left = self.task.run() => left,
                () = when.cancelled() => panic!("a mistake"),
            },
            None => self.task.run().await,
        }
    }

    async fn pause(&mut self) {
        self.task.pause().await;
    }
}

/// A task that fails so often, in one of two ways, before it runs.
struct Fails {
    times: u32,
    by_panic: bool,
    runs: Arc<AtomicU32>,
    stop: CancellationToken,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
}

fn fails(times: u32, by_panic: bool) -> (Fails, Arc<AtomicU32>, mpsc::Sender<oneshot::Sender<()>>) {
    let (ask, asked) = mpsc::channel(1);
    let runs = Arc::new(AtomicU32::new(0));
    (Fails { times, by_panic, runs: Arc::clone(&runs), stop: CancellationToken::new(), asked }, runs, ask)
}

impl Task for Fails {
    type Left = &'static str;

    async fn run(&mut self) -> Result<&'static str, String> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        assert!(run >= self.times || !self.by_panic, "run {run} is wrong");
        if run < self.times {
            return Err("it had enough".into());
        }
        self.stop.cancelled().await;
        Ok("all of it")
    }

    async fn pause(&mut self) {
        while self.asked.recv().await.is_some() {}
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_or_ends_by_itself_is_told_counted_shown_and_started_anew() {
    for (by_panic, why) in [(true, "it panicked: run 1 is wrong"), (false, "it had enough")] {
        let reporter = Reporter::default();
        let (tasks, mut heard) = (Tasks::quick(&reporter), reporter.listen());
        let (task, runs, _ask) = fails(2, by_panic);
        let stop = task.stop.clone();
        let running = tasks.spawn("keeper local".into(), &stop, task);
        let mut shown = tasks.inner.ended.subscribe();
        shown.wait_for(|ended| ended.get("keeper local").is_some_and(|one| one.times == 2)).await.unwrap();
        let ended = &tasks.ended()["keeper local"];
        assert_eq!((ended.cause.as_str(), ended.runs), (why, false));
        shown.wait_for(|ended| ended.values().all(|one| one.runs)).await.unwrap();
        for again in [1, 2] {
            let fact = heard.try_recv().unwrap();
            assert_eq!((fact.event, fact.about.again_ms), ("task_ended", Some(again)));
            assert!(fact.message.starts_with("keeper local ended: "), "{}", fact.message);
        }
        stop.cancel();
        assert_eq!(running.await.unwrap(), Some("all of it"));
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_task_between_two_runs_is_answered() {
    let tasks = Tasks::quick(&Reporter::default());
    let (task, _runs, ask) = fails(1, true);
    let stop = task.stop.clone();
    tasks.spawn("keeper local".into(), &stop, task);
    tasks.inner.ended.subscribe().wait_for(|ended| !ended.is_empty()).await.unwrap();
    let (reply, answer) = oneshot::channel();
    ask.send(reply).await.unwrap();
    assert!(answer.await.is_err(), "the question waits for the next run");
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_task_that_keeps_ending_gives_the_program_up_and_says_why() {
    let tasks = Tasks::quick(&Reporter::default());
    let (task, runs, _ask) = fails(u32::MAX, true);
    let stop = task.stop.clone();
    let running = tasks.spawn("source fleet".into(), &stop, task);
    let why = tasks.given_up().await;
    assert_eq!(why, "source fleet ends again and again: it panicked: run 7 is wrong");
    assert_eq!((running.await.unwrap(), runs.load(Ordering::Relaxed)), (None, 8));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_stopped_while_it_waits_for_its_next_run_ends_at_once() {
    let tasks = Tasks::quick(&Reporter::default());
    let (task, runs, _ask) = fails(u32::MAX, false);
    let stop = task.stop.clone();
    let running = tasks.spawn("source fleet".into(), &stop, task);
    tasks.inner.ended.subscribe().wait_for(|ended| !ended.is_empty()).await.unwrap();
    stop.cancel();
    assert_eq!((running.await.unwrap(), runs.load(Ordering::Relaxed)), (None, 1));
}
