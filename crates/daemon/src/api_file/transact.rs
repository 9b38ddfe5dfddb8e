//! A change of the file by the API's own objects: all of it in one transaction, as other tools do it.
//!
//! Where the API passes over an object's `metadata` (version 2) a backend comes without its mark, which then follows with the
//! next write of what already runs.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::dataplane::{Edit, FileView, Mark, ObjectCall, ObjectError, apply, merged, object_calls};
use roster_core::haproxy::Version;
use roster_core::name::BackendName;
use roster_targets::dataplane::client::{
    Acl, Backend, Client, ClientError, HttpCheck, RawConfig, Server, SwitchingRule, Transaction, WrongObject,
};
use thiserror::Error;

use super::ApiFile;
use super::judge::Structural;
use crate::clock;
use crate::events::chain;

/// Why a change cannot be made of objects.
#[derive(Debug, Error)]
pub(super) enum ObjectsError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// The object.
    #[error(transparent)]
    Object(#[from] WrongObject),
    /// It cannot be said in the API's objects.
    #[error(transparent)]
    Calls(#[from] ObjectError),
}

/// Why a transaction was not filled, and which change was in the way, if it was one of them.
struct Unfilled {
    place: Option<usize>,
    why: ObjectsError,
}

impl ApiFile {
    /// Takes out, and tells, what no object can say.
    pub(super) fn without_unsayable(
        &mut self,
        raw: &RawConfig,
        structural: Vec<Structural>,
        version: Version,
    ) -> Vec<Structural> {
        let mut sayable = Vec::new();
        for one in structural {
            match object_calls(&raw.text, &one.edits, &BTreeMap::new(), version) {
                Err(error @ ObjectError::Lines(_)) => self.leave_one_out(&one, &error.to_string()),
                // Whether the edits can be made at all is seen where all of them are.
                _ => sayable.push(one),
            }
        }
        sayable
    }

    /// Makes the change, and HAProxy reload. What the API refuses to make is taken out of `good`, and told. Answers the file
    /// as it is then; none where nothing is left to make.
    pub(super) async fn transact(
        &mut self,
        raw: &RawConfig,
        good: &mut Vec<Structural>,
        version: Version,
    ) -> Result<Option<RawConfig>, ClientError> {
        while !good.is_empty() {
            let transaction = self.client.begin(raw.version).await?;
            let filled = self.fill(&transaction, raw, good, version).await;
            let Err(Unfilled { place, why }) = filled else {
                let committed = transaction.commit(true).await;
                if committed.as_ref().err().is_none_or(ClientError::may_be_done) {
                    self.unmarked.extend(good.iter().flat_map(marks));
                    self.file_due = Some(clock::now());
                }
                committed?;
                return Ok(Some(self.client.raw().await?));
            };
            // One that cannot be deleted now is deleted before the next one begins.
            transaction.abandon().await.ok();
            match (why, place) {
                (ObjectsError::Api(error), _) if error.is_for_another_try() => return Err(error),
                (why, Some(place)) if place < good.len() => {
                    let one = good.remove(place);
                    self.leave_one_out(&one, &chain(&why));
                }
                (ObjectsError::Api(error), _) => return Err(error),
                // The file is another one now.
                (ObjectsError::Object(_) | ObjectsError::Calls(_), _) => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn fill(
        &self,
        transaction: &Transaction,
        raw: &RawConfig,
        good: &[Structural],
        version: Version,
    ) -> Result<(), Unfilled> {
        let servers = self.server_edits(&FileView::read(&raw.text));
        let names: BTreeSet<_> = good.iter().filter_map(|one| one.backend.clone()).collect();
        let options = self.layouts.iter().filter(|(name, _)| names.contains(*name));
        let options = options.map(|(name, layout)| (name.clone(), layout.options.clone())).collect();
        let parts = std::iter::once((None, servers.as_slice()))
            .chain(good.iter().enumerate().map(|(place, one)| (Some(place), one.edits.as_slice())));
        let mut text = raw.text.clone();
        for (place, edits) in parts {
            let failed = |why| Unfilled { place, why };
            let calls =
                object_calls(&text, edits, &options, version).map_err(|error| failed(error.into()))?;
            for call in calls {
                make(&self.client, transaction, call).await.map_err(failed)?;
            }
            text = apply(&text, edits, version).map_err(|error| failed(ObjectError::from(error).into()))?;
        }
        Ok(())
    }
}

/// The marks of the backends that are new.
fn marks(one: &Structural) -> impl Iterator<Item = (BackendName, Mark)> {
    one.edits.iter().filter_map(|edit| match edit {
        Edit::PutBackend { mark, backend } => Some((backend.name.clone(), mark.clone())),
        _ => None,
    })
}

/// Makes one call within a transaction.
pub(super) async fn make(
    client: &Client,
    transaction: &Transaction,
    call: ObjectCall,
) -> Result<(), ObjectsError> {
    let (view, write) = (transaction.view(), transaction.write());
    match call {
        ObjectCall::PostBackend { body, .. } => client.add_backend(&Backend::try_from(body)?, write).await,
        ObjectCall::PutBackend { backend, change } => {
            let there = client.backend(backend.as_str(), view).await?.value;
            let changed = Backend::try_from(merged(there.into(), &change))?;
            client.replace_backend(&changed, write).await
        }
        ObjectCall::DeleteBackend { backend } => client.delete_backend(backend.as_str(), write).await,
        ObjectCall::PostServer { backend, body, .. } => {
            client.add_server(backend.as_str(), &Server::try_from(body)?, write).await
        }
        ObjectCall::PutServer { backend, server, change } => {
            let (backend, name) = (backend.as_str(), server.as_str());
            let there = client.server(backend, name, view).await?.value;
            let changed = Server::try_from(merged(there.into(), &change))?;
            client.replace_server(backend, name, &changed, write).await
        }
        ObjectCall::DeleteServer { backend, server } => {
            client.delete_server(backend.as_str(), server.as_str(), write).await
        }
        ObjectCall::PostHttpCheck { backend, index, body } => {
            client.insert_http_check(backend.as_str(), index, &HttpCheck::try_from(body)?, write).await
        }
        ObjectCall::DeleteHttpCheck { backend, index } => {
            client.delete_http_check(backend.as_str(), index, write).await
        }
        ObjectCall::PostAcl { frontend, index, body } => {
            client.insert_acl(frontend.as_str(), index, &Acl::try_from(body)?, write).await
        }
        ObjectCall::DeleteAcl { frontend, index } => client.delete_acl(frontend.as_str(), index, write).await,
        ObjectCall::PostRule { frontend, index, body } => {
            let rule = SwitchingRule::try_from(body)?;
            client.insert_switching_rule(frontend.as_str(), index, &rule, write).await
        }
        ObjectCall::DeleteRule { frontend, index } => {
            client.delete_switching_rule(frontend.as_str(), index, write).await
        }
    }?;
    Ok(())
}
