//! The forms of a result for programs: JSON, lines of JSON, CSV, YAML, plain words, and what `--query` makes of them.
//!
//! Pure: values in, text out. Never here: terminals and tables (output.rs).

use super::error::CliError;
use jmespath::{Expression, Variable};
use serde_json::Value;

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
    /// The JSON document as YAML.
    Yaml,
    /// Ids only, one a line.
    Id,
}

impl Format {
    /// Every form, for what is a listing.
    pub const ALL: &'static [Self] =
        &[Self::Table, Self::Wide, Self::Json, Self::Jsonl, Self::Csv, Self::Yaml, Self::Id];

    /// The word after `-o`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Yaml => "yaml",
            Self::Id => "id",
        }
    }
}

/// What of a result is printed: `--query` and `--columns`. The default is all of it.
#[derive(Debug, Default)]
pub struct Shape {
    query: Option<Expression<'static>>,
    columns: Vec<String>,
}

impl Shape {
    /// Errors: [`CliError::Usage`] for a query that is no JMESPath, or for both at once.
    pub fn new(query: Option<&str>, columns: &[String]) -> Result<Self, CliError> {
        if query.is_some() && !columns.is_empty() {
            return Err(CliError::Usage("--query says already what is shown; leave --columns out".into()));
        }
        let compile = |text: &str| {
            jmespath::compile(text).map_err(|e| {
                // The first line says what, the others draw an arrow.
                let why = e.to_string();
                CliError::Usage(format!(
                    "--query `{text}` is no JMESPath: {}; `jobs[].name` is one",
                    why.lines().next().unwrap_or_default().trim_end_matches(':')
                ))
            })
        };
        Ok(Self { query: query.map(compile).transpose()?, columns: columns.to_vec() })
    }

    /// The names after `--columns`; none: those that the command shows by itself.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// `--query` was given.
    pub fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// `--query` or `--columns` was given.
    pub fn is_asked(&self) -> bool {
        self.has_query() || !self.columns().is_empty()
    }

    /// What the query makes of a document; without one the document itself.
    pub fn ask(&self, document: Value) -> Result<Value, CliError> {
        let Some(query) = &self.query else { return Ok(document) };
        let failed = |why: String| CliError::Usage(format!("--query `{}`: {why}", query.as_str()));
        let input = Variable::try_from(document).map_err(|e| failed(e.to_string()))?;
        let found = query
            .search(input)
            .map_err(|e| failed(e.to_string().lines().next().unwrap_or_default().to_string()))?;
        serde_json::to_value(&*found).map_err(|e| failed(e.to_string()))
    }
}

/// Any value in a form that needs no terminal. For [`Format::Table`] and [`Format::Wide`] use [`grid`].
pub fn text(value: &Value, format: Format) -> Result<String, CliError> {
    Ok(match format {
        Format::Json => format!("{value:#}\n"),
        Format::Jsonl => match value {
            Value::Array(list) => list.iter().map(|v| format!("{v}\n")).collect(),
            other => format!("{other}\n"),
        },
        Format::Yaml => yaml(value)?,
        Format::Csv | Format::Table | Format::Wide => csv(&grid(value)),
        Format::Id => grid(value).rows.iter().map(|row| format!("{}\n", row.join("\t"))).collect(),
    })
}

/// A value as YAML. Errors: none that a JSON value can cause.
pub fn yaml(value: &Value) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|e| CliError::Failed(format!("cannot write YAML: {e}")))
}

/// Rows of words, with a header where the rows are objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Names of the columns.
    pub head: Option<Vec<String>>,
    /// One list of cells a row.
    pub rows: Vec<Vec<String>>,
}

/// Any value as rows: a list of objects has their keys as columns, a list of lists its members, anything else is one
/// word a row.
pub fn grid(value: &Value) -> Grid {
    let rows: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => vec![],
        other => vec![other],
    };
    if !rows.is_empty() && rows.iter().all(|r| r.is_object()) {
        let mut head: Vec<String> = Vec::new();
        for key in rows.iter().filter_map(|r| r.as_object()).flat_map(|o| o.keys()) {
            if !head.contains(key) {
                head.push(key.clone());
            }
        }
        let rows = rows.iter().map(|r| head.iter().map(|k| word(r.get(k))).collect()).collect();
        return Grid { head: Some(head), rows };
    }
    let cells = |row: &&Value| match row {
        Value::Array(list) => list.iter().map(|v| word(Some(v))).collect(),
        other => vec![word(Some(other))],
    };
    Grid { head: None, rows: rows.iter().map(cells).collect() }
}

/// A value in one cell: text as it is, nothing for null, anything deeper as JSON.
pub fn word(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}

/// Rows as CSV with CSV's quoting (RFC 4180) and plain line ends.
pub fn csv(grid: &Grid) -> String {
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|c| quoted(c)).collect();
        format!("{}\n", cells.join(","))
    };
    grid.head.iter().chain(&grid.rows).map(line).collect()
}

fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(query: &str, document: &Value, format: Format) -> String {
        let shape = Shape::new(Some(query), &[]).unwrap();
        text(&shape.ask(document.clone()).unwrap(), format).unwrap()
    }

    #[test]
    fn a_query_in_every_form() {
        let document = json!({"jobs": [
            {"id": "a", "exitCode": null, "state": "RUNNING"}, {"id": "b", "exitCode": 7, "state": "FAILED"}]});
        assert_eq!(asked("jobs[].id", &document, Format::Id), "a\nb\n");
        assert_eq!(asked("jobs[?exitCode==`7`].[id,exitCode]", &document, Format::Id), "b\t7\n");
        assert_eq!(asked("length(jobs)", &document, Format::Id), "2\n");
        assert_eq!(asked("jobs[].{I: id, E: exitCode}", &document, Format::Csv), "E,I\n,a\n7,b\n");
        assert_eq!(asked("jobs[].id", &document, Format::Jsonl), "\"a\"\n\"b\"\n");
        assert_eq!(asked("jobs[1].exitCode", &document, Format::Json), "7\n");
        assert_eq!(asked("nothing", &document, Format::Json), "null\n");
        assert_eq!(asked("nothing", &document, Format::Id), "");
        assert_eq!(asked("jobs[].id", &document, Format::Yaml), "- a\n- b\n");
    }

    #[test]
    fn yaml_keeps_what_looks_like_something_else_as_text() {
        let value = json!({"a": "no", "b": "1", "c": "x: y", "d": [], "e": null, "f": "two\nlines\n"});
        let back: Value = serde_saphyr::from_str(&yaml(&value).unwrap()).unwrap();
        assert_eq!(back, value);
    }

    #[test]
    fn a_query_that_cannot_work_is_a_usage_error_on_one_line() {
        for bad in ["jobs[", "", "nofunc(@)"] {
            let error = Shape::new(Some(bad), &[]).and_then(|s| s.ask(json!({}))).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
        assert!(Shape::new(Some("a"), &["b".into()]).is_err());
    }
}
