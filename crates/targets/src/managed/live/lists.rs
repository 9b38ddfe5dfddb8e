//! Crt-lists, and the certificates that no list names any more.

use std::collections::{BTreeMap, BTreeSet};

use roster_haproxy::cli::command::FileCommand;
use roster_haproxy::live::crt_list::{parse, plan, wanted};
use roster_haproxy::live::{Change, CrtListPlan, Held, NeedsReload, Unread};
use roster_haproxy::render::{FileKind, FilePath, RenderedFile};

use super::{Bringing, LiveError};

impl Bringing<'_> {
    /// Brings the lists to their files.
    pub(super) async fn lists(&mut self, mut held: Held) -> Result<(), LiveError> {
        let lists = self.files(FileKind::CrtList);
        let plans = self.plan_lists(&lists, &held).await?;
        let (mut at_work, mut adds) = (Vec::new(), Vec::new());
        for (list, plan) in plans {
            if plan.is_done() {
                self.brought.left.extend(plan.left);
            } else {
                adds.extend(plan.add.iter().cloned());
                at_work.push((list, plan));
            }
        }
        // Of each list what HAProxy said against it first.
        let mut said: BTreeMap<FilePath, String> = BTreeMap::new();
        self.tell_lists(&adds, &mut said).await?;
        let full = at_work.iter().filter(|(list, _)| !said.contains_key(&list.path));
        let deletes: Vec<_> = full.flat_map(|(_, plan)| plan.delete.iter().cloned()).collect();
        self.tell_lists(&deletes, &mut said).await?;
        // The lines behind a replaced certificate stand behind it again.
        held.replaced.clear();
        self.confirm_lists(&at_work, &held, &mut said).await?;
        self.forget(&lists, &deletes).await
    }

    async fn plan_lists<'l>(
        &mut self,
        lists: &[&'l RenderedFile],
        held: &Held,
    ) -> Result<Vec<(&'l RenderedFile, CrtListPlan)>, LiveError> {
        let questions: Vec<_> =
            lists.iter().map(|list| FileCommand::ShowCrtList(list.path.clone())).collect();
        let replies = self.talk.ask(&questions).await?;
        let mut plans = Vec::with_capacity(lists.len());
        for ((list, question), reply) in lists.iter().zip(&questions).zip(&replies) {
            match parse(reply) {
                Ok(shown) => {
                    let first = self.first(&list.path);
                    plans.push((*list, plan(&list.path, &wanted(&list.text), &shown, first, held)));
                }
                Err(Unread::Unknown) => self.brought.left.push(NeedsReload::Unknown(list.path.clone())),
                Err(source) => return Err(LiveError::Unread { command: question.to_string(), source }),
            }
        }
        Ok(plans)
    }

    /// Sends commands of several lists and notes what was said against each list.
    async fn tell_lists(
        &mut self,
        commands: &[FileCommand],
        said: &mut BTreeMap<FilePath, String>,
    ) -> Result<(), LiveError> {
        let refused = self.talk.tell(commands).await?;
        for (command, refused) in commands.iter().zip(refused) {
            let (FileCommand::AddCrtList { list, .. } | FileCommand::DelCrtList { list, .. }) = command
            else {
                continue;
            };
            if let Some(refused) = refused {
                said.entry(list.clone()).or_insert(refused);
            }
        }
        Ok(())
    }

    /// Looks whether the lists are as they should be.
    async fn confirm_lists(
        &mut self,
        lists: &[(&RenderedFile, CrtListPlan)],
        held: &Held,
        said: &mut BTreeMap<FilePath, String>,
    ) -> Result<(), LiveError> {
        let files: Vec<_> = lists.iter().map(|(list, _)| *list).collect();
        for (list, now) in self.plan_lists(&files, held).await? {
            let before = lists.iter().find(|(one, _)| one.path == list.path).map(|(_, plan)| plan);
            let said = said.remove(&list.path);
            if !now.is_done() {
                self.refused(&list.path, said);
            } else if let Some(before) = before {
                self.changed(&before.change(&list.path));
            }
            self.brought.left.extend(now.left);
        }
        Ok(())
    }

    /// Lets HAProxy forget the certificates of the lines that went, unless something else still has them.
    async fn forget(&mut self, lists: &[&RenderedFile], deletes: &[FileCommand]) -> Result<(), LiveError> {
        let named: BTreeSet<_> =
            lists.iter().flat_map(|list| wanted(&list.text)).map(|line| line.certificate).collect();
        let gone: BTreeSet<_> = deletes
            .iter()
            .filter_map(|command| match command {
                FileCommand::DelCrtList { certificate, .. } => Some(certificate),
                _ => None,
            })
            .filter(|certificate| !named.contains(certificate.as_str()))
            .collect();
        let commands: Vec<_> = gone.iter().map(|one| FileCommand::DelSslCert((*one).clone())).collect();
        let refused = self.talk.tell(&commands).await?;
        for (certificate, _) in gone.into_iter().zip(refused).filter(|(_, refused)| refused.is_none()) {
            self.changed(&Change::Forgotten(certificate.clone()));
        }
        Ok(())
    }
}
