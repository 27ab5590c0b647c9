//! What handlers remember between requests so that a submission reads nothing: names of queues and environments,
//! parsed definitions.
//!
//! Everything here may be out of date; the engine decides (it answers `Stale` or refuses), and whoever changes a
//! resource forgets it here before answering. Never here: anything that is not in the store.

use batchyard_engine::ids::{DefinitionId, QueueId};
use batchyard_model::batch;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Definitions remembered at most; beyond it all are forgotten.
const MOST: usize = 10_000;

/// One revision of a definition, ready for a submission.
#[derive(Debug)]
pub struct Definition {
    /// Its row.
    pub id: DefinitionId,
    /// ACTIVE when it was read.
    pub active: bool,
    /// The definition as Describe shows it, without `status`.
    pub definition: batch::JobDefinition,
    /// Its ARN, with the revision.
    pub arn: String,
}

/// A job queue, ready for a submission.
#[derive(Debug)]
pub struct Queue {
    /// Its row.
    pub id: QueueId,
    /// Its ARN.
    pub arn: String,
}

/// By name and revision; without a revision the latest ACTIVE one.
type Definitions = HashMap<(String, Option<u32>), Arc<Definition>>;

/// What is remembered.
#[derive(Default)]
pub struct Known {
    queues: RwLock<HashMap<String, Arc<Queue>>>,
    definitions: RwLock<Definitions>,
    /// Rises with every definition that is forgotten, so that a read from before is not remembered after.
    forgotten: AtomicU64,
}

impl Known {
    /// A queue by name.
    pub fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Remembers a queue.
    pub fn put_queue(&self, name: &str, queue: Arc<Queue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(name.to_string(), queue);
    }

    /// Forgets a queue.
    pub fn forget_queue(&self, name: &str) {
        self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A revision, or with none the latest ACTIVE one.
    pub fn definition(&self, name: &str, revision: Option<u32>) -> Option<Arc<Definition>> {
        let key = (name.to_string(), revision);
        self.definitions.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Taken before a read whose result is to be remembered.
    pub fn before_read(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Remembers a revision, or with none the latest ACTIVE one, unless anything was forgotten since the read began.
    pub fn put_definition(
        &self,
        name: &str,
        revision: Option<u32>,
        definition: Arc<Definition>,
        read_at: u64,
    ) {
        let mut definitions = self.definitions.write().unwrap_or_else(PoisonError::into_inner);
        if self.forgotten.load(Ordering::Acquire) != read_at {
            return;
        }
        if definitions.len() >= MOST {
            definitions.clear();
        }
        definitions.insert((name.to_string(), revision), definition);
    }

    /// Forgets a revision and which one is the latest.
    pub fn forget_definition(&self, name: &str, revision: u32) {
        let mut definitions = self.definitions.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        definitions.remove(&(name.to_string(), None));
        definitions.remove(&(name.to_string(), Some(revision)));
    }
}
