//! `vmId`, by which two machines of one name differ.

use std::fmt;

/// A machine's id in lower case. It is a GUID, which takes less memory as a number; any other text stays as it is.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct VmId(Form);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Form {
    Guid([u8; 16]),
    Text(Box<str>),
}

/// Where a GUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl VmId {
    pub(crate) fn new(given: &str) -> Self {
        let small = given.to_ascii_lowercase();
        Self(guid(&small).map_or_else(|| Form::Text(small.into()), Form::Guid))
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Guid(bytes) => bytes.iter().enumerate().try_for_each(|(at, byte)| {
                let dash = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
                write!(f, "{dash}{byte:02x}")
            }),
        }
    }
}

fn guid(text: &str) -> Option<[u8; 16]> {
    let is_guid = |(at, byte): (usize, u8)| {
        if DASHES.contains(&at) {
            byte == b'-'
        } else {
            byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
        }
    };
    if text.len() != 36 || !text.bytes().enumerate().all(is_guid) {
        return None;
    }
    let digits: String = text.split('-').collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_what_it_was_given_as_in_lower_case(
            given in "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f+-]{36}|\\PC{0,40}"
        ) {
            prop_assert_eq!(VmId::new(&given).to_string(), given.to_ascii_lowercase());
        }
    }
}
