//! Ids of attempts, drawn from the seed that the engine was given: the same seed and inputs, the same ids (invariant 2).
//! Never here: secrets.

use crate::ids::TaskId;

/// xoroshiro128++, a small generator of even numbers.
#[derive(Debug)]
pub(crate) struct TaskIds {
    state: [u64; 2],
}

impl TaskIds {
    pub(crate) fn new(seed: u128) -> Self {
        // Neighbouring seeds must not give neighbouring ids, and the state must not be all zero.
        let mut mix = (seed as u64) ^ ((seed >> 64) as u64).rotate_left(32) ^ 0x5851_f42d_4c95_7f2d;
        let mut next = |half: u64| splitmix(&mut mix) ^ half;
        let state = [next(seed as u64), next((seed >> 64) as u64)];
        Self { state: if state == [0, 0] { [1, 2] } else { state } }
    }

    pub(crate) fn draw(&mut self) -> TaskId {
        let number = (u128::from(self.next()) << 64) | u128::from(self.next());
        TaskId(number.to_be_bytes())
    }

    fn next(&mut self) -> u64 {
        let [a, mut b] = self.state;
        let result = a.wrapping_add(b).rotate_left(17).wrapping_add(a);
        b ^= a;
        self.state = [a.rotate_left(49) ^ b ^ (b << 21), b.rotate_left(28)];
        result
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_its_own_ids_and_always_the_same() {
        let ids = |seed| {
            let mut ids = TaskIds::new(seed);
            (0..100).map(|_| ids.draw()).collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        let seeds = [0, 1, 2, 1 << 64, 1 << 127, u128::MAX];
        let all: BTreeSet<TaskId> = seeds.into_iter().flat_map(ids).collect();
        assert_eq!(all.len(), 100 * seeds.len());
    }
}
