//! Emits the structs of a service. Every member is optional in Rust: what is missing is for validation to say,
//! by name, and whether an empty list is shown is for handlers to decide.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::names;
use super::schema::{Kind, Model, Shape, Target};

/// The source text of all structures; of exceptions only those that an event stream can hold.
pub fn emit(model: &Model) -> Result<String> {
    let mut out = String::from(
        "use std::collections::BTreeMap;\n\nuse serde::Serialize;\n\nuse crate::object::object;\n",
    );
    for (name, shape) in &model.shapes {
        if shape.kind == Kind::Structure && (!shape.exception || is_member(model, name)) {
            emit_struct(&mut out, model, name, shape)?;
        }
    }
    if !out.contains("BTreeMap<") {
        out = out.replace("use std::collections::BTreeMap;\n\n", "");
    }
    Ok(out)
}

fn is_member(model: &Model, name: &str) -> bool {
    model.shapes.values().any(|shape| shape.members.values().any(|target| target.shape == name))
}

fn emit_struct(out: &mut String, model: &Model, name: &str, shape: &Shape) -> Result<()> {
    let role = role(model, name);
    writeln!(out, "\n/// {role}")?;
    writeln!(out, "#[derive(Debug, Clone, Default, PartialEq, Serialize)]")?;
    writeln!(out, "pub struct {} {{", names::type_name(name))?;
    for (wire, target) in &shape.members {
        let required = shape.required.iter().any(|name| name == wire);
        emit_field(out, model, name, wire, target, required)?;
    }
    writeln!(out, "}}")?;
    emit_reading(out, name, shape)
}

/// How the struct is read, see `object.rs` of the model. Members of the path and the query are not in the body.
fn emit_reading(out: &mut String, name: &str, shape: &Shape) -> Result<()> {
    writeln!(out, "\nobject! {{\n    {} {{", names::type_name(name))?;
    let body = shape.members.iter().filter(|(_, target)| target.location.is_none());
    for (place, (wire, _)) in body.enumerate() {
        writeln!(out, "        {place} {} {wire:?},", names::field(wire))?;
    }
    writeln!(out, "    }}\n}}")?;
    Ok(())
}

fn role(model: &Model, name: &str) -> String {
    let is = |target: &Option<Target>| target.as_ref().is_some_and(|target| target.shape == name);
    for (operation, parts) in &model.operations {
        if is(&parts.input) {
            return format!("Input of {operation}.");
        }
        if is(&parts.output) {
            return format!("Output of {operation}.");
        }
    }
    format!("AWS's shape `{name}`.")
}

fn emit_field(
    out: &mut String,
    model: &Model,
    owner: &str,
    wire: &str,
    target: &Target,
    required: bool,
) -> Result<()> {
    let shape = model.shape(&target.shape)?;
    let notes = notes(target, shape, required);
    if !notes.is_empty() {
        writeln!(out, "    /// {notes}.")?;
    }
    let field = names::field(wire);
    let mut rules = Vec::new();
    if target.location.is_some() {
        rules.push("skip".to_owned());
    } else {
        if field.trim_start_matches("r#") != wire {
            rules.push(format!("rename = \"{wire}\""));
        }
        rules.push("skip_serializing_if = \"Option::is_none\"".to_owned());
    }
    let mut rust = rust_type(model, &target.shape)?;
    if shape.kind == Kind::Structure && model.is_direct_cycle(owner, &target.shape)? {
        rust = format!("Box<{rust}>");
    }
    writeln!(out, "    #[serde({})]\n    pub {field}: Option<{rust}>,", rules.join(", "))?;
    Ok(())
}

/// What the model says of a member, in a few words.
fn notes(target: &Target, shape: &Shape, required: bool) -> String {
    let mut notes = Vec::new();
    if required {
        notes.push("required".to_owned());
    }
    match (target.location.as_deref(), target.location_name.as_deref()) {
        (Some("uri"), _) => notes.push("from the path, never in the body".to_owned()),
        (Some(place), Some(name)) => notes.push(format!("from the {place} (`{name}`), never in the body")),
        _ => {}
    }
    if shape.values.is_some() {
        notes.push(format!("one of `enums::{}`", names::constant(&target.shape)));
    }
    let unit = match shape.kind {
        Kind::String => "length ",
        Kind::List | Kind::Map => "size ",
        _ => "",
    };
    match (shape.min, shape.max) {
        (Some(min), Some(max)) => notes.push(format!("{unit}{min} to {max}")),
        (Some(min), None) if min != 0.0 => notes.push(format!("{unit}at least {min}")),
        (None, Some(max)) => notes.push(format!("{unit}at most {max}")),
        _ => {}
    }
    if target.deprecated {
        notes.push("deprecated by AWS".to_owned());
    }
    let text = notes.join("; ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The Rust type of a value of the shape `name`.
pub fn rust_type(model: &Model, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    let part = |target: &Option<Target>| -> Result<String> {
        let target =
            target.as_ref().with_context(|| format!("the collection {name} does not say of what"))?;
        rust_type(model, &target.shape)
    };
    Ok(match shape.kind {
        Kind::Blob | Kind::String => "String".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        // A float of the model is held as f64, so that what was sent is what is shown again.
        Kind::Double | Kind::Float => "f64".to_owned(),
        Kind::Integer => "i32".to_owned(),
        Kind::Long | Kind::Timestamp => "i64".to_owned(),
        Kind::List => format!("Vec<{}>", part(&shape.member)?),
        Kind::Map => format!("BTreeMap<{}, {}>", part(&shape.key)?, part(&shape.value)?),
        Kind::Structure => names::type_name(name),
    })
}
