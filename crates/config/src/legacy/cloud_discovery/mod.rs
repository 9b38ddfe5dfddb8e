//! The `config.yaml` of haproxy-cloud-discovery.
//!
//! It is read by that program's own rules and then written as a native configuration, which is the one way to what is
//! run: `roster convert` prints the same text that `roster as haproxy-cloud-discovery` runs. Secrets differ: they are
//! never printed.

mod azure;
mod native;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod value;

use crate::document::Text;
use crate::env::Env;
use crate::legacy::Translated;
use crate::native::{Config, Log};
use crate::problem::{Problem, Problems};
use read::Reader;
use settings::{Provider, Settings};

/// A file that was read, and is right.
#[derive(Debug)]
pub struct Legacy {
    file: String,
    settings: Settings,
    warnings: Vec<String>,
}

impl Legacy {
    /// Reads the text of a file. `file` stands in errors. Every `${NAME}` must be set, also in what is not used.
    pub fn parse(file: &str, text: &str, env: &dyn Env) -> Result<Self, Problems> {
        let data = Text::new(text).parse(file)?;
        let mut reader = Reader::new(file, env);
        reader.variables(data.root());
        let settings = Settings::read(&mut reader, data.root());
        Problems::none(reader.problems)?;
        let warnings = reader.warnings;
        let settings = settings.ok_or_else(|| {
            let at = data.root().at();
            Problem {
                file: file.to_owned(),
                at,
                message: "this cannot be read as a configuration".to_owned(),
            }
        })?;
        Ok(Self { file: file.to_owned(), settings, warnings })
    }
}

impl Translated for Legacy {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn printed(&self) -> String {
        native::write(&self.settings, native::Secrets::Named).into_text()
    }

    /// The subscription's id is not one.
    fn refused(&self) -> Option<Problem> {
        let Provider::Azure(azure) = &self.settings.provider else { return None };
        let (at, message) = azure.no_subscription()?;
        Some(Problem { file: self.file.clone(), at, message: message.to_owned() })
    }

    /// For what is no subscription see [`Translated::refused`].
    fn config(&self, env: &dyn Env) -> Result<Config, Problems> {
        let mut settings = self.settings.clone();
        if let Provider::Azure(azure) = &self.settings.provider {
            settings.provider = Provider::Azure(azure.with_a_subscription());
        }
        native::write(&settings, native::Secrets::Written).parse(&self.file, self.settings.at, env)
    }

    fn log(&self) -> Log {
        Log { level: self.settings.log_level, format: self.settings.log_format }
    }
}
