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

use std::path::Path;

use crate::document::Text;
use crate::env::Env;
use crate::native::{Config, LogFormat, LogLevel};
use crate::problem::{Problem, Problems};
use read::Reader;
use settings::{Provider, Settings};

/// A file that was read, and is right.
#[derive(Debug)]
pub struct Legacy {
    file: String,
    settings: Settings,
    /// What is not wrong, and should still be known.
    pub warnings: Vec<String>,
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

    /// The native configuration, for a person: a secret that stands in the file itself becomes a variable.
    pub fn printed(&self) -> String {
        native::write(&self.settings, native::Secrets::Named)
    }

    /// What the file cannot be run for, though the original calls it valid: a subscription that is none.
    pub fn refused(&self) -> Option<Problem> {
        let Provider::Azure(azure) = &self.settings.provider else { return None };
        let (at, message) = azure.no_subscription()?;
        Some(Problem { file: self.file.clone(), at, message: message.to_owned() })
    }

    /// What it comes to. Fails where a value that the original passed on would be refused by the cloud or by HAProxy; for
    /// what is no subscription see [`Legacy::refused`].
    pub fn config(&self, env: &dyn Env) -> Result<Config, Problems> {
        let mut settings = self.settings.clone();
        if let Provider::Azure(azure) = &self.settings.provider {
            settings.provider = Provider::Azure(azure.with_a_subscription());
        }
        let text = native::write(&settings, native::Secrets::Written);
        Config::parse(&self.file, &text, Path::new("/"), env).map_err(|problems| {
            let moved = problems.into_vec().into_iter().map(|problem| Problem {
                message: format!("{} (as Roster's own configuration has it)", problem.message),
                at: self.settings.at,
                ..problem
            });
            match Problems::none(moved.collect()) {
                Err(problems) => problems,
                Ok(()) => Problem {
                    file: self.file.clone(),
                    at: self.settings.at,
                    message: "this cannot be used".to_owned(),
                }
                .into(),
            }
        })
    }

    /// From which weight on something is logged.
    pub fn log_level(&self) -> LogLevel {
        self.settings.log_level
    }

    /// Lines for people, or one JSON object a line.
    pub fn log_format(&self) -> LogFormat {
        self.settings.log_format
    }
}
