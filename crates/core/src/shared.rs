//! Values that many hold and few change.
//!
//! A source reports tens of thousands of instances, and nearly all of them are as they were in the answer before. Equal
//! values are held once, whatever answers and agendas they are part of.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that costs little to copy. A copy that is changed becomes a value of its own.
#[derive(Default, Eq, Hash, PartialEq)]
pub struct Shared<T>(Arc<T>);

/// Finds the value that is equal to another one.
#[derive(Debug)]
pub struct Interner<T>(HashSet<Shared<T>>);

impl<T> Shared<T> {
    /// Whether both are one value in memory.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The first value that was given and is equal to this one.
    #[must_use]
    pub fn intern(&mut self, value: Shared<T>) -> Shared<T> {
        if let Some(first) = self.0.get(&value) {
            return first.clone();
        }
        self.0.insert(value.clone());
        value
    }
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<A, T: FromIterator<A>> FromIterator<A> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = A>>(items: I) -> Self {
        T::from_iter(items).into()
    }
}

#[expect(clippy::into_iter_without_iter, reason = "`iter` is that of the value")]
impl<'a, T> IntoIterator for &'a Shared<T>
where
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&**self).into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(to)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_changed_leaves_the_other_as_it_was() {
        let first = Shared::from(vec![1, 2]);
        let mut copy = first.clone();
        assert!(copy.is_same(&first));
        copy.push(3);
        assert_eq!((first.as_slice(), copy.as_slice()), (&[1, 2][..], &[1, 2, 3][..]));
    }

    #[test]
    fn equal_values_become_one_and_others_do_not() {
        let mut interner = Interner::default();
        let all = [vec![1], vec![2], vec![1]].map(|value| interner.intern(value.into()));
        assert!(all[0].is_same(&all[2]) && !all[0].is_same(&all[1]));
    }
}
