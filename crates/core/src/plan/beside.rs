//! Two maps with the same keys, walked along side by side: no key is searched for.

use std::collections::BTreeMap;

/// Each entry of `one`, and what `other` has for its key.
pub(super) fn beside<'a, K: Ord, A, B>(
    one: &'a BTreeMap<K, A>,
    other: &'a BTreeMap<K, B>,
) -> impl Iterator<Item = (&'a K, &'a A, Option<&'a B>)> {
    let mut other = other.iter().peekable();
    one.iter().map(move |(key, value)| {
        while other.next_if(|(there, _)| *there < key).is_some() {}
        (key, value, other.next_if(|(there, _)| *there == key).map(|(_, found)| found))
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn walking_along_finds_what_searching_finds(
            (one, other) in (btree_map(0..40u8, any::<u8>(), 0..30), btree_map(0..40u8, any::<u8>(), 0..30)),
        ) {
            let searched = one.iter().map(|(key, value)| (key, value, other.get(key)));
            prop_assert!(beside(&one, &other).eq(searched));
        }
    }
}
