//! The floor: the least that any client needs for these commands. One connection, one thread, everything is written as
//! fast as HAProxy takes it while the answers are read. It asks nobody, reads nothing back, and does not even look at
//! what the answers say.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What HAProxy ends each answer with, once `prompt` was sent.
const PROMPT: &[u8] = b"\n> ";
/// A healthy HAProxy never says nothing for so many seconds.
const PATIENCE: i64 = 10;

/// Answers are counted by what ends them, which may come in pieces.
#[derive(Debug, Default)]
struct Answers {
    count: usize,
    matched: usize,
}

/// Sends the commands and waits for as many answers.
pub(crate) fn exchange(socket: &Path, commands: &[String]) -> anyhow::Result<Duration> {
    // 3.x carries out only the first of several lines without it.
    let lines = std::iter::once("prompt").chain(commands.iter().map(String::as_str));
    let text = lines.flat_map(|line| [line, "\n"]).collect::<String>();
    let wanted = commands.len() + 1;
    let begun = Instant::now();
    let stream = UnixStream::connect(socket).context("the floor's connection")?;
    stream.set_nonblocking(true)?;
    let answered = talk(&stream, text.as_bytes(), wanted).context("the floor's commands")?;
    let took = begun.elapsed();
    ensure!(answered == wanted, "HAProxy answered {answered} of the floor's {wanted} commands");
    Ok(took)
}

/// Writes and reads whatever is possible until there are as many answers as wanted, or nothing more comes.
fn talk(mut stream: &UnixStream, text: &[u8], wanted: usize) -> io::Result<usize> {
    let (mut buffer, mut left, mut answers) = (vec![0; 64 * 1024], text, Answers::default());
    let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    while answers.count < wanted {
        let writing = if left.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut ready = [PollFd::new(stream, PollFlags::IN | writing)];
        if poll(&mut ready, Some(&patience))? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        let [ready] = ready;
        if ready.revents().intersects(PollFlags::IN | PollFlags::HUP) {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => answers.take(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if ready.revents().contains(PollFlags::OUT) {
            match stream.write(left) {
                Ok(length) => left = left.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(answers.count)
}

impl Answers {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.matched = match PROMPT.get(self.matched) {
                Some(next) if next == byte => self.matched + 1,
                _ => usize::from(*byte == b'\n'),
            };
            if self.matched == PROMPT.len() {
                (self.count, self.matched) = (self.count + 1, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_however_they_are_cut() {
        let text = b"\n> \n> IP changed > x\n\n> \n\n> No such server.\n\n> rest";
        for size in 1..text.len() {
            let mut answers = Answers::default();
            text.chunks(size).for_each(|part| answers.take(part));
            assert_eq!(answers.count, 5, "in pieces of {size} bytes");
        }
    }
}
