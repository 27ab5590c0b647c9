//! Everything a command prints: one place that knows terminal, colour, width and the output formats.
//!
//! Results go to standard output, all else to standard error; a listing is described once (columns for people, fields
//! for programs) and printed in whatever format was asked for. Never here: which jobs are shown, the forms for programs
//! (forms.rs).

pub use super::columns::{Cell, Column, Listed, Look, SCHEMA_VERSION};
use super::columns::{field_of, named, to_json, unsafe_to_show, whole};
use super::error::CliError;
use super::forms::{self, Grid};
pub use super::forms::{Format, Shape};
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// Columns of a terminal that does not tell (a serial line says 0).
const PLAIN_WIDTH: u16 = 80;

/// Where a command prints to.
pub struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// What was asked for; absent when nothing was.
    pub format: Option<Format>,
    /// `--query` and `--columns`.
    pub shape: Shape,
    /// Colours on standard output.
    pub color: bool,
    /// Columns of the terminal on standard output; absent when it is none.
    pub width: Option<u16>,
    /// Progress may be shown on standard error.
    pub progress: bool,
    /// A person may be asked.
    asks: bool,
    progress_shown: bool,
}

/// Lines of text without orders to the terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && unsafe_to_show(c) { '?' } else { c }).collect()
}

impl Console {
    /// The process's own standard output and error.
    pub fn standard(format: Option<Format>, shape: Shape, no_color: bool) -> Self {
        let tty = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let size = tty.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten();
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|w| *w > 0);
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            format,
            shape,
            color: tty && !no_color && !dumb && !set("NO_COLOR"),
            width: tty.then(|| size.map(|s| s.ws_col).filter(|w| *w > 0).or(columns).unwrap_or(PLAIN_WIDTH)),
            progress: io::stderr().is_terminal() && !dumb,
            asks: io::stderr().is_terminal(),
            progress_shown: false,
        }
    }

    /// Prints to the given writers, as to files.
    #[cfg(test)]
    pub fn to_writers(out: Box<dyn Write>, err: Box<dyn Write>, format: Option<Format>) -> Self {
        let shape = Shape::default();
        Self {
            out,
            err,
            format,
            shape,
            color: false,
            width: None,
            progress: false,
            asks: false,
            progress_shown: false,
        }
    }

    /// The format, with `table` when none was asked for.
    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::Table)
    }

    /// Writes text as it is and flushes. Errors: [`CliError::Pipe`] when nobody reads.
    pub fn print(&mut self, text: &str) -> Result<(), CliError> {
        self.clear_progress();
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// Writes a line.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        self.print(&format!("{}\n", shown(text.as_ref())))
    }

    /// A line on standard error. What cannot be written there is let go.
    pub fn note(&mut self, text: impl AsRef<str>) {
        self.clear_progress();
        let _ = writeln!(self.err, "{}", shown(text.as_ref()));
    }

    /// Replaces the one changing line on standard error; nothing when that is no terminal.
    pub fn progress(&mut self, text: &str) {
        if self.progress {
            let known = rustix::termios::tcgetwinsize(io::stderr()).ok().map(|s| s.ws_col);
            let width = known.filter(|w| *w > 0).unwrap_or(PLAIN_WIDTH).max(20);
            let text: String = text.chars().take(usize::from(width) - 1).collect();
            let _ = write!(self.err, "\r\x1b[K{text}");
            let _ = self.err.flush();
            self.progress_shown = true;
        }
    }

    /// Asks a question that is answered with yes or no; nothing when there is no terminal to ask on. Only `y` and `yes`
    /// are a yes.
    pub fn confirm(&mut self, question: &str) -> Option<bool> {
        if !(self.asks && io::stdin().is_terminal()) {
            return None;
        }
        self.prompt(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        Some(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Writes a question after which the answer is typed.
    pub fn prompt(&mut self, question: &str) {
        self.clear_progress();
        let _ = write!(self.err, "{question}");
        let _ = self.err.flush();
    }

    /// Takes the changing line away.
    pub fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
        }
    }

    /// A document for a program was asked for, not a text for people.
    pub fn wants_document(&self) -> bool {
        self.shape.has_query() || !matches!(self.format, None | Some(Format::Table | Format::Wide))
    }

    /// Prints a document: as JSON where no form was asked for, and what `--query` makes of it where there is one.
    pub fn document(&mut self, value: Value) -> Result<(), CliError> {
        let value = self.shape.ask(value)?;
        let text = match self.format.unwrap_or(Format::Json) {
            Format::Table | Format::Wide => self.grid(&forms::grid(&value)),
            format => forms::text(&value, format)?,
        };
        self.print(&text)
    }

    /// Prints a listing in the format asked for.
    pub fn list<T: Listed>(&mut self, rows: &[T]) -> Result<(), CliError> {
        if self.shape.has_query() {
            return self.document(whole::<T>(rows.iter().map(to_json).collect()));
        }
        let text = match self.format() {
            format @ (Format::Table | Format::Wide) => self.table(rows, format == Format::Wide),
            Format::Id => rows.iter().map(|r| format!("{}\n", r.key())).collect(),
            Format::Csv => forms::csv(&Grid {
                head: Some(match self.shape.columns() {
                    [] => T::FIELDS.iter().map(ToString::to_string).collect(),
                    names => names.iter().map(|n| field_of::<T>(n)).collect(),
                }),
                rows: rows.iter().map(|row| self.csv_row(row)).map(|row| self.for_terminal(row)).collect(),
            }),
            format => {
                let rows: Vec<Value> = rows.iter().map(|row| self.picked(row)).collect();
                let value = if format == Format::Jsonl { rows.into() } else { whole::<T>(rows) };
                forms::text(&value, format)?
            }
        };
        self.print(&text)
    }

    /// A program gets values as they are, a terminal no orders.
    fn for_terminal(&self, row: Vec<String>) -> Vec<String> {
        if self.width.is_none() {
            return row;
        }
        row.iter().map(|word| shown(word)).collect()
    }

    fn csv_row<T: Listed>(&self, row: &T) -> Vec<String> {
        let value = to_json(row);
        match self.shape.columns() {
            [] => T::FIELDS.iter().map(|f| forms::word(value.get(f))).collect(),
            names => names.iter().map(|n| forms::word(Some(&named(row, &value, n)))).collect(),
        }
    }

    /// A row's JSON, with `--columns` no more than those.
    fn picked<T: Listed>(&self, row: &T) -> Value {
        let value = to_json(row);
        match self.shape.columns() {
            [] => value,
            names => names.iter().map(|n| (field_of::<T>(n), named(row, &value, n))).collect(),
        }
    }

    /// A table for people: one line a row, cut only in columns that may be cut.
    pub fn table<T: Listed>(&self, rows: &[T], wide: bool) -> String {
        if !self.shape.columns().is_empty() {
            return self.chosen(rows, wide);
        }
        let columns: Vec<_> = T::columns().into_iter().filter(|c| wide || !c.wide).collect();
        let cells =
            rows.iter().map(|row| columns.iter().map(|c| (c.cell)(row, wide)).collect()).collect::<Vec<_>>();
        let specs: Vec<Spec> = columns.iter().map(Spec::from).collect();
        self.draw(&specs, &cells)
    }

    /// The columns of `--columns`: those for people where there are such, else the field as it is.
    fn chosen<T: Listed>(&self, rows: &[T], wide: bool) -> String {
        let known = T::columns();
        let columns: Vec<(&String, Option<&Column<T>>)> =
            self.shape.columns().iter().map(|n| (n, known.iter().find(|c| c.is(n)))).collect();
        let spec = |(name, column): &(&String, Option<&Column<T>>)| match column {
            Some(column) => Spec::from(*column),
            None => Spec { head: name.to_uppercase(), right: false, may_cut: true },
        };
        let cell = |row: &T, value: &Value, (name, column): &(&String, Option<&Column<T>>)| match column {
            Some(column) => (column.cell)(row, wide),
            None => Cell::from(forms::word(Some(&named(row, value, name)))),
        };
        let cells: Vec<Vec<Cell>> = rows
            .iter()
            .map(|row| (row, to_json(row)))
            .map(|(row, value)| columns.iter().map(|c| cell(row, &value, c)).collect())
            .collect();
        self.draw(&columns.iter().map(spec).collect::<Vec<_>>(), &cells)
    }

    /// Rows of words as a table.
    fn grid(&self, grid: &Grid) -> String {
        let width = grid.rows.iter().map(Vec::len).max().unwrap_or(0);
        let head = |i: usize| grid.head.as_ref().and_then(|h| h.get(i)).map(|h| h.to_uppercase());
        let specs: Vec<Spec> = (0..width)
            .map(|i| Spec { head: head(i).unwrap_or_default(), right: false, may_cut: false })
            .collect();
        let cells: Vec<Vec<Cell>> =
            grid.rows.iter().map(|row| row.iter().map(|c| Cell::from(c.as_str())).collect()).collect();
        self.draw(&specs, &cells)
    }

    fn draw(&self, columns: &[Spec], rows: &[Vec<Cell>]) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        if columns.iter().any(|c| !c.head.is_empty()) {
            let head = |c: &Spec| styled(&Cell::new(c.head.as_str(), Look::Dim), c.right, self.color);
            table.set_header(columns.iter().map(head));
        }
        for row in rows {
            let cells = row.iter().zip(columns).map(|(cell, c)| styled(cell, c.right, self.color));
            let mut line = comfy_table::Row::from(cells);
            line.max_height(1);
            table.add_row(line);
        }
        match self.width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        for (column, spec) in table.column_iter_mut().zip(columns) {
            column.set_padding((0, 2));
            column.set_constraint(if spec.may_cut {
                let head = u16::try_from(spec.head.len()).unwrap_or(u16::MAX);
                ColumnConstraint::LowerBoundary(Width::Fixed(head.saturating_add(2)))
            } else {
                ColumnConstraint::ContentWidth
            });
        }
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.lines().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    }
}

fn styled(cell: &Cell, right: bool, color: bool) -> comfy_table::Cell {
    let mut out = comfy_table::Cell::new(&cell.text);
    if right {
        out = out.set_alignment(CellAlignment::Right);
    }
    match cell.look {
        _ if !color => out,
        Look::Plain => out,
        Look::Good => out.fg(Color::Green),
        Look::Bad => out.fg(Color::Red),
        Look::Busy => out.fg(Color::Cyan),
        Look::Dim => out.add_attribute(Attribute::Dim),
    }
}

/// What drawing needs to know of a column.
struct Spec {
    head: String,
    right: bool,
    may_cut: bool,
}

impl<T> From<&Column<T>> for Spec {
    fn from(column: &Column<T>) -> Self {
        Self { head: column.head.to_string(), right: column.right, may_cut: column.may_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Captured;
    use super::*;
    use serde::Serialize;
    use serde_json::json;

    #[derive(Serialize)]
    struct Thing {
        id: &'static str,
        note: Option<&'static str>,
    }

    impl Listed for Thing {
        const KEY: &'static str = "things";
        const FIELDS: &'static [&'static str] = &["id", "note"];
        fn columns() -> Vec<Column<Self>> {
            vec![
                Column::new("ID", |t: &Self, _| t.id.into()),
                Column::new("NOTE", |t: &Self, _| t.note.unwrap_or("-").into()).cut(),
            ]
        }
        fn key(&self) -> &str {
            self.id
        }
    }

    const THINGS: [Thing; 2] = [
        Thing { id: "0123456789abcdef0123456789abcdef", note: Some("says \"a, b\"") },
        Thing { id: "b", note: None },
    ];

    fn listed(format: Format, width: Option<u16>) -> String {
        let captured = Captured::new(Some(format));
        let mut console = captured.console();
        console.width = width;
        console.list(&THINGS).unwrap();
        captured.out()
    }

    #[test]
    fn programs_get_stable_forms() {
        assert_eq!(listed(Format::Id, None), "0123456789abcdef0123456789abcdef\nb\n");
        assert_eq!(
            listed(Format::Csv, None),
            "id,note\n0123456789abcdef0123456789abcdef,\"says \"\"a, b\"\"\"\nb,\n"
        );
        let document: Value = serde_json::from_str(&listed(Format::Json, None)).unwrap();
        assert_eq!(document["schemaVersion"], 1);
        assert_eq!(document["things"][1], json!({"id": "b", "note": null}));
        assert_eq!(listed(Format::Jsonl, None).lines().count(), 2);
    }

    #[test]
    fn a_narrow_terminal_cuts_notes_but_never_ids() {
        let text = listed(Format::Table, Some(44));
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains(THINGS[0].id), "{text}");
        assert!(!text.contains("a, b"), "{text}");
        assert!(listed(Format::Table, None).contains("says \"a, b\""));
    }

    #[test]
    fn a_row_cannot_drive_the_terminal() {
        assert_eq!(Cell::from("a\x1b[2Jb\nc").text, "a?[2Jb?c");
    }
}
