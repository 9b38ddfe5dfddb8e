//! What HAProxy writes.

use std::cell::RefCell;
use std::io::Write;

use roster_targets::managed::process::{Patience, Supervisor};
use roster_testkit::OrFail;

use super::site::{on_each, serving};

thread_local! {
    /// Roster's log of one test, which runs in one thread.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl Log {
    /// Begins an empty one. There is one subscriber for the whole process, because one for each thread would miss lines
    /// whenever another thread decides at the same moment whether anybody wants them.
    fn begin() {
        let subscriber =
            tracing_subscriber::fmt().with_writer(|| Log).with_ansi(false).without_time().finish();
        tracing::subscriber::set_global_default(subscriber).ok();
        LOG.take();
    }

    fn text() -> String {
        LOG.with_borrow(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// How many lines of HAProxy's have this level and text.
    fn count(level: &str, text: &str) -> usize {
        let all = Self::text();
        let begins = format!("{level} haproxy: HAProxy: ");
        let of_level = all.lines().filter(|line| line.trim_start().starts_with(&begins));
        of_level.filter(|line| line.contains(text)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn it_comes_into_rosters_log_with_its_own_level_and_the_file_stays_short() {
    on_each(async |site| {
        Log::begin();
        let mut program = site.program();
        program.limits.output = 2_000;
        let mut supervisor = Supervisor::start(program).await.or_fail();
        serving(&mut supervisor).await;
        assert_eq!(Log::count("INFO", "Loading success."), 1, "{}", Log::text());
        for n in 1..=10 {
            supervisor.reload().await.or_fail();
            assert_eq!(Log::count("INFO", "Loading success."), 1 + n, "{}", Log::text());
            let length = std::fs::metadata(site.path("output")).or_fail().len();
            assert!(length <= 4_000, "{length} bytes after {n} reloads");
        }
        assert_eq!(Log::count("WARN", ""), 0, "an ordinary reload warns of nothing: {}", Log::text());
        site.serve("two", "    nonsense here");
        supervisor.reload().await.or_fail();
        assert_eq!(Log::count("ERROR", "unknown keyword 'nonsense'"), 1, "{}", Log::text());
        supervisor.stop(Patience::default()).await;
        assert_eq!(Log::count("WARN", "All workers exited"), 1, "{}", Log::text());
    })
    .await;
}

#[tokio::test]
async fn haproxy_outlives_the_one_who_reads_it() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        serving(&mut supervisor).await;
        let known = supervisor.detach().unwrap();
        // It goes on writing where nobody reads.
        for _ in 0..3 {
            let master = site.path("master.sock");
            super::site::until("a reload", || roster_testkit::cli_at(&master, "reload").ok()).await;
            super::site::until("an answer", || roster_testkit::cli_at(&master, "show proc").ok()).await;
        }
        assert_eq!(site.get().as_deref(), Some("one"));
        assert!(Supervisor::adopt(site.program(), known).await.is_ok());
    })
    .await;
}
