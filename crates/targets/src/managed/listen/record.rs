//! What outlives Roster: which number each address has in HAProxy.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::ListenAddress;
use super::hand_over::FIRST_AFTER_STREAMS;

/// The numbers of all sockets that a HAProxy may have. To be kept whenever it changes, before HAProxy gets the sockets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Loose")]
pub struct Record {
    sockets: BTreeMap<ListenAddress, Recorded>,
}

/// One socket of a [`Record`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Recorded {
    /// Its number in HAProxy.
    pub number: i32,
    /// No longer wanted, but a HAProxy that has it may live.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// Two addresses cannot have one number, and none has that of a standard stream.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the record of listening sockets gives number {number} to {address}, which {why}; remove the record to begin anew"
)]
pub struct InvalidRecord {
    number: i32,
    address: ListenAddress,
    why: &'static str,
}

#[derive(Deserialize)]
struct Loose {
    sockets: BTreeMap<ListenAddress, Recorded>,
}

impl Record {
    pub(super) fn new(sockets: BTreeMap<ListenAddress, Recorded>) -> Self {
        Self { sockets }
    }

    /// The sockets.
    pub fn sockets(&self) -> &BTreeMap<ListenAddress, Recorded> {
        &self.sockets
    }
}

impl TryFrom<Loose> for Record {
    type Error = InvalidRecord;

    fn try_from(Loose { sockets }: Loose) -> Result<Self, InvalidRecord> {
        let mut numbers = BTreeSet::new();
        for (address, &Recorded { number, .. }) in &sockets {
            let invalid = |why| Err(InvalidRecord { number, address: address.clone(), why });
            if number < FIRST_AFTER_STREAMS {
                return invalid("is a standard stream");
            }
            if !numbers.insert(number) {
                return invalid("another address has already");
            }
        }
        Ok(Self { sockets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_is_written() {
        let text = r#"{"sockets":{"0.0.0.0:80":{"number":10},"unix@/run/s":{"number":11,"leaving":true}}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }

    #[test]
    fn a_number_that_two_have_or_a_stream_is_refused() {
        for numbers in [(10, 10), (10, 2), (10, -1)] {
            let text = format!(
                r#"{{"sockets":{{":80":{{"number":{}}},":81":{{"number":{}}}}}}}"#,
                numbers.0, numbers.1
            );
            let error = serde_json::from_str::<Record>(&text).unwrap_err().to_string();
            assert!(error.contains("0.0.0.0:81") && error.contains("remove the record"), "{error}");
        }
    }
}
