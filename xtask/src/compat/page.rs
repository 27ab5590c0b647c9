//! A page about compatibility as its tables say it: rows of operations, or of members of the structures that the
//! heading above names in backticks. Never here: whether it is true.

/// One file.
pub struct Page {
    pub name: String,
    pub tables: Vec<Table>,
}

/// A table of operations, or of members.
pub struct Table {
    /// The structures of the heading; none for a table of operations.
    pub shapes: Option<Vec<String>>,
    pub rows: Vec<Row>,
}

/// `| name | state | note | shown by |`
pub struct Row {
    /// From 1.
    pub line: usize,
    pub name: String,
    /// None for a word that is no state.
    pub state: Option<State>,
    pub note: String,
    /// As `test_file.py::test_name`.
    pub tests: Vec<String>,
}

/// How far something works; docs/compatibility.md says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Works,
    Partly,
    Kept,
    Refused,
    Absent,
}

impl State {
    pub const NAMES: [&str; 5] = ["works", "partly", "kept", "refused", "absent"];

    fn from_name(name: &str) -> Option<Self> {
        const ALL: [State; 5] = [State::Works, State::Partly, State::Kept, State::Refused, State::Absent];
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        Some(ALL[index])
    }
}

impl Page {
    /// Reads the tables whose first column is called Operation or Member; others are none of ours.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        let mut heading: Vec<String> = Vec::new();
        // Whether the lines now are rows of the newest table.
        let mut inside = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('#') {
                heading = quoted(line);
            }
            let Some(cells) = cells(line) else {
                inside = false;
                continue;
            };
            match cells[0] {
                "Operation" | "Member" => {
                    inside = true;
                    let shapes = (cells[0] == "Member").then(|| heading.clone());
                    tables.push(Table { shapes, rows: Vec::new() });
                }
                first if inside && !first.starts_with('-') => {
                    tables.iter_mut().last().into_iter().for_each(|t| t.rows.push(row(index + 1, &cells)));
                }
                _ => {}
            }
        }
        Self { name: name.to_owned(), tables }
    }
}

fn row(line: usize, cells: &[&str]) -> Row {
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    Row {
        line,
        name: cell(0).trim_matches('`').to_owned(),
        state: State::from_name(cell(1)),
        note: cell(2).to_owned(),
        tests: quoted(cell(3)),
    }
}

/// The cells of a table's line.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?;
    Some(inner.strip_suffix('|').unwrap_or(inner).split('|').map(str::trim).collect())
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names of the tests in a Python file.
pub fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let definition = |line: &'_ str| -> Option<(usize, usize)> {
        let rest = line.trim_start().strip_prefix("def ").filter(|rest| rest.starts_with("test_"))?;
        Some((line.len() - rest.len(), rest.find('(')?))
    };
    text.lines().filter_map(move |line| {
        let (at, len) = definition(line)?;
        line.get(at..at + len)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_operations_and_members_are_read_and_others_are_not() {
        let text = "# A `b`\n| Thing | State |\n|---|---|\n| `x` | works |\n\n## Put: `A`, `B`\ntext `C`\n\n\
            | Member | State | Note | Shown by |\n|---|---|---|---|\n| `m` | works | n | `t.py::a`, `t.py::b` |\n";
        let page = Page::parse("p.md", text);
        let [table] = page.tables.as_slice() else { panic!("one table") };
        assert_eq!(table.shapes.as_deref(), Some(["A".to_string(), "B".to_string()].as_slice()));
        let [row] = table.rows.as_slice() else { panic!("one row") };
        assert_eq!((row.line, row.name.as_str(), row.note.as_str()), (11, "m", "n"));
        assert_eq!(row.state, Some(State::Works));
        assert_eq!(row.tests, ["t.py::a", "t.py::b"]);
    }

    #[test]
    fn tests_are_found_by_their_definitions() {
        let text = "def test_a(server):\n    def test_b():\ndef help_test_c():\n# def test_d():\ntest_e(1)\n";
        assert_eq!(tests_of(text).collect::<Vec<_>>(), ["test_a", "test_b"]);
    }
}
