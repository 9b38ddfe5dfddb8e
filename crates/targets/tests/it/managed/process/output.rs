//! What HAProxy writes.

use std::io::Write;
use std::sync::{Arc, Mutex};

use roster_targets::managed::process::{Patience, Supervisor};
use roster_testkit::OrFail;
use tracing_subscriber::fmt::MakeWriter;

use super::site::{on_each, serving};

/// Roster's log of one test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// How many lines of HAProxy's have this level and text.
    fn count(&self, level: &str, text: &str) -> usize {
        let text_of = self.text();
        let of_level =
            text_of.lines().filter(|line| line.trim_start().starts_with(&format!("{level} haproxy:")));
        of_level.filter(|line| line.contains(text)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn it_comes_into_rosters_log_with_its_own_level_and_the_file_stays_short() {
    on_each(async |site| {
        let log = Log::default();
        let subscriber =
            tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
        let _here = tracing::subscriber::set_default(subscriber);
        let mut program = site.program();
        program.limits.output = 2_000;
        let mut supervisor = Supervisor::start(program).await.or_fail();
        serving(&mut supervisor).await;
        assert_eq!(log.count("INFO", "Loading success."), 1, "{}", log.text());
        for n in 1..=10 {
            supervisor.reload().await.or_fail();
            assert_eq!(log.count("INFO", "Loading success."), 1 + n, "{}", log.text());
            let length = std::fs::metadata(site.path("output")).or_fail().len();
            assert!(length <= 4_000, "{length} bytes after {n} reloads");
        }
        site.serve("two", "    nonsense here");
        supervisor.reload().await.or_fail();
        assert_eq!(log.count("ERROR", "unknown keyword 'nonsense'"), 1, "{}", log.text());
        supervisor.stop(Patience::default()).await;
        assert!(log.count("WARN", "Former worker") >= 9, "{}", log.text());
        assert_eq!(log.count("WARN", "All workers exited"), 1, "{}", log.text());
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
