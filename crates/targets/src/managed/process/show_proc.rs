//! What a master says of its processes: `show proc` (management manual 9.4, "The master CLI").

/// The answer to `show proc`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Processes {
    /// The master's number.
    pub master: u32,
    /// How often it was told to reload, with success or not.
    pub reloads: u32,
    /// How many of its last reloads failed in a row; a good one sets it to 0.
    pub failed: u32,
    /// What stands under `# workers`.
    current: Vec<Worker>,
    /// What stands under `# old workers`.
    old: Vec<Worker>,
}

/// A worker's line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Worker {
    pid: u32,
    /// Reloads that it outlived.
    reloads: u32,
}

enum Part {
    Head,
    Workers,
    OldWorkers,
    Other,
}

impl Processes {
    /// Reads the answer; `None` if it is not one. What later versions add is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut all = Self::default();
        let mut part = lines.next()?.starts_with("#<PID>").then_some(Part::Head)?;
        for line in lines {
            if let Some(heading) = line.strip_prefix("# ") {
                part = match heading.trim() {
                    "workers" => Part::Workers,
                    "old workers" => Part::OldWorkers,
                    _ => Part::Other,
                };
                continue;
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match (&part, words.as_slice()) {
                (Part::Head, [pid, "master", reloads, "[failed:", failed, ..]) => {
                    all.master = pid.parse().ok()?;
                    all.reloads = reloads.parse().ok()?;
                    all.failed = failed.trim_end_matches(']').parse().ok()?;
                }
                (Part::Workers, [pid, "worker", reloads, ..]) => {
                    all.current.push(Worker { pid: pid.parse().ok()?, reloads: reloads.parse().ok()? });
                }
                (Part::OldWorkers, [pid, "worker", reloads, ..]) => {
                    all.old.push(Worker { pid: pid.parse().ok()?, reloads: reloads.parse().ok()? });
                }
                _ => {}
            }
        }
        (all.master != 0).then_some(all)
    }

    /// The worker that serves. After a failed reload 3.1 and later list it among the old ones: it is then the one that
    /// outlived the fewest reloads. If the master itself refused the file, it counts no failure (measured on 3.2).
    pub fn worker(&self) -> Option<u32> {
        let survivor = || self.old.iter().min_by_key(|worker| worker.reloads);
        self.current.first().or_else(survivor).map(|worker| worker.pid)
    }

    /// The workers that finish what they have and end then, at `hard-stop-after` at the latest.
    pub fn old_workers(&self) -> impl Iterator<Item = u32> {
        let serving = self.worker();
        self.old.iter().map(|worker| worker.pid).filter(move |pid| Some(*pid) != serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_6_RELOAD_REFUSED: &str = "\
#<PID>          <type>          <reloads>       <uptime>        <version>      
28337           master          2 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u4
# workers
28361           worker          1               0d00h00m01s     2.6.12-1+deb12u4
# old workers
28344           worker          2               0d00h00m01s     2.6.12-1+deb12u4
# programs


";
    const V2_8: &str = "\
#<PID>          <type>          <reloads>       <uptime>        <version>      
22382           master          3 [failed: 0]   0d00h00m01s     2.8.25-5cf5d0683
# workers
22397           worker          0               0d00h00m00s     2.8.25-5cf5d0683
# programs


";
    const V3_0_RELOADED: &str = "\
#<PID>          <type>          <reloads>       <uptime>        <version>      
4492            master          1 [failed: 0]   0d00h00m01s     3.0.11-1+deb13u3
# workers
4516            worker          0               0d00h00m00s     3.0.11-1+deb13u3
# old workers
4496            worker          1               0d00h00m01s     3.0.11-1+deb13u3
# programs


";
    const V3_2_RELOAD_REFUSED: &str = "\
#<PID>          <type>          <reloads>       <uptime>        <version>      
22549           master          2 [failed: 1]   0d00h00m01s     3.2.0-e134140d2
# workers
# old workers
22554           worker          1               0d00h00m01s     3.2.0-e134140d2


";

    fn read(text: &str) -> (Processes, Option<u32>, Vec<u32>) {
        let all = Processes::parse(text).unwrap();
        let (worker, old) = (all.worker(), all.old_workers().collect());
        (all, worker, old)
    }

    #[test]
    fn master_worker_and_failures_are_read_on_each_version() {
        let (all, worker, old) = read(V2_8);
        assert_eq!((all.master, all.reloads, all.failed), (22382, 3, 0));
        assert_eq!((worker, old), (Some(22397), vec![]));

        let (all, worker, old) = read(V2_6_RELOAD_REFUSED);
        assert_eq!((all.reloads, all.failed), (2, 1));
        assert_eq!((worker, old), (Some(28361), vec![28344]));

        let (_, worker, old) = read(V3_0_RELOADED);
        assert_eq!((worker, old), (Some(4516), vec![4496]));
    }

    #[test]
    fn a_worker_that_outlived_a_failed_reload_serves_though_it_is_listed_as_old() {
        let (_, worker, old) = read(V3_2_RELOAD_REFUSED);
        assert_eq!((worker, old), (Some(22554), vec![]));
        let older = "22550           worker          2               0d00h00m09s     3.2.0\n";
        let (_, worker, old) =
            read(&format!("{}{older}", V3_2_RELOAD_REFUSED.trim_end_matches('\n').to_owned() + "\n"));
        assert_eq!((worker, old), (Some(22554), vec![22550]));
    }

    #[test]
    fn a_worker_that_outlived_a_reload_that_the_master_refused_serves() {
        let text = V3_2_RELOAD_REFUSED.replace("[failed: 1]", "[failed: 0]");
        assert_eq!(read(&text).1, Some(22554));
    }

    #[test]
    fn without_a_worker_nobody_serves() {
        let is_worker = |line: &&str| line.contains("worker ");
        let text: Vec<&str> =
            V3_2_RELOAD_REFUSED.split_inclusive('\n').filter(|line| !is_worker(line)).collect();
        assert_eq!(Processes::parse(&text.concat()).unwrap().worker(), None);
    }

    #[test]
    fn programs_are_no_workers() {
        let text = V2_8.replace(
            "# programs\n",
            "# programs\n31              logger          0               0d00h00m01s     -\n",
        );
        assert_eq!(read(&text).2, Vec::<u32>::new());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "Unknown command",
            "#<PID> <type>\n",
            "22382 master 3 [failed: 0]\n",
            "#<PID>\nx master y [failed: z]\n",
        ] {
            assert_eq!(Processes::parse(text), None, "{text:?}");
        }
    }
}
