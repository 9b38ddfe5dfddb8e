//! The commands that messages tell an operator to run: each works as it stands when it is pasted.

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use roster_core::plan::Note;

use crate::cli::CONFIG;

/// What follows each command, so that it means the configuration and the folder of this one. It is what the process was
/// called with, and does not change.
static OPTIONS: OnceLock<String> = OnceLock::new();

/// Set where no command is of use.
static NONE: OnceLock<()> = OnceLock::new();

/// From now on commands are told with the options that make them mean this configuration and this folder.
pub(crate) fn set(config: &Path, state_dir: Option<&Path>) {
    OPTIONS.set(options(config, state_dir)).ok();
}

/// From now on no command is told: Roster runs in the place of another program, whose configuration its commands do not read.
pub(crate) fn set_none() {
    NONE.set(()).ok();
}

/// What a command of Roster's does, to follow a message; nothing where none is told.
pub(crate) fn so(words: impl Display, does: &str) -> String {
    if NONE.get().is_some() { String::new() } else { format!("; {} {does}", roster(words)) }
}

/// A note, and the command that ends what it tells.
pub(crate) fn noted(note: &Note) -> String {
    match note {
        Note::Flapping { .. } => format!("{note}{}", so("release", "lets them in")),
        _ => note.to_string(),
    }
}

/// A command of Roster's between backquotes.
pub(crate) fn roster(words: impl Display) -> String {
    format!("`roster {words}{}`", OPTIONS.get().map(String::as_str).unwrap_or_default())
}

fn options(config: &Path, state_dir: Option<&Path>) -> String {
    let mut options = String::new();
    if config != Path::new(CONFIG) {
        options = format!("{options} -c {}", quoted(config));
    }
    if let Some(folder) = state_dir {
        options = format!("{options} --state-dir {}", quoted(folder));
    }
    options
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_which_configuration_and_folder_it_means_where_they_are_not_the_usual_ones() {
        let told = |config: &str, folder: Option<&str>| options(Path::new(config), folder.map(Path::new));
        assert_eq!(told(CONFIG, None), "");
        assert_eq!(told("roster.yaml", None), " -c roster.yaml");
        assert_eq!(told(CONFIG, Some("/var/lib/roster")), " --state-dir /var/lib/roster");
        assert_eq!(told("/my files/it's.yaml", None), r" -c '/my files/it'\''s.yaml'");
        assert_eq!(roster("release web"), "`roster release web`", "nothing was set in this process");
        assert_eq!(so("status", "tells it"), "; `roster status` tells it");
    }
}
