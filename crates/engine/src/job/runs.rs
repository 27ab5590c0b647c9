//! What each of the numbers 0 to n - 1 is, kept as runs of neighbours that are alike. Never here: what the states mean.

use std::collections::BTreeMap;

/// Runs of like states. Costs what differs, whatever the size.
#[derive(Debug, Clone)]
pub(crate) struct Runs<S> {
    /// Where each run begins; it goes on to the next one's beginning. Neighbours differ.
    begins: BTreeMap<u32, S>,
    size: u32,
}

impl<S: Clone + PartialEq> Runs<S> {
    /// All of these, at least one, are alike.
    pub(crate) fn new(size: u32, state: S) -> Self {
        Self { begins: BTreeMap::from([(0, state)]), size: size.max(1) }
    }

    /// How many numbers there are.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// What one is; nothing beyond the size.
    pub(crate) fn at(&self, index: u32) -> Option<&S> {
        let run = (index < self.size).then(|| self.begins.range(..=index).next_back()).flatten();
        run.map(|(_, state)| state)
    }

    /// Runs that have a number between these, whole: first, last, state.
    pub(crate) fn within(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, u32, &S)> {
        let begin = self.begins.range(..=first).next_back().map_or(0, |(begin, _)| *begin);
        let ends = self.begins.range(begin..).skip(1).map(|(next, _)| next - 1);
        let ends = ends.chain(std::iter::once(self.size - 1));
        let runs = self.begins.range(begin..).zip(ends);
        runs.take_while(move |((begin, _), _)| **begin <= last).map(|((begin, s), end)| (*begin, end, s))
    }

    /// All runs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &S)> {
        self.within(0, self.size - 1)
    }

    /// The numbers from first to last are this from now on.
    pub(crate) fn set(&mut self, first: u32, last: u32, state: S) {
        let last = last.min(self.size - 1);
        if first > last {
            return;
        }
        let after = self.at(last + 1).cloned();
        let inside: Vec<u32> = self.begins.range(first..=last).map(|(begin, _)| *begin).collect();
        inside.iter().for_each(|begin| drop(self.begins.remove(begin)));
        if let Some(after) = after {
            // Where a run began there already it stays; one that reached over from the inside begins there now.
            self.begins.entry(last + 1).or_insert(after);
            if self.begins.get(&(last + 1)) == Some(&state) {
                self.begins.remove(&(last + 1));
            }
        }
        let before = first.checked_sub(1).and_then(|index| self.at(index));
        if before != Some(&state) {
            self.begins.insert(first, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(runs: &Runs<char>) -> String {
        runs.iter().map(|(first, last, state)| format!("{state}{first}-{last} ")).collect()
    }

    #[test]
    fn neighbours_that_become_alike_are_one_run() {
        let mut runs = Runs::new(10, 'a');
        runs.set(3, 5, 'b');
        assert_eq!(text(&runs), "a0-2 b3-5 a6-9 ");
        runs.set(6, 20, 'b');
        assert_eq!(text(&runs), "a0-2 b3-9 ");
        runs.set(0, 2, 'b');
        assert_eq!(text(&runs), "b0-9 ");
        runs.set(9, 3, 'x');
        runs.set(9, 9, 'c');
        runs.set(0, 0, 'c');
        assert_eq!(text(&runs), "c0-0 b1-8 c9-9 ");
        let whole: Vec<_> = runs.within(2, 9).map(|(first, last, _)| (first, last)).collect();
        assert_eq!(whole, [(1, 8), (9, 9)]);
        assert_eq!((runs.at(9), runs.at(10)), (Some(&'c'), None));
    }

    /// The same as a plain list, after many changes.
    #[test]
    fn as_a_list_would_have_it() {
        let mut list = vec![0u8; 40];
        let mut runs = Runs::new(40, 0u8);
        let mut number = 7u32;
        for _ in 0..5000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (first, length, state) = (number >> 8 & 31, number >> 16 & 7, (number >> 24 & 3) as u8);
            let last = (first + length).min(39);
            runs.set(first, last, state);
            list[first as usize..=last as usize].fill(state);
            let told: Vec<u8> = (0..40).filter_map(|index| runs.at(index).copied()).collect();
            assert_eq!(told, list);
            let parts: Vec<_> = runs.iter().collect();
            assert!(parts.windows(2).all(|two| two[0].1 + 1 == two[1].0 && two[0].2 != two[1].2));
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), (0, 39));
        }
    }
}
