mod certificates;
mod crt_lists;
mod maps;

use super::*;
use crate::haproxy::command::FileCommand;

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

/// Blocks that nobody serves.
fn pem(leaf: &str, chain: usize) -> Pem {
    let chain = "-----BEGIN CERTIFICATE-----\nQ0hBSU4=\n-----END CERTIFICATE-----\n".repeat(chain);
    let text = format!(
        "-----BEGIN CERTIFICATE-----\n{leaf}\n-----END CERTIFICATE-----\n{chain}\
         -----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"
    );
    Pem::new(&text).unwrap()
}

fn lines(commands: &[FileCommand]) -> Vec<String> {
    commands.iter().map(ToString::to_string).collect()
}
