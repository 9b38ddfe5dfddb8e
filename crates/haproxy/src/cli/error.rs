//! Why an answer of HAProxy could not be read.

use thiserror::Error;

use super::reply::Refusal;

/// How much of an unreadable text an error repeats.
const SHOWN: usize = 120;

/// Why an answer of HAProxy could not be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// HAProxy answered that it will not do it.
    #[error("HAProxy did not answer `{command}`: {refusal}")]
    Refused {
        /// The command as it was sent, without its argument.
        command: &'static str,
        /// What it said.
        #[source]
        refusal: Refusal,
    },
    /// The text is not an answer to this command at all.
    #[error(
        "the answer to `{command}` begins with {begins:?}, which HAProxy 2.6 and later do not send; \
         check that the socket is HAProxy's own stats socket"
    )]
    Format {
        /// The command.
        command: &'static str,
        /// The first characters of what came.
        begins: String,
    },
    /// A column or key that every supported version prints is not there.
    #[error("the answer to `{command}` has no {name}; HAProxy 2.6 and later print it, check the version")]
    Missing {
        /// The command.
        command: &'static str,
        /// The column's or key's name.
        name: &'static str,
    },
    /// A value that cannot be read.
    #[error("line {line} of the answer to `{command}` has {value:?} as {name}, which cannot be read")]
    Value {
        /// The command.
        command: &'static str,
        /// The line in the answer, from 1.
        line: usize,
        /// The column's or key's name.
        name: &'static str,
        /// What stood there.
        value: String,
    },
}

impl ParseError {
    /// What to say of a text that does not begin as the answer to `command` does.
    pub(super) fn not_an_answer(command: &'static str, text: &str) -> Self {
        match Refusal::find(text) {
            Some(refusal) => Self::Refused { command, refusal },
            None => Self::Format { command, begins: shown(text) },
        }
    }

    pub(super) fn value(command: &'static str, line: usize, name: &'static str, value: &str) -> Self {
        Self::Value { command, line, name, value: shown(value) }
    }
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
