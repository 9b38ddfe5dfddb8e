//! Certificates, one at a time: HAProxy has one transaction for all of them.

use std::collections::BTreeSet;

use roster_haproxy::cli::command::FileCommand;
use roster_haproxy::live::certificate::{open_transaction, parse, plan, undo};
use roster_haproxy::live::crt_list::wanted;
use roster_haproxy::live::{Change, Held, Pem, ShownCertificate, Trouble};
use roster_haproxy::render::{FileKind, FilePath};

use super::{Bringing, LiveError};

impl Bringing<'_> {
    /// Makes HAProxy hold the certificates that lists name, and returns what it holds. `limit` is what its socket
    /// takes, in bytes.
    pub(super) async fn certificates(&mut self, limit: usize) -> Result<Held, LiveError> {
        let named = self.named();
        if named.is_empty() {
            return Ok(Held::default());
        }
        let questions: Vec<_> = named.iter().cloned().map(FileCommand::ShowSslCert).collect();
        let replies = self.talk.ask(&questions).await?;
        let mut held = Held::default();
        for ((certificate, question), reply) in named.iter().zip(&questions).zip(&replies) {
            held.shown.insert(certificate.clone(), read(question, reply)?);
        }
        let mut free = None;
        for certificate in &named {
            let before = held.shown.get(certificate).cloned().unwrap_or(ShownCertificate::Missing);
            let Some(pem) = self.wanted.certificates.get(certificate) else {
                if !before.is_loaded() {
                    self.brought.troubles.push(Trouble::NoCertificate(certificate.clone()));
                }
                continue;
            };
            let commands = match plan(certificate, pem, &before, limit) {
                Ok(commands) if commands.is_empty() => continue,
                Ok(commands) => commands,
                Err(left) => {
                    self.brought.left.push(left);
                    continue;
                }
            };
            let free = match free {
                Some(free) => free,
                None => *free.insert(self.end_transaction(&named).await?),
            };
            if free {
                let now = self.load(certificate, pem, &before, &commands).await?;
                if before.is_loaded() && now.is(pem) {
                    held.replaced.push(certificate.clone());
                }
                held.shown.insert(certificate.clone(), now);
            }
        }
        Ok(held)
    }

    /// The certificates that lists name.
    fn named(&self) -> BTreeSet<FilePath> {
        let lists = self.files(FileKind::CrtList);
        let lines = lists.iter().flat_map(|list| wanted(&list.text));
        lines.filter_map(|line| FilePath::new(line.certificate).ok()).collect()
    }

    /// Makes sure that no transaction is open. One of a certificate of ours was left by a call that broke off; another
    /// one is somebody else's, and certificates have to wait.
    async fn end_transaction(&mut self, named: &BTreeSet<FilePath>) -> Result<bool, LiveError> {
        let text = self.talk.read(FileCommand::ShowSslCerts).await?;
        let open = open_transaction(&text)
            .map_err(|source| LiveError::Unread { command: FileCommand::ShowSslCerts.to_string(), source })?;
        let Some(of) = open else { return Ok(true) };
        if let Some(ours) = FilePath::new(of).ok().filter(|of| named.contains(of)) {
            let ended = self.talk.tell(&[FileCommand::AbortSslCert(ours)]).await?;
            if ended.iter().all(Option::is_none) {
                return Ok(true);
            }
        }
        self.brought.troubles.push(Trouble::Transaction(of.to_owned()));
        Ok(false)
    }

    /// Gives HAProxy a certificate; if it refuses it, all is as before.
    async fn load(
        &mut self,
        certificate: &FilePath,
        pem: &Pem,
        before: &ShownCertificate,
        commands: &[FileCommand],
    ) -> Result<ShownCertificate, LiveError> {
        let refused = self.talk.tell(commands).await?.into_iter().flatten().next();
        if refused.is_some() {
            // What was not begun cannot be ended, and HAProxy says so.
            self.talk.ask(&undo(certificate, before)).await?;
        }
        let question = FileCommand::ShowSslCert(certificate.clone());
        let reply = self.talk.read(question.clone()).await?;
        let now = read(&question, &reply)?;
        match refused {
            Some(said) => self.brought.troubles.push(Trouble::Bad { certificate: certificate.clone(), said }),
            None if now.is(pem) => self.changed(&Change::Certificate {
                certificate: certificate.clone(),
                fingerprint: pem.fingerprint(),
                new: !before.is_loaded(),
            }),
            None => self.refused(certificate, None),
        }
        Ok(now)
    }
}

fn read(question: &FileCommand, reply: &str) -> Result<ShownCertificate, LiveError> {
    parse(reply).map_err(|source| LiveError::Unread { command: question.to_string(), source })
}
