//! What a listing is made of: cells and columns for people, fields for programs, and the names of both.
//!
//! Never here: printing (output.rs).

use serde::Serialize;
use serde_json::{Value, json};

/// Version of the JSON that listings print; raised only when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

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

/// Whether a terminal would take the character for an order: control characters, and those that turn the direction of what
/// follows.
pub fn unsafe_to_show(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        let clean = |c: char| if unsafe_to_show(c) { '?' } else { c };
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
    /// The field of the row's JSON that this shows, where that is not the header in small letters.
    pub field: Option<&'static str>,
    /// The cell of a row.
    pub cell: MakeCell<T>,
}

impl<T> Column<T> {
    /// A column that is always shown whole.
    pub const fn new(head: &'static str, cell: MakeCell<T>) -> Self {
        Self { head, wide: false, may_cut: false, right: false, field: None, cell }
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

    /// Shows this field of the row's JSON.
    #[must_use]
    pub const fn of(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Whether `--columns NAME` means this column: its header or its field, in letters of any case.
    pub fn is(&self, name: &str) -> bool {
        self.head.eq_ignore_ascii_case(name) || self.field.is_some_and(|f| f.eq_ignore_ascii_case(name))
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

/// The document that `json` and `yaml` print.
pub fn whole<T: Listed>(rows: Vec<Value>) -> Value {
    json!({ "schemaVersion": SCHEMA_VERSION, T::KEY: rows })
}

/// Every name that `--columns` takes for these rows: the fields, then headers that are no field.
pub fn column_names<T: Listed>() -> Vec<&'static str> {
    let heads = T::columns().into_iter().filter(|c| c.field.is_none()).map(|c| c.head);
    let more = heads.filter(|h| !T::FIELDS.iter().any(|f| f.eq_ignore_ascii_case(h)));
    T::FIELDS.iter().copied().chain(more).collect()
}

/// Whether `--columns` takes this name for these rows.
pub fn has_column<T: Listed>(name: &str) -> bool {
    T::FIELDS.iter().any(|f| f.eq_ignore_ascii_case(name)) || T::columns().iter().any(|c| c.is(name))
}

/// The field's own spelling for a name of `--columns`; the name itself where it is a header only.
pub fn field_of<T: Listed>(name: &str) -> String {
    let field = T::FIELDS.iter().find(|f| f.eq_ignore_ascii_case(name)).copied();
    let of_head = || T::columns().iter().find(|c| c.is(name)).and_then(|c| c.field);
    field.or_else(of_head).map_or_else(|| name.to_string(), String::from)
}

/// The value of a column of `--columns` in a row.
pub fn named<T: Listed>(row: &T, value: &Value, name: &str) -> Value {
    if let Some(found) = value.get(field_of::<T>(name)) {
        return found.clone();
    }
    let column = T::columns().into_iter().find(|c| c.is(name));
    column.map_or(Value::Null, |c| (c.cell)(row, true).text.into())
}

/// A row as JSON.
pub fn to_json<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}
