//! The floor: the least that any client needs for these commands. One connection, everything written at once while
//! the answers are read. It asks nobody, reads nothing back, and does not even look at what the answers say.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What HAProxy ends each answer with, once `prompt` was sent.
const PROMPT: &[u8] = b"\n> ";
/// A healthy HAProxy never says nothing for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the commands and waits for as many answers.
pub(crate) fn exchange(socket: &Path, commands: &[String]) -> anyhow::Result<Duration> {
    // 3.x carries out only the first of several lines without it.
    let lines = std::iter::once("prompt").chain(commands.iter().map(String::as_str));
    let text = lines.flat_map(|line| [line, "\n"]).collect::<String>();
    let wanted = commands.len() + 1;
    let begun = Instant::now();
    let mut stream = UnixStream::connect(socket).context("the floor's connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let answered = std::thread::scope(|scope| {
        scope.spawn(move || {
            // Where HAProxy closed, the missing answers tell.
            writer.write_all(text.as_bytes()).ok();
        });
        let answered = count(&mut stream, wanted);
        let took = begun.elapsed();
        // Ends the writer, should it still wait.
        stream.shutdown(Shutdown::Both).ok();
        answered.map(|answered| (answered, took))
    });
    let (answered, took) = answered.context("the floor's answers")?;
    ensure!(answered == wanted, "HAProxy answered {answered} of the floor's {wanted} commands");
    Ok(took)
}

fn count(from: &mut impl Read, wanted: usize) -> io::Result<usize> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut answers, mut matched) = (0, 0);
    while answers < wanted {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        for byte in buffer.iter().take(length) {
            matched = match PROMPT.get(matched) {
                Some(next) if next == byte => matched + 1,
                _ => usize::from(*byte == b'\n'),
            };
            if matched == PROMPT.len() {
                (answers, matched) = (answers + 1, 0);
            }
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_however_they_are_cut() {
        struct OneByOne<'a>(&'a [u8]);
        impl Read for OneByOne<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                (into[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
        let text = b"\n> \n> IP changed > x\n\n> \n\n> No such server.\n\n> rest";
        assert_eq!(count(&mut OneByOne(text), 9).unwrap(), 5);
        assert_eq!(count(&mut &text[..], 9).unwrap(), 5);
    }
}
