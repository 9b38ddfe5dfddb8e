//! The manual pages: one for roster and one for each command, made of the command line and of the exit codes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::{Cli, ManArgs};
use crate::commands::print;
use crate::exit::{Exit, Failure};
use crate::names::did_you_mean;

/// An exit code and when a command ends with it.
type Code = (u8, &'static str);

const DONE: Code = (0, "It is done, or there is nothing to do.");
const FAILED: Code = (1, "It failed, or not all of it could be done.");
const FAILED_OR_TAKEN: Code = (
    1,
    "It failed, or not all of it could be done. Or another roster has the state folder or a HAProxy of the configuration; then \
     nothing was applied.",
);
const CHANGES: Code = (2, "There are changes, and none was made.");
const WRONG: Code = (64, "The command line or the configuration is wrong; nothing was applied.");

/// Prints the page that was asked for, or writes all of them.
pub(crate) fn manual(args: &ManArgs) -> Result<Exit, Failure> {
    let root = command();
    if let Some(folder) = &args.into {
        write_all(&root, folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        return Ok(Exit::Done);
    }
    let mut named = &root;
    for word in &args.command {
        named = named.find_subcommand(word).ok_or_else(|| unknown(word, named))?;
    }
    print::out(&String::from_utf8_lossy(&page(named).map_err(anyhow::Error::from)?))
        .map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

/// The command line with every command's full name, and without `help`, of which there is no page.
fn command() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

fn unknown(word: &str, within: &Command) -> Failure {
    let hint = did_you_mean(word, within.get_subcommands().map(Command::get_name));
    Failure::Usage(format!("{} has no command {word}{hint}", within.get_name()))
}

fn write_all(command: &Command, folder: &Path) -> io::Result<()> {
    let name = Man::new(command.clone()).get_filename();
    fs::write(folder.join(name), page(command)?)?;
    command.get_subcommands().try_for_each(|below| write_all(below, folder))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man =
        Man::new(command.clone()).source(concat!("roster ", env!("CARGO_PKG_VERSION"))).manual("Roster");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    exit_status(command, &mut page)?;
    Ok(page)
}

fn exit_status(command: &Command, page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, when) in codes(command.get_name()) {
        roff.control("TP", []);
        roff.text([roman(code.to_string())]);
        roff.text([roman(*when)]);
    }
    roff.to_writer(page)
}

fn codes(command: &str) -> &'static [Code] {
    match command {
        "run" | "once" => &[DONE, FAILED_OR_TAKEN, WRONG],
        "plan" | "compact" => &[DONE, FAILED, CHANGES, WRONG],
        "roster" => &[
            DONE,
            FAILED,
            (2, "roster-plan(1) and roster-compact(1) only: there are changes, and none was made."),
            WRONG,
        ],
        // Those of the program that it stands in for.
        "haproxy-cloud-discovery" => &[
            (0, "--validate: the file is right. --once: all is done. Else: it was told to stop."),
            (1, "The file is wrong, or --once failed."),
            (2, "The command line is wrong."),
        ],
        _ => &[DONE, FAILED, WRONG],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn pages() -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        write_all(&command(), folder.path()).unwrap();
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
    }

    #[test]
    fn every_page_that_a_page_names_exists() {
        let pages = pages();
        assert!(pages.len() > 15 && pages.contains_key("roster-as-haproxy-cloud-discovery.1"), "{pages:?}");
        for (name, page) in &pages {
            let words = page.split(|c: char| c.is_whitespace() || ",;:.".contains(c));
            for named in words.filter_map(|word| word.strip_suffix("(1)")) {
                let named = format!("{}.1", named.replace('\\', ""));
                assert!(pages.contains_key(&named), "{name} names {named}");
            }
        }
    }

    #[test]
    fn every_page_has_its_options_and_its_exit_codes() {
        for (name, page) in pages() {
            assert!(
                page.contains(".SH OPTIONS\n") && page.contains(".SH \"EXIT STATUS\"\n"),
                "{name}:\n{page}"
            );
            let own_codes = name == "roster-as-haproxy-cloud-discovery.1";
            assert_eq!(page.contains(WRONG.1), !own_codes, "{name}:\n{page}");
        }
    }

    #[test]
    fn the_page_of_a_command_is_reviewed_when_it_changes() {
        let root = command();
        let page = String::from_utf8(page(root.find_subcommand("schema").unwrap()).unwrap()).unwrap();
        insta::assert_snapshot!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}
