//! Roster in the place of other programs. Each is one row of [`DIALECTS`]: its name, its options, who reads its configuration,
//! how it logs, and its exit codes. What is run is in [`stand_in`]; the configurations are read in `roster_config::legacy`.

mod cloud_discovery;
mod stand_in;

pub(crate) use stand_in::{read, run};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{ArgMatches, FromArgMatches, Subcommand};
use roster_config::env::Env;
use roster_config::legacy::Translated;
use roster_config::native::Log;
use roster_config::problem::Problems;

use crate::cli::{Cli, Command};
use crate::telemetry::Burst;

/// The programs that Roster stands in for.
pub(crate) const DIALECTS: &[Dialect] = &[cloud_discovery::DIALECT];

/// Reads a program's configuration: the file's name, which stands in errors, and its text.
type Read = fn(&str, &str, &dyn Env) -> Result<Box<dyn Translated>, Problems>;

/// A program that Roster stands in for.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Its name, and that of a link to Roster which makes Roster this program.
    pub(crate) name: &'static str,
    about: &'static str,
    /// Adds its options to its command.
    options: fn(clap::Command) -> clap::Command,
    /// What its options ask for.
    asked: fn(&ArgMatches) -> Result<Asked, Error>,
    pub(crate) read: Read,
    /// Starts a log in its form.
    log: fn(Log) -> Burst,
    exit: ExitCodes,
}

/// The exit codes that differ between programs.
#[derive(Debug)]
struct ExitCodes {
    /// The command line is wrong.
    usage: u8,
    /// The configuration is wrong.
    configuration: u8,
}

/// What a program is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) config: PathBuf,
    pub(crate) state_dir: Option<PathBuf>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// Keep HAProxy until told to stop.
    Run,
    /// One pass, which may take so long.
    Once(Duration),
    /// Check the configuration.
    Validate,
}

/// One of the programs, and what is asked of it.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) dialect: &'static Dialect,
    pub(crate) asked: Asked,
}

impl Dialect {
    /// The program of this name.
    pub(crate) fn named(name: &OsStr) -> Option<&'static Self> {
        DIALECTS.iter().find(|dialect| dialect.name == name)
    }

    fn command(&self) -> clap::Command {
        (self.options)(clap::Command::new(self.name).about(self.about))
    }
}

impl FromArgMatches for Program {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = matches.subcommand();
        let (name, matches) = given.ok_or_else(|| Error::new(ErrorKind::MissingSubcommand))?;
        let dialect = Dialect::named(OsStr::new(name)).ok_or_else(|| {
            let mut error = Error::new(ErrorKind::InvalidSubcommand);
            error.insert(ContextKind::InvalidSubcommand, ContextValue::String(name.to_owned()));
            error
        })?;
        Ok(Self { dialect, asked: (dialect.asked)(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Program {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let command = command.subcommand_required(true).arg_required_else_help(true);
        command.subcommands(DIALECTS.iter().map(Dialect::command))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Dialect::named(OsStr::new(name)).is_some()
    }
}

/// The program whose place Roster takes by these words: by those of its own command line, or by the name of a link.
fn stands_in(words: &[OsString]) -> Option<&'static Dialect> {
    let by_word = match words {
        [_, word, name, ..] if word == "as" => Dialect::named(name),
        _ => None,
    };
    by_word.or_else(|| linked(words))
}

fn linked(words: &[OsString]) -> Option<&'static Dialect> {
    Dialect::named(Path::new(words.first()?).file_name()?)
}

/// The exit code for a wrong command line of these words, if another program's counts.
pub(crate) fn usage(words: &[OsString]) -> Option<u8> {
    stands_in(words).map(|dialect| dialect.exit.usage)
}

/// What was asked for on the command line.
pub(crate) fn cli(words: &[OsString]) -> Result<Cli, Error> {
    let Some(dialect) = linked(words) else { return clap::Parser::try_parse_from(words) };
    let matches = dialect.command().try_get_matches_from(words)?;
    Ok(Cli { command: Command::As { program: Program { dialect, asked: (dialect.asked)(&matches)? } } })
}
