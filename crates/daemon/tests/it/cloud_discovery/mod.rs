//! Roster in the place of haproxy-cloud-discovery.

mod aws;
mod aws_life;
mod aws_many;
mod aws_signals;
mod aws_trouble;
mod azure;
mod azure_gaps;
mod azure_life;
mod gate;
mod site;
mod takeover;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::rig::{Ended, at_home};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/haproxy-cloud-discovery").join(name)
}

/// Runs a program with the variables of the examples.
fn run(program: &Path, words: &[&str]) -> Ended {
    let mut command = Command::new(program);
    at_home(&mut command, Path::new(env!("CARGO_TARGET_TMPDIR")));
    command.args(words).env("AWS_REGION", "us-east-2").stdin(Stdio::null());
    command.env("AZURE_SUBSCRIPTION_ID", "00000000-1111-2222-3333-444444444444");
    let output = command.env("HAPROXY_DATAPLANE_PASSWORD", "hunter2").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn stands_in(words: &[&str]) -> Ended {
    run(Path::new(env!("CARGO_BIN_EXE_roster")), &[&["as", "haproxy-cloud-discovery"], words].concat())
}

/// A configuration in a folder of its own.
fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    (folder, file.to_str().unwrap().to_owned())
}

#[test]
fn the_examples_are_valid_and_the_log_is_the_originals_json() {
    for name in ["aws.yaml", "azure.yaml"] {
        let ended = stands_in(&["--validate", "-c", example(name).to_str().unwrap()]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
        let line: serde_json::Value = serde_json::from_str(ended.err.lines().last().unwrap()).unwrap();
        assert_eq!(line["message"], "Configuration is valid");
        assert_eq!(line["level"], "INFO");
        assert!(
            line["logger"].is_string() && line["timestamp"].as_str().unwrap().ends_with("+00:00"),
            "{line}"
        );
    }
}

#[test]
fn a_link_of_the_originals_name_is_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("haproxy-cloud-discovery");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_roster"), &link).unwrap();
    let ended = run(&link, &["-c", example("aws.yaml").to_str().unwrap(), "--validate"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(run(&link, &[]).code, Some(2));
    assert!(run(&link, &["--help"]).out.contains("--validate"));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_wrong_file_with_1() {
    let ended = stands_in(&["--once"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("Usage"), "{ended:?}");
    let (_folder, file) = written("aws: { region: \"${NOT_SET_ANYWHERE}\" }\n");
    for words in [vec!["-c", &file], vec!["--once", "-c", &file], vec!["--validate", "--config", &file]] {
        let ended = stands_in(&words);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.starts_with("Configuration error: "), "{ended:?}");
        assert!(ended.err.contains("NOT_SET_ANYWHERE"), "{ended:?}");
    }
    let (_folder, file) = written("azure: {}\n");
    let ended = stands_in(&["--validate", "-c", &file]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no cloud provider is configured"), "{ended:?}");
    let ended = stands_in(&["-c", "/nowhere.yaml", "--validate"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("Configuration error: /nowhere.yaml cannot be read"), "{ended:?}");
}

#[test]
fn the_text_form_is_the_originals() {
    let (_folder, file) = written("aws: { region: us-east-2, regoin: x }\nlogging: { format: text }\n");
    let ended = stands_in(&["--validate", "-c", &file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.err.lines().last().unwrap();
    assert_eq!(line.get(19..29), Some(" INFO     "), "{line}");
    assert!(line.contains(" [roster") && line.ends_with("] Configuration is valid"), "{line}");
    assert!(
        ended.err.contains(" WARNING  [") && ended.err.contains("did you mean `region`?"),
        "{}",
        ended.err
    );
}

#[test]
fn the_log_has_what_its_level_asks_for() {
    for (level, is_told) in [("DEBUG", true), ("INFO", true), ("WARNING", false), ("ERROR", false)] {
        let (_folder, file) = written(&format!(
            "aws: {{ region: us-east-2 }}\nhaproxy: {{ password: x }}\nlogging: {{ level: {level}, format: json }}\n"
        ));
        let ended = stands_in(&["--validate", "-c", &file]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let messages = ended.err.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told = messages.filter(|line| line["message"] == "Configuration is valid").count();
        assert_eq!(told, usize::from(is_told), "{level}: {ended:?}");
    }
}

#[test]
fn what_convert_prints_is_a_native_configuration_without_the_secret() {
    let example = example("aws.yaml");
    let roster = Path::new(env!("CARGO_BIN_EXE_roster"));
    let ended = run(roster, &["convert", "--from", "haproxy-cloud-discovery", example.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("${HAPROXY_DATAPLANE_PASSWORD}") && !ended.out.contains("hunter2"),
        "{}",
        ended.out
    );
    let (_folder, file) = written(&ended.out);
    let check = run(roster, &["check", "-c", &file]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.out.contains("aws-{service}-{port}-{region}"), "{}", check.out);
}
