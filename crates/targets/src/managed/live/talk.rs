//! Commands and their answers, all by one process.

use roster_core::applied::ProcessId;
use roster_haproxy::cli::Command;
use roster_haproxy::cli::command::FileCommand;
use roster_haproxy::live::judge;

use super::LiveError;
use crate::runtime::batch::Batch;
use crate::runtime::session::Limits;
use crate::runtime::socket::SocketAddress;

/// Speaks to the process that answered first.
pub(super) struct Talk<'t> {
    socket: &'t SocketAddress,
    limits: &'t Limits,
    process: Option<ProcessId>,
}

impl<'t> Talk<'t> {
    pub(super) fn new(socket: &'t SocketAddress, limits: &'t Limits) -> Self {
        Self { socket, limits, process: None }
    }

    /// The text of each answer.
    pub(super) async fn ask(&mut self, commands: &[FileCommand]) -> Result<Vec<String>, LiveError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let wrapped: Vec<_> = commands.iter().cloned().map(Command::Files).collect();
        let batch = Batch::new(&wrapped);
        let batch = self.process.map_or(batch, |process| batch.expecting(process));
        let outcome = batch.run(self.socket, self.limits).await?;
        self.process = Some(ProcessId::from(&outcome.process));
        Ok(outcome.replies.iter().map(|reply| reply.text().to_owned()).collect())
    }

    /// What became of each command: nothing, or what HAProxy said against it.
    pub(super) async fn tell(&mut self, commands: &[FileCommand]) -> Result<Vec<Option<String>>, LiveError> {
        let replies = self.ask(commands).await?;
        Ok(commands.iter().zip(replies).map(|(command, reply)| judge(command, &reply).err()).collect())
    }

    /// The answer to one question.
    pub(super) async fn read(&mut self, command: FileCommand) -> Result<String, LiveError> {
        Ok(self.ask(&[command]).await?.pop().unwrap_or_default())
    }
}
