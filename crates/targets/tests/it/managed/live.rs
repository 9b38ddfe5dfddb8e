//! Maps and certificates of a running HAProxy, brought to their files without a reload.

mod certificates;
mod maps;
#[path = "../runtime/tap.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tap stands in front of the runtime target's sockets")]
mod tap;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use roster_haproxy::live::Pem;
use roster_haproxy::render::{FileKind, FilePath, RenderedFile};
use roster_targets::managed::live::{Brought, Wanted, bring_to};
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{Haproxy, HaproxyBin, HttpBackend, OrFail};

use self::tap::Tap;

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(20);

/// A HAProxy that routes by a map and serves certificates by a list, and what it is to hold.
struct Site {
    haproxy: Haproxy,
    backends: Vec<HttpBackend>,
    /// By name: `paths.map`, `web.list`.
    files: BTreeMap<&'static str, (FileKind, String)>,
    pems: BTreeMap<FilePath, Pem>,
    strict: bool,
}

const CONFIG: &str = "\
frontend web
    bind 127.0.0.1:{port:web}
    bind 127.0.0.1:{port:tls} ssl crt-list {dir}/web.list STRICT
    use_backend %[path,map_beg({dir}/paths.map,other)]
";

/// Runs the same test with each HAProxy, and says which one failed.
async fn on_each(test: impl AsyncFn(&HaproxyBin)) {
    for bin in HaproxyBin::each() {
        eprintln!("with {bin}");
        test(&bin).await;
    }
}

impl Site {
    /// Begins with these routes and this list; a line of it names `NAME.pem`, made by [`tls::made`].
    fn start(bin: &HaproxyBin, routes: &str, list: &str, strict: bool) -> Self {
        let mut haproxy = Haproxy::builder(bin)
            .config("listen before\n    bind 127.0.0.1:{port:before}\n")
            .start()
            .or_fail();
        let backends: Vec<_> = ["a", "b", "other"].map(|name| HttpBackend::start(name).or_fail()).into();
        let of =
            |backend: &HttpBackend| format!("backend {}\n    server s {}\n", backend.name(), backend.addr());
        let config = CONFIG.replace("STRICT", if strict { "strict-sni" } else { "" });
        haproxy.set_config(&(config + &backends.iter().map(of).collect::<Vec<_>>().concat())).or_fail();
        let mut site = Self { haproxy, backends, files: BTreeMap::new(), pems: BTreeMap::new(), strict };
        site.set("paths.map", FileKind::Map, routes);
        site.list(list);
        for (path, pem) in &site.pems {
            fs::write(path.as_str(), pem.secret_text()).or_fail();
        }
        for (name, (_, text)) in &site.files {
            fs::write(site.haproxy.dir().join(name), text).or_fail();
        }
        site.haproxy.restart().or_fail();
        site
    }

    fn path(&self, name: &str) -> FilePath {
        FilePath::new(self.haproxy.dir().join(name).to_str().unwrap()).or_fail()
    }

    fn set(&mut self, name: &'static str, kind: FileKind, text: &str) {
        self.files.insert(name, (kind, text.to_owned()));
    }

    fn routes(&mut self, text: &str) {
        self.set("paths.map", FileKind::Map, text);
    }

    /// The list, each line beginning with the name of a certificate, which is made if it is not there.
    fn list(&mut self, lines: &str) {
        let mut text = String::new();
        for line in lines.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let at = self.path(&format!("{name}.pem"));
            self.pems.entry(at.clone()).or_insert_with(|| tls::made(&format!("{name}.org")).pem);
            text.extend([at.as_str(), " ", rest, "\n"]);
        }
        self.set("web.list", FileKind::CrtList, &text);
    }

    fn rendered(&self) -> Vec<RenderedFile> {
        let file = |(name, (kind, text)): (&&str, &(FileKind, String))| RenderedFile {
            path: self.path(name),
            kind: *kind,
            text: text.clone(),
        };
        self.files.iter().map(file).collect()
    }

    async fn bring_through(&self, socket: &SocketAddress) -> Brought {
        let strict: BTreeSet<_> = self.strict.then(|| self.path("web.list")).into_iter().collect();
        let wanted = Wanted { files: &self.rendered(), certificates: &self.pems, strict: &strict };
        bring_to(socket, &Limits::default(), wanted).await.or_fail()
    }

    /// Brings HAProxy to it, and sees that the process stays, and that a second time there are only questions.
    async fn bring(&self) -> Brought {
        let pid = self.haproxy.worker_pid().or_fail();
        let socket = SocketAddress::Unix(self.haproxy.socket());
        let brought = self.bring_through(&socket).await;
        let tap = Tap::on(self.haproxy.socket());
        let again = self.bring_through(&tap.address).await;
        if brought.troubles.is_empty() {
            assert_eq!((again.changed.len(), &again.left), (0, &brought.left));
            let quiet = ["prompt", "set severity-output none", "quit"];
            let asked: Vec<_> = tap.take().into_iter().flatten().collect();
            assert!(asked.iter().any(|line| line.starts_with("show map ")), "{asked:?}");
            let loud: Vec<_> = asked
                .iter()
                .filter(|line| !line.starts_with("show ") && !quiet.contains(&line.as_str()))
                .collect();
            assert!(loud.is_empty(), "{loud:?}");
        }
        assert_eq!(self.haproxy.worker_pid().or_fail(), pid);
        brought
    }

    /// Brings HAProxy to it and leaves nothing.
    async fn bring_all(&self) -> Vec<String> {
        let brought = self.bring().await;
        assert_eq!((&brought.left, &brought.troubles), (&Vec::new(), &Vec::new()));
        brought.changed
    }

    /// Which certificate a client gets for a name.
    fn served(&self, name: &str) -> Option<Vec<u8>> {
        tls::served(self.haproxy.addr("tls").or_fail(), name)
    }
}
