//! Whether HAProxy did what a command about files says. The texts were recorded from 2.6.12, 2.8.25 and 3.0.11.

use super::map::Swap;
use super::shown;
use crate::cli::command::FileCommand;

/// Nothing if it did, else what it said, without anything that may be of a private key.
pub fn judge(command: &FileCommand, reply: &str) -> Result<(), String> {
    let text = reply.trim();
    if is_done(command, text) {
        return Ok(());
    }
    let repeats = matches!(command, FileCommand::SetSslCert { pem, .. } if pem.is_repeated_in(text));
    // It shows the word that it does not know, which may be a line of a payload that it did not take.
    if repeats || (command.payload().is_some() && text.contains("Unknown command")) {
        return Err("it did not take the text as a payload".to_owned());
    }
    let first = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Err(if first.is_empty() { "it said nothing".to_owned() } else { shown(&first) })
}

fn is_done(command: &FileCommand, text: &str) -> bool {
    match command {
        FileCommand::ShowMap(_)
        | FileCommand::ShowSslCerts
        | FileCommand::ShowSslCert(_)
        | FileCommand::ShowCrtList(_) => true,
        FileCommand::AddMap { .. }
        | FileCommand::SetMap { .. }
        | FileCommand::DelMap { .. }
        | FileCommand::DelMapEntry { .. }
        | FileCommand::CommitMap { .. }
        | FileCommand::ClearMap { .. } => text.is_empty(),
        FileCommand::PrepareMap(_) => Swap::version(text).is_some(),
        FileCommand::NewSslCert(_) => text.starts_with("New empty certificate store"),
        // 2.6 may say that it changed the transaction of another certificate.
        FileCommand::SetSslCert { certificate, .. } => ["created", "updated"]
            .iter()
            .any(|did| text.ends_with(&format!("Transaction {did} for certificate {certificate}!"))),
        FileCommand::CommitSslCert(_) | FileCommand::AddCrtList { .. } => text.ends_with("Success!"),
        FileCommand::AbortSslCert(_) => text.starts_with("Transaction aborted"),
        FileCommand::DelSslCert(_) => text.ends_with("deleted!"),
        FileCommand::DelCrtList { .. } => text.starts_with("Entry ") && text.contains(" deleted in crtlist "),
    }
}
