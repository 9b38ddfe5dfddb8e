//! From a file on disk.

use std::fs;
use std::path::PathBuf;

use insta::assert_snapshot;
use roster_config::native::{Config, LoadError, Reach, Source};
use tempfile::TempDir;

use super::{MINIMAL, env};

fn folder_with(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roster.yaml");
    fs::write(&file, content).unwrap();
    (folder, file)
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let text = MINIMAL.replace("/run/haproxy/admin.sock", "admin.sock");
    let (folder, file) = folder_with(text.as_bytes());
    let config = Config::load(&file, &env()).unwrap();
    let Some(Source::File(source)) = config.sources.values().next() else { panic!("no file source") };
    assert_eq!(source.path, folder.path().join("services.yaml"));
    let Some(Reach::Runtime(reach)) = config.targets.values().next() else { panic!("no runtime target") };
    let socket = roster_config::native::Address::Socket(folder.path().join("admin.sock"));
    assert_eq!(reach.address, socket);
}

#[test]
fn a_file_that_is_not_there_or_not_text_says_what_to_do() {
    let missing = Config::load("/nowhere/roster.yaml".as_ref(), &env()).unwrap_err();
    assert_snapshot!(missing, @r#""/nowhere/roster.yaml" is not there; write it (`roster schema` says what can stand in it), or name another with --config"#);
    let (folder, file) = folder_with(b"sources:\n  a: \xff\n");
    let error = Config::load(&file, &env()).unwrap_err();
    assert!(matches!(error, LoadError::NotText { line: 2, .. }), "{error}");
    let error = Config::load(folder.path(), &env()).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("check who may read the file"), "{error}");
}

#[test]
fn errors_name_the_file_as_the_operator_did() {
    let (_folder, file) = folder_with(b"sources: []");
    let error = Config::load(&file, &env()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:1:", file.display())), "{error}");
}
