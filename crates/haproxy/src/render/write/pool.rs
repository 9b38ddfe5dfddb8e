//! A pool's lines: how a server is chosen, how it is checked, and the servers.

use std::collections::HashSet;

use super::Writer;
use super::server::ServerLines;
use crate::render::Mode;
use crate::render::left_out::LeftOut;
use crate::render::proxy::{HttpCheck, Pool, Section, SectionKey, ServerLine};

impl Section {
    pub(super) fn servers(&self) -> &[ServerLine] {
        match self {
            Self::Frontend(_) => &[],
            Self::Backend(backend) => &backend.pool.servers,
            Self::Listen(listen) => &listen.pool.servers,
        }
    }
}

impl Writer<'_> {
    pub(super) fn pool(&mut self, pool: &Pool, mode: Mode) {
        self.line("    balance ", &pool.balance);
        if pool.balance.hashes() {
            self.config.push_str("    hash-type consistent\n");
        }
        if self.state_file {
            self.config.push_str("    load-server-state-from-file global\n");
        }
        if let Some(cookie) = pool.cookie.as_ref().filter(|_| mode == Mode::Http) {
            self.word("    cookie ", cookie);
            self.config.push_str(" insert indirect nocache\n");
        }
        if let Some(check) = &pool.check {
            self.check(check);
        }
    }

    fn check(&mut self, check: &HttpCheck) {
        self.config.push_str("    option httpchk\n");
        self.word("    http-check send meth ", check.method.word());
        self.word(" uri ", &check.path);
        if let Some(host) = &check.host {
            self.word(" ver HTTP/1.1 hdr Host ", host.as_str());
        }
        self.line("\n    http-check expect status ", check.expect.unwrap_or_default());
    }

    /// Writes the servers, and returns what of them cannot be changed live.
    pub(super) fn servers(&mut self, section: &SectionKey, pool: &Pool) -> String {
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        let left_out = pool.servers.iter().any(|server| server.keywords.init_state.is_some());
        if left_out && !self.version.takes_init_state_live() {
            self.left_out.push(LeftOut::InitState { section: section.clone() });
        }
        let mut lines = ServerLines::new(&pool.balance, self.version);
        for server in &pool.servers {
            let twice = || (section.clone(), server.name.clone());
            if let Some(id) = server.keywords.id
                && !ids.insert(id)
            {
                let (section, server) = twice();
                self.left_out.push(LeftOut::ServerId { section, server, id });
            } else if names.insert(server.name.as_str()) {
                lines.write(server, &mut self.config);
            } else {
                let (section, server) = twice();
                self.left_out.push(LeftOut::ServerName { section, server });
            }
        }
        lines.fixed()
    }
}
