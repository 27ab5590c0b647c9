//! The pages about compatibility against the service models: a row for every operation, and for every member of what a
//! working operation takes or gives; known states; a test behind each "works".
//!
//! Whether those tests ran and passed is for tests/support/compatibility.py. Never here: what works.

mod model;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use crate::tidy::Finding;
use model::Model;
use page::{Page, Row, State};

/// The page that comes first; the others lie in the folder of the same name.
const ENTRY: &str = "docs/compatibility.md";
const FOLDER: &str = "docs/compatibility";
const MODELS: [&str; 3] = ["batch", "logs", "sts"];

/// What is wrong with the pages.
///
/// # Errors
/// A file that cannot be read, a model that is none.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let (pages, model, tests) = read(root)?;
    let (mut found, known) = known(&pages, &model, &tests);
    for (shape, member) in missing(&known, &model) {
        found.push(finding(ENTRY, 1, format!("no row for {shape}{member} (cargo xtask compat prints it)")));
    }
    Ok(found)
}

/// Prints the rows that are missing, ready to be pasted and judged.
///
/// # Errors
/// As `check`.
pub fn print_missing(root: &Path) -> Result<()> {
    let (pages, model, tests) = read(root)?;
    let (_, known) = known(&pages, &model, &tests);
    let mut last = "";
    let missing = missing(&known, &model);
    for (shape, member) in &missing {
        match member.strip_prefix('.') {
            Some(member) => {
                if last != *shape {
                    println!("\n### `{shape}`\n\n| Member | State | Note | Shown by |\n|---|---|---|---|");
                }
                println!("| `{member}` |  |  |  |");
            }
            None => println!("| `{shape}` |  |  |  |"),
        }
        last = shape;
    }
    println!("\n{} rows are missing", missing.len());
    Ok(())
}

/// The state that each operation, and each member of a shape, has on the pages. The member of an operation is empty.
type Known<'a> = BTreeMap<(&'a str, &'a str), Option<State>>;

/// The rows that should be there: an operation with an empty member, or a shape with `.member`.
///
/// What only a refused operation, or a refused or absent member, leads to needs no rows.
fn missing<'m>(known: &Known<'_>, model: &'m Model) -> Vec<(&'m str, String)> {
    let mut missing = Vec::new();
    let mut todo: Vec<&str> = Vec::new();
    for (operation, shapes) in &model.operations {
        match known.get(&(operation.as_str(), "")) {
            None => missing.push((operation.as_str(), String::new())),
            Some(Some(State::Refused)) => {}
            Some(_) => todo.extend(shapes.iter().map(String::as_str)),
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(shape) = todo.pop() {
        if !seen.insert(shape) {
            continue;
        }
        for (member, behind) in model.shapes.get(shape).into_iter().flatten() {
            match known.get(&(shape, member.as_str())) {
                None => missing.push((shape, format!(".{member}"))),
                Some(Some(State::Refused | State::Absent)) => {}
                Some(_) => todo.extend(behind.as_deref()),
            }
        }
    }
    missing.sort();
    missing
}

/// What the pages say, and what is wrong with the rows that are there.
fn known<'p>(pages: &'p [Page], model: &Model, tests: &BTreeSet<String>) -> (Vec<Finding>, Known<'p>) {
    let (mut found, mut known) = (Vec::new(), Known::new());
    for page in pages {
        for table in &page.tables {
            for row in &table.rows {
                let mut say = |rule: String| found.push(finding(&page.name, row.line, rule));
                row_faults(row, tests).into_iter().for_each(&mut say);
                let keys = keys(model, &table.shapes, row);
                if keys.is_empty() {
                    say(format!("`{}` is not in the models under this heading", row.name));
                }
                for key in keys {
                    if known.insert(key, row.state).is_some() {
                        let dot = if key.1.is_empty() { "" } else { "." };
                        say(format!("a second row for {}{dot}{}", key.0, key.1));
                    }
                }
            }
        }
    }
    (found, known)
}

/// What a row is about: an operation, or the member in each of the heading's shapes that has it.
fn keys<'p>(model: &Model, shapes: &'p Option<Vec<String>>, row: &'p Row) -> Vec<(&'p str, &'p str)> {
    let Some(shapes) = shapes else {
        let known = model.operations.contains_key(&row.name);
        return known.then_some((row.name.as_str(), "")).into_iter().collect();
    };
    let has =
        |shape: &&String| model.shapes.get(*shape).is_some_and(|members| members.contains_key(&row.name));
    shapes.iter().filter(has).map(|shape| (shape.as_str(), row.name.as_str())).collect()
}

/// What is wrong with a row by itself.
fn row_faults(row: &Row, tests: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if row.state.is_none() {
        faults.push(format!("the state of `{}` is none of {}", row.name, State::NAMES.join(", ")));
    }
    if row.state == Some(State::Works) && row.tests.is_empty() {
        faults.push(format!("`{}` works, and no test shows it", row.name));
    }
    if row.state == Some(State::Partly) && row.note.is_empty() {
        faults.push(format!("`{}` works partly, and no note says how far", row.name));
    }
    let nowhere = row.tests.iter().filter(|test| !tests.contains(*test));
    faults.extend(nowhere.map(|test| format!("the test {test} of `{}` does not exist", row.name)));
    faults
}

fn finding(file: &str, line: usize, rule: String) -> Finding {
    Finding { file: file.to_owned(), line, rule }
}

fn read(root: &Path) -> Result<(Vec<Page>, Model, BTreeSet<String>)> {
    let text = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut pages = vec![Page::parse(ENTRY, &text(&root.join(ENTRY))?)];
    for path in files(&root.join(FOLDER), ".md")? {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        pages.push(Page::parse(&name, &text(&path)?));
    }
    let model = |name| Ok((name, text(&root.join(format!("data/{name}.json")))?));
    let models = MODELS.into_iter().map(model).collect::<Result<Vec<_>>>()?;
    let mut tests = BTreeSet::new();
    for path in files(&root.join("tests"), ".py")? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        tests.extend(page::tests_of(&text(&path)?).map(|test| format!("{file}::{test}")));
    }
    Ok((pages, Model::parse(&models)?, tests))
}

/// The files of a folder whose names end so, in order.
fn files(folder: &Path, end: &str) -> Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{
        "operations": {"Put": {"input": {"shape": "PutRequest"}, "output": {"shape": "PutResponse"}}, "Drop": {
            "input": {"shape": "DropRequest"}}},
        "shapes": {
            "PutRequest": {"type": "structure", "members": {"name": {"shape": "Text"}, "box": {"shape": "Boxes"}}},
            "PutResponse": {"type": "structure", "members": {"name": {"shape": "Text"}}},
            "DropRequest": {"type": "structure", "members": {"name": {"shape": "Text"}}},
            "Boxes": {"type": "list", "member": {"shape": "Box"}},
            "Box": {"type": "structure", "members": {"side": {"shape": "Text"}, "inner": {"shape": "Box"}}},
            "Text": {"type": "string"}
        }
    }"#;

    fn faults(page: &str) -> Vec<String> {
        let model = Model::parse(&[("a", MODEL.to_string())]).unwrap();
        let pages = [Page::parse("p.md", page)];
        let tests = BTreeSet::from(["test_a.py::test_b".to_string()]);
        let (found, known) = known(&pages, &model, &tests);
        let lines = found.iter().map(|f| format!("{}: {}", f.line, f.rule));
        lines.chain(missing(&known, &model).iter().map(|(s, m)| format!("missing {s}{m}"))).collect()
    }

    const OPERATIONS: &str = "| Operation | State | Note | Shown by |\n|---|---|---|---|\n\
        | `Put` | works | | `test_a.py::test_b` |\n| `Drop` | refused | | |\n\n";
    const PUT: &str = "### Put: `PutRequest`, `PutResponse`\n\n| Member | State | Note | Shown by |\n|---|---|---|---|\n\
        | `name` | works | a name | `test_a.py::test_b` |\n";

    #[test]
    fn every_operation_and_every_member_that_is_reached_needs_a_row() {
        assert_eq!(faults(""), ["missing Drop", "missing Put"]);
        assert_eq!(
            faults(OPERATIONS),
            ["missing PutRequest.box", "missing PutRequest.name", "missing PutResponse.name"]
        );
        let whole = format!("{OPERATIONS}{PUT}| `box` | kept | a note | |\n");
        assert_eq!(faults(&whole), ["missing Box.inner", "missing Box.side"]);
        // What a refused or absent member holds needs none.
        for state in ["refused", "absent"] {
            assert!(faults(&format!("{OPERATIONS}{PUT}| `box` | {state} | | |\n")).is_empty());
        }
    }

    #[test]
    fn a_name_of_two_services_is_told_apart() {
        let model = Model::parse(&[("a", MODEL.to_string()), ("b", MODEL.to_string())]).unwrap();
        assert_eq!(model.operations["b:Put"], ["b:PutRequest", "b:PutResponse"]);
        assert_eq!(model.shapes["b:PutRequest"]["box"].as_deref(), Some("b:Box"));
        assert_eq!(model.operations["Put"], ["PutRequest", "PutResponse"]);
    }

    #[test]
    fn a_row_is_about_something_has_a_state_and_a_test_that_exists() {
        let with = |row: &str| faults(&format!("{OPERATIONS}{PUT}| `box` | refused | | |\n{row}\n"));
        assert_eq!(with("| `lid` | refused | | |"), ["12: `lid` is not in the models under this heading"]);
        assert_eq!(
            with("| `name` | refused | | |"),
            ["12: a second row for PutRequest.name", "12: a second row for PutResponse.name"]
        );
        let name = |state: &str| faults(&format!("{OPERATIONS}{PUT}| `box` | {state} |\n"))[0].clone();
        assert_eq!(
            name("done | | "),
            "11: the state of `box` is none of works, partly, kept, refused, absent"
        );
        assert_eq!(name("works | | "), "11: `box` works, and no test shows it");
        assert_eq!(
            name("works | | `test_a.py::test_c`"),
            "11: the test test_a.py::test_c of `box` does not exist"
        );
        assert_eq!(name("partly | | "), "11: `box` works partly, and no note says how far");
    }
}
