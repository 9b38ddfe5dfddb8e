//! New backends with fields of the API's own backend object.
//!
//! Only the API knows what text such a field comes to. So the backend is made in a transaction, its text is read there, and
//! the transaction is thrown away; the text then goes the same way as all others, with its mark, in one write.

use roster_haproxy::dataplane::{BackendObjects, Edit, FileView, Mark, NotObjects, backend_objects};
use roster_haproxy::name::BackendName;
use roster_haproxy::render::Backend as WantedBackend;
use roster_haproxy::version::Version;
use roster_targets::dataplane::client::{
    Backend, ClientError, HttpCheck, RawConfig, Server, Transaction, WrongObject,
};
use thiserror::Error;

use super::ApiFile;
use super::judge::Structural;
use crate::events::chain;

/// Why a backend with options cannot be made.
#[derive(Debug, Error)]
pub(super) enum OptionsError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// An object without a name.
    #[error(transparent)]
    Object(#[from] WrongObject),
    /// It cannot be said in the API's objects.
    #[error(transparent)]
    NotObjects(#[from] NotObjects),
    /// The API shows no such backend in the transaction.
    #[error("the API made no text of backend {0}; look at its `options`")]
    NoText(BackendName),
}

impl ApiFile {
    /// The sections of the new backends that have options; in `structural` they are then known to be there. Those that
    /// cannot be made are taken out of it, and told.
    pub(super) async fn with_options(
        &mut self,
        raw: &RawConfig,
        structural: &mut Vec<Structural>,
        version: Version,
    ) -> Result<String, ClientError> {
        let mut text = String::new();
        let mut place = 0;
        while let Some(one) = structural.get_mut(place) {
            place += 1;
            let Some((mark, backend)) = self.with_own_fields(one) else { continue };
            match self.section(raw, &mark, &backend, version).await {
                Ok(section) => {
                    one.is_text = true;
                    text.push_str(&format_section(&mark, &section));
                }
                Err(OptionsError::Api(error)) if error.is_for_another_try() => return Err(error),
                Err(error) => {
                    place -= 1;
                    let one = structural.remove(place);
                    self.leave_one_out(&one, &chain(&error));
                }
            }
        }
        Ok(text)
    }

    /// The backend that is made of objects, if the change makes one.
    fn with_own_fields(&self, structural: &Structural) -> Option<(Mark, WantedBackend)> {
        let [Edit::PutBackend { mark, backend }] = structural.edits.as_slice() else { return None };
        let has = self.layouts.get(&backend.name).is_some_and(|layout| !layout.options.is_empty());
        has.then(|| (mark.clone(), WantedBackend::clone(backend)))
    }

    /// The text that the API makes of a backend.
    async fn section(
        &self,
        raw: &RawConfig,
        mark: &Mark,
        backend: &WantedBackend,
        version: Version,
    ) -> Result<String, OptionsError> {
        let name = &backend.name;
        let options = self.layouts.get(name).map(|layout| layout.options.clone()).unwrap_or_default();
        let objects = backend_objects(mark, backend, &options, version)?;
        let transaction = self.client.begin(raw.version).await?;
        let text = self.text_of(&transaction, name, objects).await;
        // One that cannot be deleted now is deleted before the next one begins.
        transaction.abandon().await.ok();
        let text = text?;
        let file = FileView::read(&text);
        let section = file.backend(name.as_str()).and_then(|backend| file.sections.get(backend.section));
        let section = section.and_then(|section| text.get(section.range.clone()));
        section.map(str::to_owned).ok_or_else(|| OptionsError::NoText(name.clone()))
    }

    async fn text_of(
        &self,
        transaction: &Transaction,
        name: &BackendName,
        objects: BackendObjects,
    ) -> Result<String, OptionsError> {
        let (client, write) = (&self.client, transaction.write());
        client.add_backend(&Backend::try_from(objects.backend)?, write).await?;
        for (index, check) in objects.checks.into_iter().enumerate() {
            client.insert_http_check(name.as_str(), index, &HttpCheck::try_from(check)?, write).await?;
        }
        for server in objects.servers {
            client.add_server(name.as_str(), &Server::try_from(server)?, write).await?;
        }
        Ok(client.raw_within(transaction.id()).await?)
    }
}

/// A section of ours at the end of the file. The API puts it to its place. The mark that the API made of the object's metadata
/// stands behind the title; once is enough.
fn format_section(mark: &Mark, section: &str) -> String {
    let is_mark = |comment: &str| Mark::read(&format!("# {comment}")).is_some();
    let body = section.lines().filter(|line| !line.trim_start().starts_with('#'));
    let body = body.map(|line| match line.split_once(" # ") {
        Some((title, comment)) if is_mark(comment) => title,
        _ => line,
    });
    format!("\n{mark}\n{}\n", body.collect::<Vec<_>>().join("\n").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_once_and_the_operators_comments_stay() {
        let mark = Mark::read("# Kept by Roster: service fleet/api").unwrap();
        let section = "# Kept by Roster: service fleet/api\nbackend api # {\"comment\":\"Kept by Roster: service fleet/api\"}\n  \
                       server s1 10.0.0.1:80 # a word\n\n";
        assert_eq!(
            format_section(&mark, section),
            "\n# Kept by Roster: service fleet/api\nbackend api\n  server s1 10.0.0.1:80 # a word\n"
        );
    }
}
