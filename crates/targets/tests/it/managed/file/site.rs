//! A folder for HAProxy's files, and something to write into it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::render::*;
use roster_haproxy::version::Version;
use roster_targets::managed::file::*;
use roster_testkit::{HaproxyBin, OrFail};
use tempfile::TempDir;

/// A certificate for example.org and its key, of no use elsewhere; valid until 2126.
const CERTIFICATE: &str = include_str!("../render/web.pem");

pub(super) struct Site {
    dir: TempDir,
    bin: HaproxyBin,
    pub(super) files: ConfigFiles,
    pub(super) record: Record,
}

/// Runs the same test with each HAProxy, and says which one failed.
pub(super) fn on_each(test: impl Fn(&mut Site)) {
    for bin in HaproxyBin::each() {
        eprintln!("with {bin}");
        test(&mut Site::new(&bin));
    }
}

pub(super) fn frontend(document: &mut Document) -> &mut Frontend {
    let found = document.sections.iter_mut().find_map(|section| match section {
        Section::Frontend(frontend) => Some(frontend),
        _ => None,
    });
    found.unwrap()
}

pub(super) fn backend(document: &mut Document) -> &mut Backend {
    let found = document.sections.iter_mut().find_map(|section| match section {
        Section::Backend(backend) => Some(backend),
        _ => None,
    });
    found.unwrap()
}

pub(super) fn routing(document: &mut Document) -> &mut Routing {
    frontend(document).routing.as_mut().unwrap()
}

pub(super) fn path_route(path: &str) -> Route {
    Route { of: RouteKey::Path(PathPrefix::new(path).unwrap()), to: BackendName::new("web").unwrap() }
}

impl Site {
    pub(super) fn new(bin: &HaproxyBin) -> Self {
        let dir = TempDir::with_prefix("hap-").or_fail();
        let files = ConfigFiles::new(dir.path().join("haproxy.cfg"), bin.path());
        let site = Self { dir, bin: bin.clone(), files, record: Record::default() };
        site.write("web.pem", CERTIFICATE);
        site
    }

    pub(super) fn version(&self) -> Version {
        self.bin.version().parse().or_fail()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn file(&self, name: &str) -> FilePath {
        FilePath::new(self.path(name).to_str().unwrap()).or_fail()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).or_fail();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).or_fail()
    }

    /// All files of the folder.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.dir.path()).or_fail().map(OrFail::or_fail);
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.map(|name| (name.clone(), self.read(&name))).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all().into_keys().collect()
    }

    /// Two maps, a crt-list, a frontend and a backend.
    pub(super) fn document(&self) -> Document {
        let name = BackendName::new("web").unwrap();
        let tls =
            BindTls { crt_list: self.file("web.crt-list"), strict_sni: false, oldest: None, alpn: None };
        let routing = Routing {
            hosts: self.file("hosts.map"),
            paths: self.file("paths.map"),
            routes: vec![path_route("/one")],
        };
        let front = Frontend {
            name: FrontendName::new("http-in").unwrap(),
            mode: Mode::Http,
            binds: vec![Bind { tls: Some(tls), ..Bind::plain("127.0.0.1:12343".parse().unwrap()) }],
            lines: Vec::new(),
            routing: Some(routing),
            default_backend: Some(name.clone()),
        };
        let server = ServerLine {
            name: ServerName::new("srv1").unwrap(),
            at: "10.0.0.1:8080".parse().unwrap(),
            keywords: ServerKeywords::default(),
            weight: None,
            disabled: false,
        };
        let pool = Pool { servers: vec![server], ..Pool::default() };
        let back = Backend { name, mode: Mode::Http, strip_prefix: None, lines: Vec::new(), pool };
        let defaults = "timeout connect 5s\ntimeout client 1m\ntimeout server 1m".to_owned();
        Document {
            user: UserText { defaults, ..UserText::default() },
            ours: Ours {
                stats_socket: self.file("admin.sock"),
                expose_listeners: true,
                hard_stop_after: None,
                state_file: None,
            },
            sections: vec![Section::Frontend(front), Section::Backend(back)],
            crt_lists: vec![self.crt_list("web.pem")],
            profiles: Vec::new(),
            left_out: Vec::new(),
        }
    }

    pub(super) fn crt_list(&self, certificate: &str) -> CrtList {
        let entries = vec![CrtEntry { certificate: self.file(certificate), names: Vec::new() }];
        CrtList { path: self.file("web.crt-list"), entries }
    }

    pub(super) fn render(&self, document: &Document) -> Rendered {
        render(document, self.version()).unwrap()
    }

    pub(super) fn rendered(&self) -> Rendered {
        self.render(&self.document())
    }

    pub(super) fn checked(&mut self, rendered: &Rendered) -> Result<Written, FileError> {
        self.files.write_checked(rendered, &mut self.record)
    }

    pub(super) fn quietly(&mut self, rendered: &Rendered) -> Result<Written, FileError> {
        self.files.write_quietly(rendered, &mut self.record)
    }
}
