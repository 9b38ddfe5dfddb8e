//! Asking HAProxy whether it would take the files that wait beside their places.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roster_haproxy::render::{FilePath, Rendered};

use super::beside::{Beside, resolve, with_suffix};
use super::version::run_haproxy;
use super::{ConfigFiles, FileError, Staged, complaint};
use crate::managed::listen::hand_over;

/// A path as haproxy.cfg has it, and another one to be read instead.
type Names = Vec<(String, String)>;

impl ConfigFiles {
    /// Runs `haproxy -c`. What is refused is kept for the operator.
    pub(super) fn check(
        &self,
        rendered: &Rendered,
        staged: &[Staged<'_>],
        copy_as: &str,
    ) -> Result<(), FileError> {
        let waiting = names(staged, |one| one.beside.path().to_owned());
        let config = staged.iter().find(|one| one.kind.is_none());
        // A copy that names the maps and crt-lists where they wait, unless there are none.
        let copy = if waiting.is_empty() && config.is_some() {
            None
        } else {
            let text = renamed(&rendered.config, &waiting);
            Some(Beside::write(&resolve(&self.config)?, copy_as, text.as_bytes())?)
        };
        let Some(checked) = copy.as_ref().or(config.map(|one| &one.beside)).map(Beside::path) else {
            return Ok(());
        };
        let finished = run_haproxy(&mut self.command(checked)?, &self.binary, self.limit, &self.cancelled)?;
        match finished.status.code() {
            Some(0) => Ok(()),
            Some(_) => Err(self.refused(rendered, staged, checked, &finished.output)),
            None => Err(FileError::Crashed { binary: self.binary.clone(), status: finished.status }),
        }
    }

    fn command(&self, checked: &Path) -> Result<Command, FileError> {
        let mut command = Command::new(&self.binary);
        command.arg("-c").arg("-f").arg(checked).args(&self.arguments);
        self.environment.set(&mut command);
        if !self.inherited.is_empty() {
            hand_over(&mut command, &self.inherited)?;
        }
        Ok(command)
    }

    /// Keeps the refused files as NAME.refused, naming one another, so that `haproxy -c` by hand says the same.
    fn refused(&self, rendered: &Rendered, staged: &[Staged<'_>], checked: &Path, output: &str) -> FileError {
        let config = refused_of(&resolve(&self.config).unwrap_or_else(|_| self.config.clone()));
        let extra = || staged.iter().filter(|one| one.kind.is_some());
        let text = renamed(&rendered.config, &names(staged, |one| refused_of(&one.target)));
        let is_kept = extra().all(|one| keep(&refused_of(&one.target), one.text)) && keep(&config, &text);
        let kept = is_kept.then_some(config);
        // HAProxy names where a file waited, which is nowhere now.
        let told = |one: &Staged<'_>| {
            let told = if is_kept { refused_of(&one.target) } else { one.named.to_owned() };
            (one.beside.path().display().to_string(), told.display().to_string())
        };
        let mut told: Names = extra().map(told).collect();
        let checked = checked.display().to_string();
        told.push((checked.clone(), kept.as_ref().unwrap_or(&self.config).display().to_string()));
        let complaint = complaint::read(output, &checked, &told);
        FileError::Refused { config: self.config.clone(), text: complaint.text, kept, lines: complaint.lines }
    }

    /// Removes what an earlier check refused.
    pub(super) fn forget_refused(&self, rendered: &Rendered) -> Result<(), FileError> {
        let files = rendered.files.iter().map(|file| Path::new(file.path.as_str()));
        for path in files.chain([self.config.as_path()]) {
            fs::remove_file(refused_of(&resolve(path)?)).ok();
        }
        Ok(())
    }
}

/// Maps and crt-lists, and where each is to be read instead. What HAProxy would not read as one word stays as it is,
/// which can only be where a link leads.
fn names(staged: &[Staged<'_>], instead: impl Fn(&Staged<'_>) -> PathBuf) -> Names {
    let extra = staged.iter().filter(|one| one.kind.is_some());
    extra
        .filter_map(|one| {
            let path = FilePath::new(instead(one).to_str()?).ok()?;
            Some((one.named.to_str()?.to_owned(), path.as_str().to_owned()))
        })
        .collect()
}

/// Replaces whole paths. No line is added or removed.
fn renamed(config: &str, names: &Names) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    names.iter().fold(config.to_owned(), |config, (from, to)| {
        let mut text = String::with_capacity(config.len() + 256);
        let mut end = 0;
        for (at, _) in config.match_indices(from.as_str()) {
            let (before, after) = (config.get(end..at).unwrap_or_default(), config.get(at + from.len()..));
            text.push_str(before);
            // `opt@/etc/a.map` is a path with a prefix of HAProxy's own; `/a@b` is one whole path.
            let inside = config.get(..at).is_some_and(|before| before.ends_with(is_word))
                || after.is_some_and(|after| after.starts_with(|c| is_word(c) || c == '@'));
            text.push_str(if inside { from } else { to });
            end = at + from.len();
        }
        text.push_str(config.get(end..).unwrap_or_default());
        text
    })
}

fn refused_of(target: &Path) -> PathBuf {
    with_suffix(target, ".refused")
}

fn keep(path: &Path, text: &str) -> bool {
    // Not waited for: it is only there to be looked at.
    let beside = Beside::write(path, "copy", text.as_bytes());
    beside.and_then(Beside::take_place).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_are_renamed_and_lines_stay_where_they_are() {
        let names = vec![("/e/web.map".to_owned(), "/e/.web.map.new.7".to_owned())];
        let config = "\
use_backend %[path,map_beg(/e/web.map,x)] if { path,map(opt@/e/web.map) -m found }
# /e/web.map.old /e/web.map@2 /f/e/web.map
bind :1 crt-list /e/web.map";
        let expected = "\
use_backend %[path,map_beg(/e/.web.map.new.7,x)] if { path,map(opt@/e/.web.map.new.7) -m found }
# /e/web.map.old /e/web.map@2 /f/e/web.map
bind :1 crt-list /e/.web.map.new.7";
        assert_eq!(renamed(config, &names), expected);
    }
}
