//! Maps.

use std::collections::BTreeMap;

use roster_haproxy::cli::command::FileCommand;
use roster_haproxy::live::map::{How, change, parse, plan};
use roster_haproxy::live::{MapPlan, NeedsReload, Swap, Unread};
use roster_haproxy::render::{FileKind, FilePath, RenderedFile};

use super::{Bringing, LiveError};

impl Bringing<'_> {
    /// Brings the maps to their files.
    pub(super) async fn maps(&mut self) -> Result<(), LiveError> {
        let maps = self.files(FileKind::Map);
        let plans = self.plan_maps(&maps).await?;
        let mut said: BTreeMap<&FilePath, Option<String>> = BTreeMap::new();
        let mut at_work = Vec::new();
        for (map, plan) in &plans {
            if plan.is_done() {
                self.brought.left.extend(plan.left.iter().cloned());
                continue;
            }
            let refused = match &plan.how {
                How::Commands(commands) => self.talk.tell(commands).await?.into_iter().flatten().next(),
                How::Swap(swap) => self.swap(swap).await?,
            };
            said.insert(&map.path, refused);
            at_work.push(*map);
        }
        for (map, now) in self.plan_maps(&at_work).await? {
            let before = plans.iter().find(|(one, _)| one.path == map.path).map(|(_, plan)| &plan.how);
            let said = said.remove(&map.path).flatten();
            match before {
                Some(How::Commands(commands)) if now.is_done() => self.changed(&change(&map.path, commands)),
                Some(How::Swap(swap)) if now.is_done() => self.changed(&swap.change()),
                _ => self.refused(&map.path, said),
            }
            self.brought.left.extend(now.left);
        }
        Ok(())
    }

    async fn plan_maps<'m>(
        &mut self,
        maps: &[&'m RenderedFile],
    ) -> Result<Vec<(&'m RenderedFile, MapPlan)>, LiveError> {
        let questions: Vec<_> = maps.iter().map(|map| FileCommand::ShowMap(map.path.clone())).collect();
        let replies = self.talk.ask(&questions).await?;
        let mut plans = Vec::with_capacity(maps.len());
        for ((map, question), reply) in maps.iter().zip(&questions).zip(&replies) {
            match parse(reply) {
                Ok(shown) => plans.push((*map, plan(&map.path, &map.text, &shown))),
                Err(Unread::Unknown) => self.brought.left.push(NeedsReload::Unknown(map.path.clone())),
                Err(source) => return Err(LiveError::Unread { command: question.to_string(), source }),
            }
        }
        Ok(plans)
    }

    /// Fills a version of its own and puts it in place. Returns what HAProxy said against it.
    async fn swap(&mut self, swap: &Swap) -> Result<Option<String>, LiveError> {
        let prepared = self.talk.read(swap.prepare()).await?;
        let Some(version) = Swap::version(&prepared) else {
            return Ok(Some(prepared.trim().to_owned()));
        };
        if let Some(refused) = self.talk.tell(&swap.fill(version)).await?.into_iter().flatten().next() {
            self.talk.ask(&[swap.abandon(version)]).await?;
            return Ok(Some(refused));
        }
        Ok(self.talk.tell(&[swap.commit(version)]).await?.into_iter().flatten().next())
    }
}
