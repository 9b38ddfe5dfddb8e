//! New backends with fields of the API's own backend object.
//!
//! Only the API knows what text such a field comes to. So the backend is made in a transaction, its text is read there, and
//! the transaction is thrown away; the text then goes the same way as all others, with its mark, in one write.

use std::collections::BTreeMap;

use roster_core::dataplane::{Edit, FileView, Mark, ObjectCall, object_calls};
use roster_core::haproxy::Version;
use roster_core::name::BackendName;
use roster_targets::dataplane::client::{
    Backend, Client, ClientError, HttpCheck, RawConfig, Server, Transaction, WrongObject,
};
use thiserror::Error;

use super::ApiFile;
use super::judge::Structural;

/// Why a backend with options cannot be made.
#[derive(Debug, Error)]
pub(super) enum OptionsError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// The object.
    #[error(transparent)]
    Object(#[from] WrongObject),
    /// It cannot be said in the API's objects.
    #[error(transparent)]
    Calls(#[from] roster_core::dataplane::ObjectError),
    /// The API shows no such backend in the transaction.
    #[error("the API made no text of backend {0}; look at its `options`")]
    NoText(BackendName),
}

impl ApiFile {
    /// The file with the new backends that have options, which are then taken out of `structural` as changes. Those that
    /// cannot be made are taken out altogether, and told.
    pub(super) async fn with_options(
        &mut self,
        raw: &RawConfig,
        structural: &mut Vec<Structural>,
        version: Version,
    ) -> Result<String, ClientError> {
        let mut text = raw.text.clone();
        let mut place = 0;
        while let Some(one) = structural.get_mut(place) {
            place += 1;
            let Some((mark, name)) = self.with_own_fields(one) else { continue };
            match self.section(raw, &one.edits, &name, version).await {
                Ok(section) => {
                    one.edits.clear();
                    text.push_str(&format_section(&mark, &section));
                }
                Err(OptionsError::Api(error)) if error.is_for_another_try() => return Err(error),
                Err(error) => {
                    self.refused(&format!("{} is left out: {}", one.reason, crate::events::chain(&error)));
                    self.leave_out(&name);
                    place -= 1;
                    structural.remove(place);
                }
            }
        }
        Ok(text)
    }

    fn with_own_fields(&self, structural: &Structural) -> Option<(Mark, BackendName)> {
        let name = structural.backend.clone()?;
        let has = self.layouts.get(&name).is_some_and(|layout| !layout.options.is_empty());
        match structural.edits.as_slice() {
            [Edit::PutBackend { mark, .. }] if has => Some((mark.clone(), name)),
            _ => None,
        }
    }

    /// The text that the API makes of a backend.
    async fn section(
        &self,
        raw: &RawConfig,
        edits: &[Edit],
        name: &BackendName,
        version: Version,
    ) -> Result<String, OptionsError> {
        let options = self.layouts.get(name).map(|layout| layout.options.clone()).unwrap_or_default();
        let calls = object_calls(&raw.text, edits, &BTreeMap::from([(name.clone(), options)]), version)?;
        let transaction = self.client.begin(raw.version).await?;
        let made = make(&self.client, &transaction, calls).await;
        let text = match made {
            Ok(()) => self.client.raw_within(transaction.id()).await.map_err(OptionsError::from),
            Err(error) => Err(error),
        };
        // One that cannot be deleted now is deleted before the next one begins.
        transaction.abandon().await.ok();
        let text = text?;
        let file = FileView::read(&text);
        let section = file.backend(name.as_str()).and_then(|backend| file.sections.get(backend.section));
        let section = section.and_then(|section| text.get(section.range.clone()));
        section.map(str::to_owned).ok_or_else(|| OptionsError::NoText(name.clone()))
    }
}

/// A section of ours at the end of the file. The API puts it to its place.
fn format_section(mark: &Mark, section: &str) -> String {
    let body = section.lines().filter(|line| !line.trim_start().starts_with('#'));
    let body: Vec<&str> = body.collect();
    format!("\n{mark}\n{}\n", body.join("\n").trim())
}

async fn make(
    client: &Client,
    transaction: &Transaction,
    calls: Vec<ObjectCall>,
) -> Result<(), OptionsError> {
    for call in calls {
        match call {
            ObjectCall::PostBackend { body, .. } => {
                client.add_backend(&Backend::try_from(body)?, transaction.write()).await?;
            }
            ObjectCall::PostServer { backend, body, .. } => {
                client.add_server(backend.as_str(), &Server::try_from(body)?, transaction.write()).await?;
            }
            ObjectCall::PostHttpCheck { backend, index, body } => {
                let check = HttpCheck::try_from(body)?;
                client.insert_http_check(backend.as_str(), index, &check, transaction.write()).await?;
            }
            // A backend that is new has nothing else.
            _ => {}
        }
    }
    Ok(())
}
