//! Maps: `show map` beside the file's text (management manual 9.3, `add map`, `prepare map`; configuration manual 7.1.3).
//!
//! One key may stand several times in HAProxy, of which the first counts. `set map` and `del map` by key reach all of
//! them, by reference one. A shown entry does not tell where its key ends if either has a space in it, so such an entry
//! only goes by reference.

use std::collections::{HashMap, HashSet};

use super::{Change, NeedsReload, Unread, shown};
use crate::cli::command::{FileCommand, InvalidWord, MapVersion, MapWord};
use crate::render::FilePath;

/// From so many commands on the whole map is swapped at once instead.
pub const LARGE: usize = 256;

/// An entry as `show map` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ShownEntry<'t> {
    /// What it is called in this process.
    pub reference: u64,
    /// Its key, or the first word of it.
    pub key: &'t str,
    /// What follows.
    pub value: &'t str,
}

/// What brings a map to its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapPlan {
    /// How.
    pub how: How,
    /// What the runtime socket cannot take.
    pub left: Vec<NeedsReload>,
}

/// How a map is brought to its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum How {
    /// By these commands, in this order; none if it is so already.
    Commands(Vec<FileCommand>),
    /// By another version of the whole.
    Swap(Swap),
}

/// A version of a map that is filled and then takes the place of the one in use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Swap {
    map: FilePath,
    entries: Vec<(MapWord, MapWord)>,
}

/// Reads the answer to `show map PATH`.
pub fn parse(text: &str) -> Result<Vec<ShownEntry<'_>>, Unread> {
    if text.trim().starts_with("Unknown map identifier") {
        return Err(Unread::Unknown);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| entry(line).ok_or_else(|| Unread::other(text))).collect()
}

/// `0x55d0c4a0 key value`.
fn entry(line: &str) -> Option<ShownEntry<'_>> {
    let (reference, rest) = line.split_once(' ')?;
    let reference = u64::from_str_radix(reference.strip_prefix("0x")?, 16).ok()?;
    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(ShownEntry { reference, key, value })
}

/// The keys and values of a file. Of two for the same key the first counts.
fn wanted(text: &str) -> Vec<(&str, &str)> {
    let mut known = HashSet::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(char::is_whitespace).unwrap_or((line, "")))
        .map(|(key, value)| (key, value.trim_start()))
        .filter(|(key, _)| known.insert(*key))
        .collect()
}

/// What brings HAProxy from what it shows to what the file's text says.
pub fn plan(map: &FilePath, text: &str, shown: &[ShownEntry<'_>]) -> MapPlan {
    let wanted = wanted(text);
    let (commands, left) = Steps::new(map, shown).to(&wanted);
    if commands.len() > LARGE && left.is_empty() {
        let words = |(key, value): &(&str, &str)| Ok((MapWord::new(key)?, MapWord::new(value)?));
        let entries: Result<_, InvalidWord> = wanted.iter().map(words).collect();
        if let Ok(entries) = entries {
            return MapPlan { how: How::Swap(Swap { map: map.clone(), entries }), left };
        }
    }
    MapPlan { how: How::Commands(commands), left }
}

impl MapPlan {
    /// True if HAProxy shows what can be brought about.
    pub fn is_done(&self) -> bool {
        matches!(&self.how, How::Commands(commands) if commands.is_empty())
    }
}

/// What these commands come to, in words.
pub fn change(map: &FilePath, commands: &[FileCommand]) -> Change {
    let (mut added, mut set, mut deleted) = (0, 0, 0);
    for command in commands {
        match command {
            FileCommand::AddMap { .. } => added += 1,
            FileCommand::SetMap { .. } => set += 1,
            _ => deleted += 1,
        }
    }
    Change::Map { map: map.clone(), added, set, deleted }
}

/// Commands as they are found. What takes away goes last.
struct Steps<'s> {
    map: &'s FilePath,
    shown: &'s [ShownEntry<'s>],
    by_key: HashMap<&'s str, Vec<&'s ShownEntry<'s>>>,
    give: Vec<FileCommand>,
    take: Vec<FileCommand>,
    left: Vec<NeedsReload>,
}

impl<'s> Steps<'s> {
    fn new(map: &'s FilePath, shown: &'s [ShownEntry<'s>]) -> Self {
        let mut by_key: HashMap<_, Vec<_>> = HashMap::with_capacity(shown.len());
        for entry in shown {
            by_key.entry(entry.key).or_default().push(entry);
        }
        Self { map, shown, by_key, give: Vec::new(), take: Vec::new(), left: Vec::new() }
    }

    fn to(mut self, wanted: &[(&'s str, &'s str)]) -> (Vec<FileCommand>, Vec<NeedsReload>) {
        for (key, value) in wanted {
            let entries = self.by_key.remove(key).unwrap_or_default();
            if self.bring(key, value, &entries).is_err() {
                self.left.push(NeedsReload::Line {
                    file: self.map.clone(),
                    line: shown(&format!("{key} {value}")),
                });
            }
        }
        // In the order in which they are shown.
        for entry in self.shown {
            if let Some(entries) = self.by_key.remove(entry.key) {
                self.remove(&entries);
            }
        }
        self.give.append(&mut self.take);
        (self.give, self.left)
    }

    /// Makes the key lead to the value by one entry alone.
    fn bring(&mut self, key: &str, value: &str, entries: &[&ShownEntry<'_>]) -> Result<(), InvalidWord> {
        let mut keep = entries.iter().position(|entry| entry.value == value);
        if keep.is_none() {
            let (map, key, value) = (self.map.clone(), MapWord::new(key)?, MapWord::new(value)?);
            keep = entries.iter().position(|entry| is_clear(entry));
            self.give.push(match keep {
                Some(_) => FileCommand::SetMap { map, key, value },
                None => FileCommand::AddMap { map, version: None, key, value },
            });
        }
        let others = entries.iter().enumerate().filter(|(place, _)| Some(*place) != keep);
        for (_, entry) in others {
            self.remove_one(entry);
        }
        Ok(())
    }

    fn remove(&mut self, entries: &[&ShownEntry<'_>]) {
        if let [entry] = entries
            && is_clear(entry)
            && let Ok(key) = MapWord::new(entry.key)
        {
            self.take.push(FileCommand::DelMap { map: self.map.clone(), key });
            return;
        }
        for entry in entries {
            self.remove_one(entry);
        }
    }

    fn remove_one(&mut self, entry: &ShownEntry<'_>) {
        self.take.push(FileCommand::DelMapEntry { map: self.map.clone(), reference: entry.reference });
    }
}

/// Whether it is certain where the key ends.
fn is_clear(entry: &ShownEntry<'_>) -> bool {
    !entry.value.is_empty() && !entry.value.contains(' ')
}

impl Swap {
    /// What opens the version.
    pub fn prepare(&self) -> FileCommand {
        FileCommand::PrepareMap(self.map.clone())
    }

    /// The version that the answer to [`prepare`](Self::prepare) names.
    pub fn version(reply: &str) -> Option<MapVersion> {
        reply.trim().strip_prefix("New version created: ")?.parse().ok().map(MapVersion)
    }

    /// What fills the version; nobody sees it yet.
    pub fn fill(&self, version: MapVersion) -> Vec<FileCommand> {
        let add = |(key, value): &(MapWord, MapWord)| FileCommand::AddMap {
            map: self.map.clone(),
            version: Some(version),
            key: key.clone(),
            value: value.clone(),
        };
        self.entries.iter().map(add).collect()
    }

    /// What puts the filled version in place of the one in use.
    pub fn commit(&self, version: MapVersion) -> FileCommand {
        FileCommand::CommitMap { map: self.map.clone(), version }
    }

    /// What lets go of a version that was not filled.
    pub fn abandon(&self, version: MapVersion) -> FileCommand {
        FileCommand::ClearMap { map: self.map.clone(), version }
    }

    /// What it comes to, in words.
    pub fn change(&self) -> Change {
        Change::Swapped { map: self.map.clone(), entries: self.entries.len() }
    }
}
