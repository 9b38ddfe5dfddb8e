//! A table by resources' ids.

use super::resource::ResourceId;

/// Values by id, in a sorted list: a hash table takes twice the memory, and is made anew for each listing.
#[derive(Debug)]
pub(super) struct Table<T>(Vec<(ResourceId, T)>);

impl<T> Table<T> {
    /// Values of one id stay in the order in which they come.
    pub(super) fn new(values: impl IntoIterator<Item = (ResourceId, T)>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self(values)
    }

    /// The last value of this id.
    pub(super) fn get(&self, id: &ResourceId) -> Option<&T> {
        self.all(id).last()
    }

    /// All values of this id.
    pub(super) fn all(&self, id: &ResourceId) -> impl Iterator<Item = &T> {
        let start = self.0.partition_point(|(known, _)| known < id);
        self.0.iter().skip(start).take_while(move |(known, _)| known == id).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_its_values_and_the_last_one_counts() {
        let id = ResourceId::new;
        let table = Table::new([(id("/x/b"), 1), (id("/x/a"), 2), (id("/x/B"), 3)]);
        assert_eq!(table.all(&id("/x/b")).collect::<Vec<_>>(), [&1, &3]);
        assert_eq!(
            (table.get(&id("/x/b")), table.get(&id("/x/a")), table.get(&id("/x/c"))),
            (Some(&3), Some(&2), None)
        );
    }
}
