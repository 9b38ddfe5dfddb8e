//! The state that a recorded exchange needs, made with requests of its own before the recorded one is sent.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use roster_testkit::{
    DataplaneApi, DataplaneVersion, MadeCertificate, OrFail, Poll, ReloadWay, RuntimeSocket,
    wait_until_or_fail,
};
use serde_json::Value;

use super::client::{Answer, Request};
use super::{CONFIG, Rig};
use crate::CAP;

/// A rig that goes from one exchange to the next, and what it remembers of the way.
pub(super) struct Stage {
    pub(super) rig: Rig,
    /// What makes the rig unfit for the next exchange.
    used_up: bool,
    /// The transactions that were opened, the last one last.
    ids: Vec<String>,
    reload: String,
    /// The worker before a reload that was asked for and not waited for yet.
    reloading: Option<u32>,
    worker: Option<u32>,
    pub(super) certificate: MadeCertificate,
    credentials: Credentials,
}

/// Whose name the next request comes with.
#[derive(Default)]
enum Credentials {
    #[default]
    Right,
    Wrong,
    None,
}

impl Stage {
    /// As the recorded pairs were set up: commands to the master's CLI, reloads by a script that sends a signal.
    pub(super) fn new(version: DataplaneVersion, by_stats_socket: bool) -> Self {
        let (haproxy, servers) = Rig::pair(version);
        let script = haproxy.dir().join("reload.sh");
        let fail = haproxy.dir().join("fail");
        let text = format!(
            "#!/bin/sh\nif [ -e {} ]; then echo boom >&2; exit 3; fi\nkill -USR2 {}\n",
            fail.display(),
            haproxy.pid()
        );
        fs::write(&script, text).or_fail();
        let runtime = if by_stats_socket {
            RuntimeSocket::Stats(haproxy.socket())
        } else {
            RuntimeSocket::Master(haproxy.master_socket())
        };
        let words = ["sh".to_owned(), script.display().to_string()].to_vec();
        let api = DataplaneApi::builder(version)
            .haproxy(&haproxy)
            .runtime(runtime)
            .reload(ReloadWay::Command(words))
            .reload_delay(Duration::from_millis(250))
            .start()
            .or_fail();
        Self {
            rig: Rig { api, haproxy, servers },
            used_up: false,
            ids: Vec::new(),
            reload: String::new(),
            reloading: None,
            worker: None,
            certificate: MadeCertificate::new("a.example"),
            credentials: Credentials::Right,
        }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.used_up
    }

    fn storage(&self) -> PathBuf {
        self.rig.haproxy.dir().join("dataplane")
    }

    /// The names and numbers of this rig in the place of the recorded ones.
    pub(super) fn localised(&self, text: &str) -> String {
        let dir = self.rig.haproxy.dir().display().to_string();
        let fe = self.rig.haproxy.port("fe").or_fail().to_string();
        let mut text = text.replace("28080", &fe).replace("28081", &fe);
        for (at, server) in self.rig.servers.iter().enumerate() {
            text = text.replace(&format!("2900{}", at + 1), &server.addr().port().to_string());
        }
        for folder in ["maps", "ssl", "tx"] {
            let here = self.storage().join(folder).display().to_string();
            text = text.replace(&format!("/etc/haproxy/{folder}"), &here);
        }
        text.replace("/etc/haproxy", &dir)
    }

    /// The file of the recorded exchanges, as it was before the first.
    fn config(&self) -> String {
        let Rig { haproxy, servers, .. } = &self.rig;
        let mut text = CONFIG.to_owned();
        for (at, server) in servers.iter().enumerate() {
            text = text.replace(&format!("ADDR{}", at + 1), &server.addr().to_string());
        }
        text.replace("{socket}", &haproxy.socket().display().to_string())
            .replace("{dir}", &haproxy.dir().display().to_string())
            .replace("{port:fe}", &haproxy.port("fe").or_fail().to_string())
    }

    /// Brings file, version and process back to the beginning.
    fn reset(&mut self, version: &str) {
        self.settle();
        for id in self.open_transactions() {
            self.rig.request("DELETE", &format!("~/transactions/{id}")).send();
        }
        self.post_config(&self.config(), version);
        self.ids.clear();
        let live = [("s1", 10), ("s2", 20), ("s3", 30)].into_iter().zip(&self.rig.servers);
        for ((name, weight), server) in live {
            let (ip, port) = (server.addr().ip(), server.addr().port());
            let at = format!("set server app/{name}");
            let line = format!("{at} weight {weight};{at} addr {ip} port {port};{at} state ready");
            self.rig.haproxy.cli(&line).or_fail();
        }
        self.rig.haproxy.cli("disable server app/n2;del server app/n2").or_fail();
    }

    fn post_config(&self, text: &str, version: &str) -> Answer {
        let answer = self
            .rig
            .request("POST", "~/configuration/raw")
            .query("skip_version", "true")
            .query("skip_reload", "true")
            .text(&format!("# _version={version}\n{text}"))
            .send();
        answer.expect(201)
    }

    fn open_transactions(&self) -> Vec<String> {
        let all = self.rig.get("~/transactions").json();
        let ids = all.as_array().into_iter().flatten().filter_map(|one| one.get("id")?.as_str());
        ids.map(str::to_owned).collect()
    }

    /// One step: a word, or a request.
    pub(super) fn step(&mut self, step: &Value) {
        match step {
            Value::String(words) => self.word(words),
            _ => self.ask(step),
        }
    }

    fn word(&mut self, words: &str) {
        let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
        match (first, words) {
            ("version", _) => self.reset(rest),
            ("cli", _) => drop(self.rig.haproxy.cli(rest).or_fail()),
            (_, "fresh" | "stats socket") => self.used_up = true,
            (_, "no credentials") => self.credentials = Credentials::None,
            (_, "wrong password") => self.credentials = Credentials::Wrong,
            (_, "restart") => self.rig.api.restart().or_fail(),
            (_, "until reloaded") => self.until_reloaded(),
            // The last but one transaction is meant.
            (_, "other" | "at once") => {}
            (_, "swap") => self.ids.rotate_right(1),
            (_, "reloads fail") => {
                self.used_up = true;
                // What a failed reload goes back to is the file at the API's start: one that the API wrote.
                self.rig.api.restart().or_fail();
                fs::write(self.rig.haproxy.dir().join("fail"), "").or_fail();
            }
            (_, "haproxy down") => {
                self.used_up = true;
                self.rig.haproxy.kill9().or_fail();
            }
            (_, "map file" | "no map") => self.map_file(words == "map file"),
            (_, "map in use") => self.map_in_use(),
            (_, "certificate" | "no certificate") => self.certificate_file(words == "certificate"),
            _ => unreachable!("unknown step {words:?}"),
        }
    }

    fn map_file(&self, wanted: bool) {
        self.rig.request("DELETE", "~/storage/maps/hosts.map").send();
        if wanted {
            let upload = self.rig.request("POST", "~/storage/maps");
            upload.upload("hosts.map", "a.example app\nb.example two\n").send().expect(201);
        }
    }

    fn certificate_file(&mut self, wanted: bool) {
        self.before();
        let gone = self.rig.request("DELETE", "~/storage/ssl_certificates/site.pem").send();
        self.remember(&gone, false);
        if wanted {
            let upload = self.rig.request("POST", "~/storage/ssl_certificates");
            let answer = upload.upload("site.pem", &self.certificate.pem()).send();
            assert!(matches!(answer.status, 201 | 202), "{}", answer.text());
            self.remember(&answer, false);
        }
        self.settle();
    }

    /// A map that the running HAProxy has loaded.
    fn map_in_use(&mut self) {
        self.used_up = true;
        self.map_file(true);
        let version = self.rig.version();
        let path = self.storage().join("maps/hosts.map");
        let rule =
            format!("use_backend %[req.hdr(host),lower,map({},two)]\n  default_backend app", path.display());
        let text = self.config().replace("default_backend app", &rule);
        self.post_config(&text, &version.to_string());
        let before = self.rig.haproxy.worker_pid().or_fail();
        let pid = i32::try_from(self.rig.haproxy.pid()).or_fail();
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            rustix::process::kill_process(pid, rustix::process::Signal::USR2).or_fail();
        }
        wait_until_or_fail(CAP, "a worker that has the map", || {
            Poll::when(self.rig.haproxy.worker_pid().unwrap_or(before), |now| *now != before)
        });
        wait_until_or_fail(CAP, "the master's CLI", || self.rig.haproxy.master_cli("show proc"));
    }

    fn until_reloaded(&self) {
        let id = &self.reload;
        if id.is_empty() {
            return;
        }
        wait_until_or_fail(CAP, "the end of the reload", || {
            let state = self.rig.get(&format!("~/reloads/{id}")).json();
            Poll::when(state, |state| state.get("status").is_some_and(|status| status != "in_progress"))
        });
        // A signal only asks for it: the master's CLI is away until it has re-executed itself.
        wait_until_or_fail(CAP, "the master's CLI", || self.rig.haproxy.master_cli("show proc"));
    }

    /// Waits for the end of a reload, so that the next exchange does not meet a master that re-executes itself.
    fn settle(&mut self) {
        let Some(before) = self.reloading.take() else { return };
        self.until_reloaded();
        wait_until_or_fail(CAP, "a new worker", || {
            Poll::when(self.rig.haproxy.worker_pid().unwrap_or(before), |now| *now != before)
        });
        wait_until_or_fail(CAP, "the master's CLI", || self.rig.haproxy.master_cli("show proc"));
    }

    fn ask(&mut self, step: &Value) {
        let text = |at: usize| step.get(at).and_then(Value::as_str).unwrap_or_default();
        let request = self.rig.request(text(0), &self.with_ids(text(1)));
        self.before();
        let answer = self.filled(request, step.get(2), step.get(3)).send();
        self.remember(&answer, false);
    }

    /// With the query and the body of a step or a recording, in the terms of this rig.
    pub(super) fn filled(
        &self,
        mut request: Request,
        query: Option<&Value>,
        body: Option<&Value>,
    ) -> Request {
        for (name, value) in query.and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let value = if name == "transaction_id" { self.with_ids(&value) } else { value };
            request = request.query(name, &value);
        }
        match body {
            None | Some(Value::Null) => request,
            Some(Value::String(text)) if text == "(certificate and key)" => {
                request.text(&self.certificate.pem())
            }
            Some(Value::String(text)) if text == "(whole haproxy.cfg)" => request.text(&self.config()),
            Some(Value::String(text)) => request.text(&self.localised(text)),
            Some(object) => {
                let text = self.localised(&object.to_string());
                request.json(&serde_json::from_str(&text).or_fail())
            }
        }
    }

    /// What is to be seen before a request that may reload.
    pub(super) fn before(&mut self) {
        if self.reloading.is_none() {
            self.worker = self.rig.haproxy.worker_pid().ok();
        }
    }

    pub(super) fn remember(&mut self, answer: &Answer, forced: bool) {
        if let Some(id) = answer.header("Reload-ID") {
            id.clone_into(&mut self.reload);
        }
        if (answer.header("Reload-ID").is_some() || forced && answer.status < 300) && self.reloading.is_none()
        {
            self.reloading = self.worker;
        }
        let object = answer.json();
        let opened = object.get("status").is_some_and(|status| status == "in_progress");
        if let (true, Some(id)) = (opened, object.get("id").and_then(Value::as_str)) {
            self.ids.push(id.to_owned());
        }
    }

    /// A recorded transaction or reload id becomes that of this rig.
    pub(super) fn with_ids(&self, text: &str) -> String {
        let last = text.rsplit('/').next().unwrap_or_default();
        let own = |id: &str| text.replace(last, id);
        if last == "ID" || is_uuid(last) {
            return self.ids.last().map_or_else(|| text.to_owned(), |id| own(id));
        }
        match (last.split('-').collect::<Vec<_>>().as_slice(), self.reload.rsplit_once('-')) {
            // An id that was never given out stays one, of the day on which the test runs.
            (["2026", "11", "21", "99"], _) => {
                own(&format!("{}-99", jiff::Zoned::now().strftime("%Y-%m-%d")))
            }
            (["2026", "11", "21", _], Some(_)) => own(&self.reload),
            _ => text.to_owned(),
        }
    }

    pub(super) fn credentials(&mut self, request: Request) -> Request {
        match std::mem::take(&mut self.credentials) {
            Credentials::Right => request,
            Credentials::Wrong => request.credentials(Some(("admin", "wrong"))),
            Credentials::None => request.credentials(None),
        }
    }
}

pub(super) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
