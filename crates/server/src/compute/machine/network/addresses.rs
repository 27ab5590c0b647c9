//! Which address is whose. Given round and round, so that one is not used again while its last interface still dies.
//!
//! Pure. Never here: interfaces.

use batchyard_engine::TaskId;
use ipnet::Ipv4Net;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

/// Ports of a bridge, as the kernel bounds them, less some for interfaces that are about to go.
const PORTS: usize = 1000;

/// The host's own address on the bridge.
pub fn gateway(net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) + 1)
}

/// The addresses of a network.
#[derive(Debug)]
pub struct Addresses {
    net: Ipv4Net,
    last: u32,
    taken: HashSet<Ipv4Addr>,
    of: HashMap<TaskId, Ipv4Addr>,
}

impl Addresses {
    /// All free but the network's own, its gateway's and the one for all.
    pub fn new(net: Ipv4Net) -> Self {
        Self { net, last: u32::from(gateway(net)), taken: HashSet::new(), of: HashMap::new() }
    }

    /// The next free one, taken from now on.
    pub fn next(&mut self) -> Option<Ipv4Addr> {
        let (first, end) = (u32::from(gateway(self.net)) + 1, u32::from(self.net.broadcast()));
        if self.taken.len() >= PORTS {
            return None;
        }
        for _ in first..end {
            self.last = if self.last + 1 >= end { first } else { self.last + 1 };
            let address = Ipv4Addr::from(self.last);
            if self.taken.insert(address) {
                return Some(address);
            }
        }
        None
    }

    /// It is free again, having been nobody's.
    pub fn put_back(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
    }

    /// An attempt has it now.
    pub fn give(&mut self, task: TaskId, address: Ipv4Addr) {
        self.taken.insert(address);
        if let Some(before) = self.of.insert(task, address).filter(|before| *before != address) {
            self.taken.remove(&before);
        }
    }

    /// The attempt's.
    pub fn of(&self, task: TaskId) -> Option<Ipv4Addr> {
        self.of.get(&task).copied()
    }

    /// The attempt has none any more.
    pub fn release(&mut self, task: TaskId) {
        if let Some(address) = self.of.remove(&task) {
            self.taken.remove(&address);
        }
    }

    /// Whether no attempt has one.
    pub fn is_unused(&self) -> bool {
        self.of.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Addresses {
        Addresses::new(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 29))
    }

    #[test]
    fn every_address_is_given_once_and_the_longest_free_one_comes_next() {
        let mut all = small();
        let given: Vec<u8> = (0..5).map(|_| all.next().expect("free").octets()[3]).collect();
        assert_eq!(given, [2, 3, 4, 5, 6]);
        assert_eq!(all.next(), None);
        all.put_back(Ipv4Addr::new(10, 0, 0, 5));
        all.put_back(Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(all.next(), Some(Ipv4Addr::new(10, 0, 0, 3)), "the round goes on from the last one");
    }

    #[test]
    fn an_attempts_address_is_taken_until_it_is_released() {
        let (mut all, task) = (small(), TaskId([7; 16]));
        let address = Ipv4Addr::new(10, 0, 0, 2);
        all.give(task, address);
        assert_eq!((all.of(task), all.next()), (Some(address), Some(Ipv4Addr::new(10, 0, 0, 3))));
        all.release(task);
        assert!(all.is_unused() && all.of(task).is_none());
    }
}
