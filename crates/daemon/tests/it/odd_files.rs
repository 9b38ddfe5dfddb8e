//! What stands in the place of a file stops nothing: it is reported, services are followed, and SIGTERM ends Roster at once.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use roster_testkit::{MadeCertificate, OrFail, free_port, served_certificate, wait_until_or_fail};
use rustix::process::Signal;

use crate::managed::site::{Site, at, backends, ports};
use crate::rig::{CAP, Daemon, Rig, THREE_SLOTS, homeless, one_version};

/// How soon Roster ends, on a machine that compiles meanwhile.
const AT_ONCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Odd {
    Pipe,
    Device,
    /// 3 GiB, of which none is on the disk.
    Sparse,
    Folder,
    Growing,
}

const ALL: [Odd; 5] = [Odd::Pipe, Odd::Device, Odd::Sparse, Odd::Folder, Odd::Growing];

/// Something odd at a path. Dropping it removes it.
struct Put {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    writing: Option<JoinHandle<()>>,
}

impl Odd {
    fn put(self, path: &Path) -> Put {
        fs::remove_file(path).ok();
        let stop = Arc::new(AtomicBool::new(false));
        let mut put = Put { path: path.to_owned(), stop: Arc::clone(&stop), writing: None };
        match self {
            Self::Pipe => assert!(Command::new("mkfifo").arg(path).status().or_fail().success()),
            Self::Device => symlink("/dev/zero", path).or_fail(),
            Self::Sparse => File::create(path).or_fail().set_len(3 << 30).or_fail(),
            Self::Folder => fs::create_dir(path).or_fail(),
            Self::Growing => {
                let mut file = File::create(path).or_fail();
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).or_fail();
                let block = vec![b'#'; 1 << 20];
                file.write_all(&block).or_fail();
                put.writing = Some(thread::spawn(move || {
                    // Past every bound, and no further: the disk is everybody's.
                    for _ in 0..300 {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        file.write_all(&block).or_fail();
                    }
                }));
            }
        }
        put
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(writing) = self.writing.take() {
            writing.join().ok();
        }
        fs::remove_file(&self.path).or_else(|_| fs::remove_dir(&self.path)).ok();
    }
}

fn rig() -> Rig {
    let sections = THREE_SLOTS.replace(" check inter 200ms", "");
    Rig::new(
        &one_version(),
        &sections,
        "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n",
    )
}

/// Waits until servers at exactly these ports are ready, whatever their names: a slot that became free may rest.
fn until_ports(rig: &Rig, wanted: &[u16]) {
    wait_until_or_fail(CAP, &format!("{wanted:?} to be ready"), || {
        let mut ready: Vec<u16> = rig.ready("web").into_iter().map(|(_, port)| port).collect();
        ready.sort_unstable();
        ready == wanted
    });
}

/// The library that knows AWS's shared files would read these without end, or wait for them.
#[test]
fn what_stands_for_awss_shared_files_is_reported_and_roster_ends_at_once() {
    let folder = tempfile::tempdir().or_fail();
    let config = folder.path().join("roster.yaml");
    let text = "sources: { cloud: { aws: { region: us-east-2, endpoint: \"http://127.0.0.1:1\" } } }\n\
                targets: { local: { runtime: { socket: h.sock } } }\nadmin: off\n";
    fs::write(&config, text).or_fail();
    for variable in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
        for odd in [Odd::Pipe, Odd::Device, Odd::Sparse, Odd::Folder] {
            let (path, log) = (folder.path().join("odd"), folder.path().join("roster.log"));
            let _put = odd.put(&path);
            fs::remove_file(&log).ok();
            let mut command = homeless(&["run", "-c", config.to_str().unwrap()]);
            command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true").env(variable, &path);
            let daemon = Daemon::start(command, log);
            daemon.until_log(&format!("{} cannot be read: ", path.display()));
            daemon.until_log(variable);
            let asked = Instant::now();
            assert_eq!(daemon.stop(), Some(0), "{odd:?} for {variable}");
            assert!(asked.elapsed() < AT_ONCE, "{odd:?} for {variable}: {:?}", asked.elapsed());
        }
    }
}

#[test]
fn a_configuration_that_is_no_file_is_refused_and_the_old_one_stays_in_use() {
    let rig = rig();
    rig.web(&[8001]);
    let good = fs::read(rig.config()).or_fail();
    for (odd, port) in ALL.into_iter().zip(8002..) {
        fs::write(rig.config(), &good).or_fail();
        let daemon = rig.run();
        daemon.until_log("running");
        let put = odd.put(&rig.config());
        let check = rig.roster(&["check"]);
        assert_eq!(check.code, Some(64), "{odd:?}: {check:?}");
        daemon.signal(Signal::HUP);
        daemon.until_log("the configuration stays as it was");
        rig.web(&[8001, port]);
        until_ports(&rig, &[8001, port]);
        let asked = Instant::now();
        assert_eq!(daemon.stop(), Some(0), "{odd:?}");
        assert!(asked.elapsed() < AT_ONCE, "{odd:?}: {:?}", asked.elapsed());
        drop(put);
        fs::remove_file(rig.folder().join("roster.log")).or_fail();
    }
}

#[test]
fn a_file_that_the_configuration_names_is_refused_at_once_where_it_is_none() {
    let folder = tempfile::tempdir().or_fail();
    let (config, odd_path) = (folder.path().join("roster.yaml"), folder.path().join("odd"));
    let targets = [
        "own: { managed: { config: h.cfg, haproxy: /bin/true, run_dir: run, sections: { file: odd } } }",
        "own: { managed: { config: h.cfg, haproxy: /bin/true, run_dir: run, global: { file: odd } } }",
        "api: { dataplane: { url: \"http://127.0.0.1:1\", username: a, password: { file: odd } } }",
        "api: { dataplane: { url: \"https://127.0.0.1:1\", username: a, password: a, tls: { ca_file: odd } } }",
    ];
    for target in targets {
        let text = format!(
            "sources: {{ fleet: {{ file: {{ path: s.yaml }} }} }}\ntargets: {{ {target} }}\nadmin: off\n"
        );
        fs::write(&config, text).or_fail();
        for odd in ALL {
            let _put = odd.put(&odd_path);
            let check = crate::rig::roster(&["check", "-c", config.to_str().unwrap()]);
            assert!(matches!(check.code, Some(1 | 64)), "{odd:?} for {target}: {check:?}");
            let said = &check.err;
            assert!(
                said.contains("not a file") || said.contains("more than"),
                "{odd:?} for {target}: {said}"
            );
        }
    }
}

#[test]
fn a_list_that_is_no_file_is_reported_and_what_it_said_stays() {
    let rig = rig();
    rig.web(&[8001]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001)]);
    let list = rig.folder().join("services.yaml");
    for (odd, port) in ALL.into_iter().zip(8002..) {
        let put = odd.put(&list);
        wait_until_or_fail(CAP, &format!("{odd:?} to be reported"), || {
            rig.roster(&["status"]).out.contains("DOWN")
        });
        assert_eq!(rig.ready("web").len(), if port == 8002 { 1 } else { 2 }, "{odd:?}");
        drop(put);
        rig.web(&[8001, port]);
        until_ports(&rig, &[8001, port]);
    }
    let _put = Odd::Pipe.put(&list);
    let asked = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
}

#[test]
fn a_record_that_is_no_file_is_reported_and_the_others_are_kept() {
    let rig = rig();
    rig.web(&[8001]);
    for odd in ALL {
        let daemon = rig.run();
        daemon.until_log("running");
        rig.until_ready("web", &[("srv1", 8001)]);
        assert_eq!(daemon.stop(), Some(0));
        let _puts = ["applied/local/process.state", "sources/fleet.state"]
            .map(|name| odd.put(&rig.state().join(name)));
        let daemon = rig.run();
        daemon.until_log("process.state");
        rig.web(&[8001, 8002]);
        until_ports(&rig, &[8001, 8002]);
        rig.web(&[8001]);
        let asked = Instant::now();
        assert_eq!(daemon.stop(), Some(0), "{odd:?}");
        assert!(asked.elapsed() < AT_ONCE, "{odd:?}: {:?}", asked.elapsed());
        fs::remove_file(rig.folder().join("roster.log")).or_fail();
    }
}

#[test]
fn a_certificate_that_is_no_file_is_reported_and_services_and_certificates_are_followed() {
    let port = free_port().or_fail();
    let mut site = Site::new(&one_version());
    site.sections = String::new();
    let frontend = format!(
        "frontends: {{ public: {{ bind: {{ at: \"127.0.0.1:{port}\", certificates: [first.pem, certs] }} }} }}\n"
    );
    site.keys += &frontend;
    site.rest = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: off, \
                 backend: { route: { frontend: public, path: / } } } ]\nadmin: off\n"
        .to_owned();
    let servers = backends(&["shop", "shop"]);
    let all = ports(&servers);
    site.services(&[("web", &all[..1])]);
    let first = MadeCertificate::new("first.test");
    let certs = site.path("certs");
    fs::create_dir(&certs).or_fail();
    fs::write(site.path("first.pem"), first.pem()).or_fail();
    let roster = site.run();
    site.until_ready("web", &all[..1]);
    let names = ["a.pem", "b.pem", "c.pem", "d.pem", "e.pem"];
    let _puts: Vec<Put> = ALL.iter().zip(names).map(|(odd, name)| odd.put(&certs.join(name))).collect();
    for name in names {
        roster.until_log(name);
    }
    site.services(&[("web", &all)]);
    site.until_ready("web", &all);
    let late = MadeCertificate::new("late.test");
    fs::write(certs.join(".late"), late.pem()).or_fail();
    fs::rename(certs.join(".late"), certs.join("late.pem")).or_fail();
    wait_until_or_fail(CAP, "the certificate that is one", || {
        served_certificate(at(port), "late.test").as_deref() == Some(&late.der[..])
    });
    let asked = Instant::now();
    assert_eq!(roster.stop(), Some(0));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
}
