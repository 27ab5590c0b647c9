//! Job definitions: their revisions and whether each is ACTIVE (spec jobs §6.1). Never here: what a definition says.

use crate::engine::Engine;
use crate::ids::DefinitionId;
use crate::input::{Now, Reply};
use crate::resource::JobDefinition;
use crate::restore::DefinitionFacts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every revision ever registered.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    by_id: BTreeMap<DefinitionId, DefinitionFacts>,
    last_revision: BTreeMap<Arc<str>, u32>,
}

impl Definitions {
    pub(crate) fn get(&self, id: DefinitionId) -> Option<&DefinitionFacts> {
        self.by_id.get(&id)
    }

    pub(crate) fn insert(&mut self, facts: DefinitionFacts) {
        let last = self.last_revision.entry(facts.name.clone()).or_default();
        *last = facts.revision.max(*last);
        self.by_id.insert(facts.id, facts);
    }

    /// Numbers of deregistered revisions are not used again.
    fn next_revision(&self, name: &str) -> u32 {
        self.last_revision.get(name).map_or(1, |last| last + 1)
    }
}

impl Engine {
    pub(crate) fn register_definition(&mut self, mut definition: JobDefinition, now: Now) -> Reply {
        self.state.last.job_definition += 1;
        definition.id = DefinitionId(self.state.last.job_definition);
        definition.revision = self.state.definitions.next_revision(&definition.name);
        definition.active = true;
        definition.created_ms = now.wall_ms;
        definition.deregistered_ms = None;
        let reply = Reply::JobDefinition(definition.id, definition.revision);
        self.state.definitions.insert(DefinitionFacts {
            id: definition.id,
            name: definition.name.clone(),
            revision: definition.revision,
            active: true,
        });
        self.batch.new_definition(definition);
        reply
    }

    pub(crate) fn deregister_definition(&mut self, id: DefinitionId, now: Now) -> Reply {
        if let Some(facts) = self.state.definitions.by_id.get_mut(&id)
            && facts.active
        {
            facts.active = false;
            self.batch.deactivate(id, now.wall_ms);
        }
        Reply::Done
    }
}
