//! The README and the examples' READMEs: an ordinary user pastes their blocks one by one, and they work.

mod blocks;
mod user;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use roster_testkit::{DataplaneApi, DataplaneVersion, OrFail, ReloadWay, RuntimeSocket, wait_until_or_fail};

use crate::rig::CAP;
use blocks::Block;
use user::User;

const EXAMPLES: [&str; 3] = ["runtime", "managed", "dataplane"];

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).or_fail()
}

/// One who has installed Roster and pastes the page of this example.
fn reader(example: &str) -> User {
    let install = blocks("README.md").into_iter().filter(|block| block.code.starts_with("make install"));
    User::new(install.chain(blocks(&format!("examples/{example}/README.md"))).collect())
}

fn blocks(page: &str) -> Vec<Block> {
    blocks::blocks(&text(page))
}

#[test]
fn the_blocks_of_the_readme_work_when_pasted() {
    User::new(blocks("README.md")).pastes();
}

#[test]
fn the_blocks_of_the_runtime_example_work_when_pasted() {
    reader("runtime").pastes();
}

#[test]
fn the_blocks_of_the_managed_example_work_when_pasted() {
    reader("managed").pastes();
}

#[test]
fn the_blocks_of_the_dataplane_example_work_when_pasted() {
    let user = reader("dataplane");
    if User::has_real_api() {
        return user.pastes();
    }
    // The example starts a program in its place that says in which folder.
    let mut shell = user.starts();
    let folder = wait_until_or_fail(CAP, "the start of the API", || {
        let folder = std::fs::read_to_string(user.home().join("api-started")).ok();
        folder.filter(|folder| folder.ends_with('\n')).map(|folder| PathBuf::from(folder.trim_end()))
    });
    let reload = folder.join("api.d/reload").to_str().unwrap().to_owned();
    let api = DataplaneApi::builder(DataplaneVersion::V3)
        .haproxy_bin(&user.haproxy())
        .config(&folder.join("haproxy.cfg"))
        .runtime(RuntimeSocket::Master(folder.join("master.sock")))
        .reload(ReloadWay::Command(vec![reload]))
        .credentials("admin", "admin")
        .port(user.port(5555))
        .start()
        .or_fail();
    user.finishes(&mut shell);
    drop(api);
}

#[test]
fn every_example_with_a_readme_is_pasted() {
    let folders = std::fs::read_dir(root().join("examples")).or_fail();
    let has_readme =
        folders.map(|entry| entry.or_fail().path()).filter(|path| path.join("README.md").exists());
    let mut names: Vec<String> =
        has_readme.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let mut pasted = EXAMPLES.to_vec();
    pasted.sort_unstable();
    assert_eq!(names, pasted);
}

#[test]
fn what_a_bare_machine_lacks_is_said_in_one_message_and_stands_in_the_readme() {
    let bare = tempfile::tempdir().or_fail();
    for tool in ["bash", "cut", "dirname", "head", "sed", "sort", "tr"] {
        let path = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter();
        symlink(path.clone().find(|path| path.exists()).unwrap(), bare.path().join(tool)).or_fail();
    }
    let need = Command::new(root().join("tools/need"))
        .args(["cargo", "servers"])
        .env_clear()
        .env("PATH", bare.path())
        .output()
        .or_fail();
    let said = String::from_utf8_lossy(&need.stderr).into_owned();
    assert_eq!(need.status.code(), Some(1), "{said}");
    for lacking in ["cc", "Rust 1.", "curl", "Python with venv", "apt-get"] {
        assert!(said.contains(&format!("    {lacking}")), "no {lacking} in\n{said}");
    }
    let packages = |text: &str| -> BTreeSet<String> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("sudo apt-get install -y "));
        line.unwrap().split(' ').map(str::to_owned).collect()
    };
    let (asked, named) = (packages(&said), packages(&text("README.md")));
    assert!(asked.contains("gcc") && asked.is_subset(&named), "{asked:?} {named:?}");
    assert!(said.lines().any(|line| line.contains("sh.rustup.rs")), "{said}");
}
