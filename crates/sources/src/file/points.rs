//! The names in directories by which a path is found: where a change of them means another file.
//!
//! `/etc/roster/services.yaml` may be a link to `..data/services.yaml`, and `..data` a link that Kubernetes swaps; or
//! `/srv/current` may be a link to a release. Each such name is a point, in the directory where it really stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// The points of a path, and the directories that they are in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Points {
    /// The file, and each link on the way to it; if something is missing on the way, that instead of the file.
    pub(super) names: BTreeSet<PathBuf>,
    /// Where those names stand; none of these paths has a link in it.
    pub(super) directories: BTreeMap<PathBuf, Identity>,
}

/// Device and inode: a directory that is deleted and made again is another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

enum Part {
    Up,
    Down(OsString),
}

impl Points {
    /// Follows an absolute path.
    pub(super) fn of(path: &Path) -> Self {
        let mut points = Self::default();
        let mut at = PathBuf::from("/");
        let mut rest: VecDeque<Part> = parts(path).collect();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            let Part::Down(name) = part else {
                at.pop();
                continue;
            };
            let next = at.join(name);
            let Ok(found) = fs::symlink_metadata(&next) else {
                points.add(&at, next);
                break;
            };
            if found.is_symlink() {
                links += 1;
                let target = fs::read_link(&next);
                points.add(&at, next);
                let (Ok(target), true) = (target, links <= MAX_LINKS) else { break };
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
                continue;
            }
            if rest.is_empty() {
                points.add(&at, next);
                break;
            }
            at = next;
        }
        points
    }

    fn add(&mut self, directory: &Path, name: PathBuf) {
        if let Ok(found) = fs::metadata(directory) {
            let identity = Identity { device: found.dev(), inode: found.ino() };
            self.directories.insert(directory.to_owned(), identity);
        }
        self.names.insert(name);
    }
}

fn parts(path: &Path) -> impl Iterator<Item = Part> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(Part::Down(name.to_owned())),
        Component::ParentDir => Some(Part::Up),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn below(root: &Path, points: &Points) -> (Vec<String>, Vec<String>) {
        let short = |path: &PathBuf| {
            path.strip_prefix(root)
                .map_or_else(|_| path.display().to_string(), |rest| rest.display().to_string())
        };
        (points.names.iter().map(short).collect(), points.directories.keys().map(short).collect())
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        (folder, root)
    }

    #[test]
    fn a_plain_file_has_one_point_in_its_directory() {
        let (_folder, root) = folder();
        fs::write(root.join("a.yaml"), "").unwrap();
        assert_eq!(
            below(&root, &Points::of(&root.join("a.yaml"))),
            (vec!["a.yaml".into()], vec![String::new()])
        );
    }

    #[test]
    fn every_link_on_the_way_is_a_point_where_it_really_stands() {
        let (_folder, root) = folder();
        fs::create_dir_all(root.join("cfg/..2024")).unwrap();
        fs::write(root.join("cfg/..2024/a.yaml"), "").unwrap();
        symlink("..2024", root.join("cfg/..data")).unwrap();
        symlink("..data/a.yaml", root.join("cfg/a.yaml")).unwrap();
        symlink("cfg", root.join("current")).unwrap();
        let (names, directories) = below(&root, &Points::of(&root.join("current/../current/a.yaml")));
        assert_eq!(names, ["cfg/..2024/a.yaml", "cfg/..data", "cfg/a.yaml", "current"]);
        assert_eq!(directories, ["", "cfg", "cfg/..2024"]);
    }

    #[test]
    fn a_missing_folder_is_awaited_where_it_would_be() {
        let (_folder, root) = folder();
        let (names, directories) = below(&root, &Points::of(&root.join("not/there/a.yaml")));
        assert_eq!((names, directories), (vec!["not".into()], vec![String::new()]));
    }

    #[test]
    fn links_in_a_circle_end() {
        let (_folder, root) = folder();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(below(&root, &Points::of(&root.join("a"))).0, ["a", "b"]);
    }
}
