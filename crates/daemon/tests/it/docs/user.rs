//! An ordinary user at a fresh clone, with a home and a shell.
//!
//! Where the tests run as root the user is `nobody`, who cannot read root's files: so everything is a copy. Each port that
//! a page names stands for a free one. What would take too long or change the machine has a stand-in: `make` looks up what
//! it would do, and only installs; `sudo` does nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail, free_port, wait_until_or_fail};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::blocks::{self, Block};
use super::root;
use crate::rig::CAP;

/// The user and group `nobody` on every Linux.
const NOBODY: u32 = 65534;
/// Ends the shell at a command that fails. That there are changes is no failure.
const TRAP: &str = "trap 'code=$?; [[ $code$BASH_COMMAND == 2roster\\ plan* ]] || \
                    { echo \"exit code $code: $BASH_COMMAND\"; exit 1; }' ERR\n";
/// The parts of a clone that pages use.
const CLONE: [&str; 4] = ["Cargo.toml", "Makefile", "examples", "tools"];

pub(super) struct User {
    folder: tempfile::TempDir,
    blocks: Vec<Block>,
    ports: RefCell<BTreeMap<u16, u16>>,
}

impl User {
    /// One who pastes these.
    pub(super) fn new(blocks: Vec<Block>) -> Self {
        let folder = tempfile::Builder::new().prefix("user-").tempdir().or_fail();
        let user = Self { folder, blocks, ports: RefCell::default() };
        for folder in ["bin", "clone", "home"] {
            fs::create_dir(user.path(folder)).or_fail();
        }
        for part in CLONE {
            user.copy(&root().join(part), &user.path("clone").join(part), true);
        }
        // This build finds its libraries in its own folder.
        let haproxy = HaproxyBin::find(HaproxyVersion::V2_8).or_fail();
        user.copy(haproxy.path().parent().unwrap(), &user.path("haproxy"), false);
        user.copy(Path::new(env!("CARGO_BIN_EXE_roster")), &user.path("roster"), false);
        let roster = user.path("roster").display().to_string();
        user.program(
            "make",
            &format!(
                "/usr/bin/make --dry-run \"$@\" >/dev/null || exit\n\
                 case \"$*\" in install\\ PREFIX=*) exec tools/install {roster} \"${{2#PREFIX=}}\" ;; esac"
            ),
        );
        user.program("sudo", "exit 0");
        match Self::real_api() {
            Some(real) => user.copy(&real, &user.path("bin/dataplaneapi"), false),
            None => user.program("dataplaneapi", "pwd >\"$HOME/api-started\"; exec sleep 600"),
        }
        user
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(super) fn haproxy(&self) -> PathBuf {
        self.path("haproxy/haproxy")
    }

    pub(super) fn has_real_api() -> bool {
        Self::real_api().is_some()
    }

    /// The last one that is named, if any is.
    fn real_api() -> Option<PathBuf> {
        std::env::split_paths(&std::env::var_os("DATAPLANEAPI_BIN")?).last()
    }

    /// The port that stands for this one of the page.
    pub(super) fn port(&self, of: u16) -> u16 {
        *self.ports.borrow_mut().entry(of).or_insert_with(|| free_port().or_fail())
    }

    /// Pastes all blocks, and checks what comes of them.
    pub(super) fn pastes(&self) {
        self.finishes(&mut self.starts());
    }

    /// Begins to paste.
    pub(super) fn starts(&self) -> Child {
        let mut script = TRAP.to_owned();
        for Block { line, code, .. } in &self.blocks {
            write!(script, "echo '=== line {line}'\n{}", self.fitted(code)).unwrap();
        }
        fs::write(self.path("script"), script).or_fail();
        let output = File::create(self.path("output")).or_fail();
        let mut bash = Command::new("bash");
        // Debian's `PATH` of an ordinary user, without sbin.
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display());
        bash.arg(self.path("script")).current_dir(self.path("clone")).env_clear().env("PATH", path);
        bash.env("HOME", self.home()).env("ROSTER_HAPROXY", self.haproxy());
        bash.stdin(Stdio::null()).stdout(output.try_clone().or_fail()).stderr(output);
        if geteuid().is_root() {
            Self::give_away(self.folder.path());
            bash.uid(NOBODY).gid(NOBODY);
        }
        bash.spawn().or_fail()
    }

    /// Waits until everything is pasted. No command failed, each block printed what the page says, and nothing runs on.
    pub(super) fn finishes(&self, shell: &mut Child) {
        let told = || format!("all blocks, and not only this:\n{}", self.output());
        let ended = wait_until_or_fail(3 * CAP, &told(), || shell.try_wait().or_fail());
        let output = self.output();
        assert!(ended.success(), "the shell ended with {ended}");
        for (block, printed) in self.blocks.iter().zip(output.split("=== line ").skip(1)) {
            for line in &block.expected {
                let line = self.fitted(line);
                assert!(printed.contains(&line), "no {line:?} in what the block printed in line {printed}");
            }
        }
        wait_until_or_fail(CAP, "the end of everything that was started", || self.processes().is_empty());
    }

    /// The text with free ports, and with a status page of its own for Roster.
    fn fitted(&self, text: &str) -> String {
        blocks::ports(text).for_each(|port| _ = self.port(port));
        let admin = format!("\nadmin: {{ listen: \"127.0.0.1:{}\" }}\nsources:\n", self.port(9876));
        let known = self.ports.borrow();
        let text = blocks::renumbered(text, |port| known.get(&port).copied());
        // The key, and no other that ends like it.
        format!("\n{text}").replace("\nsources:\n", &admin).split_off(1)
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).or_fail();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).or_fail();
    }

    /// Copies a file or a folder. What pages speak of is text, and gets free ports.
    fn copy(&self, from: &Path, to: &Path, is_text: bool) {
        if from.is_dir() {
            fs::create_dir_all(to).or_fail();
            for entry in fs::read_dir(from).or_fail() {
                let entry = entry.or_fail();
                self.copy(&entry.path(), &to.join(entry.file_name()), is_text);
            }
            return;
        }
        fs::copy(from, to).or_fail();
        if is_text && from.components().any(|part| part.as_os_str() == "examples") {
            fs::write(to, self.fitted(&fs::read_to_string(from).or_fail())).or_fail();
        }
    }

    fn give_away(path: &Path) {
        chown(path, Some(NOBODY), Some(NOBODY)).or_fail();
        if path.is_dir() {
            for entry in fs::read_dir(path).or_fail() {
                Self::give_away(&entry.or_fail().path());
            }
        }
    }

    /// The processes that run in a folder of this user.
    fn processes(&self) -> Vec<i32> {
        let numbers = fs::read_dir("/proc").or_fail().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_here = |number: &i32| {
            fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|cwd| cwd.starts_with(self.folder.path()))
        };
        numbers.filter(is_here).collect()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        for pid in self.processes().into_iter().filter_map(Pid::from_raw) {
            // It may have ended meanwhile.
            kill_process(pid, Signal::KILL).ok();
        }
        if std::thread::panicking() {
            eprintln!("--- what was printed:\n{}", self.output());
        }
    }
}
