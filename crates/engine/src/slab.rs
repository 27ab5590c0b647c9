//! Entries under small keys that stay the same while the entry lives; a freed key is given again. Never here: what the
//! entries are.

use std::ops::{Index, IndexMut};

/// Names an entry while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u32);

/// A vector with holes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<Key>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, entry: T) -> Key {
        if let Some(key) = self.free.pop() {
            self.entries[key.0 as usize] = Some(entry);
            return key;
        }
        let key = Key(u32::try_from(self.entries.len()).expect("memory ends long before four billion jobs"));
        self.entries.push(Some(entry));
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.0 as usize)?.take();
        if entry.is_some() {
            self.free.push(key);
        }
        entry
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.entries.get(key.0 as usize)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().zip(0u32..).filter_map(|(entry, n)| Some((Key(n), entry.as_ref()?)))
    }
}

/// Keys are kept only while their entry lives ([`crate::Engine::check`] walks all of them).
impl<T> Index<Key> for Slab<T> {
    type Output = T;

    fn index(&self, key: Key) -> &T {
        self.get(key).expect("a key is dropped with its entry")
    }
}

impl<T> IndexMut<Key> for Slab<T> {
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.entries[key.0 as usize].as_mut().expect("a key is dropped with its entry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_key_is_given_again_and_the_others_stay() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!((slab.remove(a), slab.get(a), slab.len()), (None, None, 1));
        assert_eq!(slab.insert('c'), a);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(a, &'c'), (b, &'b')]);
    }
}
