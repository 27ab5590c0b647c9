//! Everything a command prints: one place that knows terminal, colour, width and the output formats.
//!
//! Results go to standard output, all else to standard error; a listing is described once (columns for people, fields
//! for programs) and printed in whatever format was asked for. Never here: which jobs are shown.

use super::error::CliError;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// Version of the JSON that listings print; raised only when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// Columns of a terminal that does not tell (a serial line says 0).
const PLAIN_WIDTH: u16 = 80;

/// `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; fits the terminal.
    Table,
    /// For people; full ids and more columns.
    Wide,
    /// One document with a schemaVersion.
    Json,
    /// An object a line.
    Jsonl,
    /// Comma separated, with a header line.
    Csv,
    /// Ids only, one a line.
    Id,
}

impl Format {
    /// Every form, for what is a listing.
    pub const ALL: &'static [Self] = &[Self::Table, Self::Wide, Self::Json, Self::Jsonl, Self::Csv, Self::Id];
}

/// How a cell looks on a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    #[default]
    Plain,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Goes on.
    Busy,
    /// Less important.
    Dim,
}

/// A cell for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Text; control characters are shown as `?`.
    pub text: String,
    /// Colour.
    pub look: Look,
}

impl Cell {
    /// A cell with a look.
    pub fn new(text: impl Into<String>, look: Look) -> Self {
        let clean = |c: char| if c.is_control() { '?' } else { c };
        Self { text: text.into().chars().map(clean).collect(), look }
    }
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self::new(text, Look::Plain)
    }
}

/// Makes a row's cell; the flag says whether `wide` was asked for.
pub type MakeCell<T> = fn(&T, bool) -> Cell;

/// A column of a table.
pub struct Column<T> {
    /// Header.
    pub head: &'static str,
    /// Shown with `-o wide` only.
    pub wide: bool,
    /// May be cut when the terminal is narrow. Ids never are.
    pub may_cut: bool,
    /// Numbers are set to the right.
    pub right: bool,
    /// The cell of a row.
    pub cell: MakeCell<T>,
}

impl<T> Column<T> {
    /// A column that is always shown whole.
    pub const fn new(head: &'static str, cell: MakeCell<T>) -> Self {
        Self { head, wide: false, may_cut: false, right: false, cell }
    }

    /// Only with `-o wide`.
    #[must_use]
    pub const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// Gives way on a narrow terminal.
    #[must_use]
    pub const fn cut(mut self) -> Self {
        self.may_cut = true;
        self
    }

    /// Set to the right.
    #[must_use]
    pub const fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// What can be listed.
pub trait Listed: Serialize + Sized {
    /// Key of the list in the JSON document.
    const KEY: &'static str;
    /// Fields of a row's JSON in the order of the CSV columns.
    const FIELDS: &'static [&'static str];
    /// Columns for people.
    fn columns() -> Vec<Column<Self>>;
    /// What `-o id` prints.
    fn key(&self) -> &str;
}

/// Where a command prints to.
pub struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// What was asked for; absent when nothing was.
    pub format: Option<Format>,
    /// Colours on standard output.
    pub color: bool,
    /// Columns of the terminal on standard output; absent when it is none.
    pub width: Option<u16>,
    /// Progress may be shown on standard error.
    pub progress: bool,
    progress_shown: bool,
}

impl Console {
    /// The process's own standard output and error.
    pub fn standard(format: Option<Format>, no_color: bool) -> Self {
        let tty = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let size = tty.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten();
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|w| *w > 0);
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            format,
            color: tty && !no_color && !dumb && !set("NO_COLOR"),
            width: tty.then(|| size.map(|s| s.ws_col).filter(|w| *w > 0).or(columns).unwrap_or(PLAIN_WIDTH)),
            progress: io::stderr().is_terminal() && !dumb,
            progress_shown: false,
        }
    }

    /// Prints to the given writers, as to files.
    #[cfg(test)]
    pub fn to_writers(out: Box<dyn Write>, err: Box<dyn Write>, format: Option<Format>) -> Self {
        Self { out, err, format, color: false, width: None, progress: false, progress_shown: false }
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
        self.print(&format!("{}\n", text.as_ref()))
    }

    /// A line on standard error. What cannot be written there is let go.
    pub fn note(&mut self, text: impl AsRef<str>) {
        self.clear_progress();
        let _ = writeln!(self.err, "{}", text.as_ref());
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

    /// Takes the changing line away.
    pub fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
        }
    }

    /// Prints a JSON document, indented.
    pub fn json(&mut self, value: &Value) -> Result<(), CliError> {
        self.line(format!("{value:#}"))
    }

    /// Prints a listing in the format asked for.
    pub fn list<T: Listed>(&mut self, rows: &[T]) -> Result<(), CliError> {
        let text = match self.format() {
            format @ (Format::Table | Format::Wide) => self.table(rows, format == Format::Wide),
            Format::Json => {
                let rows = rows.iter().map(to_json).collect::<Vec<_>>();
                format!("{:#}\n", json!({ "schemaVersion": SCHEMA_VERSION, T::KEY: rows }))
            }
            Format::Jsonl => rows.iter().map(|r| format!("{}\n", to_json(r))).collect(),
            Format::Csv => csv(rows),
            Format::Id => rows.iter().map(|r| format!("{}\n", r.key())).collect(),
        };
        self.print(&text)
    }

    /// A table for people: one line a row, cut only in columns that may be cut.
    pub fn table<T: Listed>(&self, rows: &[T], wide: bool) -> String {
        let columns: Vec<_> = T::columns().into_iter().filter(|c| wide || !c.wide).collect();
        let cells: Vec<Vec<Cell>> =
            rows.iter().map(|row| columns.iter().map(|c| (c.cell)(row, wide)).collect()).collect();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(columns.iter().map(|c| styled(&Cell::new(c.head, Look::Dim), c.right, self.color)));
        for row in &cells {
            let cells = row.iter().zip(&columns).map(|(cell, c)| styled(cell, c.right, self.color));
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
        for (column, spec) in table.column_iter_mut().zip(&columns) {
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

fn to_json<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}

fn csv<T: Listed>(rows: &[T]) -> String {
    let mut text = T::FIELDS.join(",");
    text.push('\n');
    for row in rows {
        let value = to_json(row);
        let fields: Vec<String> = T::FIELDS
            .iter()
            .map(|f| match value.get(f) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(s)) => quoted(s),
                Some(other) => quoted(&other.to_string()),
            })
            .collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A CSV field, quoted when it has to be (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Captured;
    use super::*;

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
