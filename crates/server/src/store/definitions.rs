//! Reading job definitions, each query through an index that gives its page in order (invariant 9).
//!
//! Never here: what their bodies hold.

use super::StoreError;
use super::read::Reader;
use batchyard_engine::ids::DefinitionId;
use batchyard_engine::resource::JobDefinition;
use rusqlite::{Row, params};

/// A page of definitions: of one name by revision, of all names in the order of their registration.
#[derive(Debug, Clone, Default)]
pub struct DefinitionQuery {
    /// All revisions of this name; absent: all names.
    pub name: Option<String>,
    /// ACTIVE or INACTIVE only.
    pub active: Option<bool>,
    /// Rows after this id.
    pub after: i64,
    /// Rows at most.
    pub limit: u32,
}

/// Row ids rise with registration, and with the revisions of a name.
const ALL: &str = "SELECT * FROM job_definition WHERE id > ?1 ORDER BY id LIMIT ?2";
const IN_STATE: &str = "SELECT * FROM job_definition WHERE active = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
const OF_NAME: &str = "SELECT * FROM job_definition WHERE name = ?3
    AND revision > coalesce((SELECT revision FROM job_definition WHERE id = ?1), 0) ORDER BY revision LIMIT ?2";
const OF_NAME_IN_STATE: &str = "SELECT * FROM job_definition WHERE name = ?3 AND active = ?4
    AND revision > coalesce((SELECT revision FROM job_definition WHERE id = ?1), 0) ORDER BY revision LIMIT ?2";
const LATEST: &str =
    "SELECT * FROM job_definition WHERE name = ?1 AND active = 1 ORDER BY revision DESC LIMIT 1";

impl Reader {
    /// One revision of a definition.
    pub fn job_definition(&self, name: &str, revision: u32) -> Result<Option<JobDefinition>, StoreError> {
        let sql = "SELECT * FROM job_definition WHERE name = ?1 AND revision = ?2";
        Ok(self.rows(sql, params![name, revision], definition)?.pop())
    }

    /// The newest ACTIVE revision of a name.
    pub fn latest_job_definition(&self, name: &str) -> Result<Option<JobDefinition>, StoreError> {
        Ok(self.rows(LATEST, [name], definition)?.pop())
    }

    /// One page of definitions.
    pub fn job_definitions(&self, query: &DefinitionQuery) -> Result<Vec<JobDefinition>, StoreError> {
        let (after, limit) = (query.after, query.limit);
        match (&query.name, query.active) {
            (None, None) => self.rows(ALL, params![after, limit], definition),
            (None, Some(active)) => self.rows(IN_STATE, params![after, limit, active], definition),
            (Some(name), None) => self.rows(OF_NAME, params![after, limit, name], definition),
            (Some(name), Some(active)) => {
                self.rows(OF_NAME_IN_STATE, params![after, limit, name, active], definition)
            }
        }
    }
}

fn definition(row: &Row<'_>) -> Result<JobDefinition, StoreError> {
    Ok(JobDefinition {
        id: DefinitionId(row.get("id")?),
        name: row.get("name")?,
        revision: row.get("revision")?,
        active: row.get("active")?,
        created_ms: row.get("created_ms")?,
        deregistered_ms: row.get("deregistered_ms")?,
        body: row.get("body")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use rusqlite::Connection;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        for (id, name, revision, active) in
            [(1, "a", 1, 0), (2, "b", 1, 1), (3, "a", 2, 1), (4, "a", 3, 1), (5, "a", 4, 0)]
        {
            let sql = "INSERT INTO job_definition VALUES (?1, ?2, ?3, ?4, 0, NULL, '{}')";
            connection.execute(sql, params![id, name, revision, active]).unwrap();
        }
        connection
    }

    #[test]
    fn pages_go_on_where_they_ended() {
        let reader = Reader::new(database());
        let pages = |name: Option<&str>, active| {
            let mut query = DefinitionQuery { name: name.map(Into::into), active, after: 0, limit: 2 };
            let mut ids = Vec::new();
            loop {
                let page = reader.job_definitions(&query).unwrap();
                let Some(last) = page.last() else { return ids };
                query.after = last.id.0;
                ids.extend(page.iter().map(|d| d.id.0));
            }
        };
        assert_eq!(pages(None, None), [1, 2, 3, 4, 5]);
        assert_eq!(pages(None, Some(true)), [2, 3, 4]);
        assert_eq!(pages(Some("a"), None), [1, 3, 4, 5]);
        assert_eq!(pages(Some("a"), Some(true)), [3, 4]);
        assert_eq!(pages(Some("a"), Some(false)), [1, 5]);
        assert_eq!(reader.latest_job_definition("a").unwrap().unwrap().revision, 3);
    }

    /// Thousands of deregistered revisions cost nothing, and nothing is sorted.
    #[test]
    fn each_query_is_one_search() {
        let connection = database();
        let table = [
            (ALL, "PRIMARY KEY (rowid>?)"),
            (IN_STATE, "job_definition_by_state (active=? AND rowid>?)"),
            (OF_NAME, "job_definition_by_name (name=? AND revision>?)"),
            (OF_NAME_IN_STATE, "job_definition_by_name_and_state (name=? AND active=? AND revision>?)"),
            (LATEST, "job_definition_by_name_and_state (name=? AND active=?)"),
        ];
        for (sql, index) in table {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let empty = vec![0i64; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(empty), |row| row.get::<_, String>(3));
            let plan: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
            assert!(plan[0].ends_with(index), "{sql}: {plan:?}");
            assert!(
                plan.iter().all(|s| !s.starts_with("SCAN job") && !s.contains("TEMP")),
                "{sql}: {plan:?}"
            );
        }
    }
}
