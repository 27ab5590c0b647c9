//! The rule for docs/compatibility.md: a table row for every operation of Batch.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// The names of all operations in a reduced service model.
pub fn operations(model: &str) -> Result<Vec<String>> {
    let model: Value = serde_json::from_str(model).context("data/batch.json is not JSON")?;
    let operations = model["operations"].as_object().context("data/batch.json has no operations")?;
    Ok(operations.keys().cloned().collect())
}

/// What breaks the rule in the page: the operations that no row starts with.
pub fn check(name: &str, text: &str, operations: &[String]) -> Vec<Finding> {
    let firsts: Vec<&str> = text.lines().filter_map(first_cell).collect();
    let missing = operations.iter().filter(|operation| !firsts.contains(&operation.as_str()));
    let rule = |operation: &String| format!("no row starts with the operation {operation}");
    missing.map(|operation| Finding { file: name.to_owned(), line: 1, rule: rule(operation) }).collect()
}

/// The first cell of a table row, without the marks of code.
fn first_cell(line: &str) -> Option<&str> {
    let cell = line.trim().strip_prefix('|')?.split('|').next()?;
    Some(cell.trim().trim_matches('`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_needs_a_row() {
        let names = operations(r#"{"operations": {"A": {}, "B": {}, "C": {}}}"#).unwrap();
        let found =
            check("x.md", "# A\n\n| Operation | State |\n|---|---|\n| `B` | done |\n| C | no |\nA\n", &names);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["x.md:1: no row starts with the operation A"]
        );
    }
}
