//! Emits a service's operation table, the enum over it, the ways to find an operation in a request, and the
//! error codes with their HTTP statuses.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::access::Entry;
use super::names;
use super::schema::{Model, Operation, Shape};

/// The source text of the table of `service`.
pub fn emit(service: &str, model: &Model, access: &BTreeMap<String, Entry>) -> Result<String> {
    let mut out = String::from("use crate::operation::{AccessLevel, ErrorCode, Operation, Resource};\n");
    emit_facts(&mut out, service, model)?;
    emit_table(&mut out, service, model, access)?;
    emit_enum(&mut out, service, model)?;
    if service == "batch" {
        emit_route(&mut out, model)?;
    }
    emit_errors(&mut out, model)?;
    if !out.contains("Resource {") {
        out = out.replace("Operation, Resource}", "Operation}");
    }
    Ok(out)
}

fn emit_facts(out: &mut String, service: &str, model: &Model) -> Result<()> {
    writeln!(out, "\n/// The API version of {service}.")?;
    writeln!(out, "pub const API_VERSION: &str = \"{}\";", model.metadata.api_version)?;
    if let Some(prefix) = &model.metadata.target_prefix {
        writeln!(out, "\n/// What `x-amz-target` starts with, before a dot and the operation's name.")?;
        writeln!(out, "pub const TARGET_PREFIX: &str = \"{prefix}\";")?;
    }
    Ok(())
}

fn emit_table(
    out: &mut String,
    service: &str,
    model: &Model,
    access: &BTreeMap<String, Entry>,
) -> Result<()> {
    let unknown: Vec<_> = access.keys().filter(|name| !model.operations.contains_key(*name)).collect();
    ensure!(unknown.is_empty(), "data/access.json names operations that {service} lacks: {unknown:?}");
    writeln!(out, "\n/// Every operation of {service}, by name.")?;
    writeln!(out, "pub static OPERATIONS: &[Operation] = &[")?;
    for (name, operation) in &model.operations {
        let entry = access.get(name).with_context(|| format!("data/access.json lacks {service}:{name}"))?;
        let action = entry.action.as_ref().unwrap_or(name);
        let resource = |required: bool| {
            move |kind: &String| format!("Resource {{ kind: {kind:?}, required: {required} }}")
        };
        let resources: Vec<String> = entry
            .required
            .iter()
            .map(resource(true))
            .chain(entry.optional.iter().map(resource(false)))
            .collect();
        write!(out, "Operation {{ name: {name:?}, ")?;
        write!(out, "method: {:?}, path: {:?}, ", operation.http.method, operation.http.request_uri)?;
        write!(out, "path_members: &{:?}, ", located(model, operation, "uri")?)?;
        write!(out, "query_members: &{:?}, ", located(model, operation, "querystring")?)?;
        write!(out, "iam_action: \"{service}:{action}\", level: AccessLevel::{}, ", entry.level)?;
        writeln!(out, "resources: &[{}] }},", resources.join(", "))?;
    }
    writeln!(out, "];")?;
    Ok(())
}

/// The input members of `operation` that travel in `place` instead of the body.
fn located(model: &Model, operation: &Operation, place: &str) -> Result<Vec<String>> {
    let Some(input) = &operation.input else { return Ok(Vec::new()) };
    let members = model.shape(&input.shape)?.members.iter();
    let here = members.filter(|(_, target)| target.location.as_deref() == Some(place));
    Ok(here.map(|(name, _)| name.clone()).collect())
}

fn emit_enum(out: &mut String, service: &str, model: &Model) -> Result<()> {
    let kind = format!("{}Operation", names::type_name(service));
    writeln!(out, "\n/// An operation of {service}.")?;
    writeln!(out, "#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\npub enum {kind} {{")?;
    for name in model.operations.keys() {
        writeln!(out, "/// AWS's operation of this name.\n{name},")?;
    }
    writeln!(out, "}}\n\nimpl {kind} {{")?;
    let all: Vec<String> = model.operations.keys().map(|name| format!("Self::{name}")).collect();
    writeln!(out, "/// Every operation, in the order of [`OPERATIONS`].")?;
    writeln!(out, "pub const ALL: &[Self] = &[{}];", all.join(", "))?;
    writeln!(out, "\n/// The operation's row in the table.")?;
    writeln!(out, "pub fn operation(self) -> &'static Operation {{ &OPERATIONS[self as usize] }}")?;
    writeln!(out, "\n/// The operation's name.")?;
    writeln!(out, "pub fn name(self) -> &'static str {{ self.operation().name }}")?;
    writeln!(out, "\n/// The operation called `name`, letter for letter.")?;
    writeln!(out, "pub fn from_name(name: &str) -> Option<Self> {{ Some(match name {{")?;
    for name in model.operations.keys() {
        writeln!(out, "{name:?} => Self::{name},")?;
    }
    writeln!(out, "_ => return None, }}) }}")?;
    if model.metadata.target_prefix.is_some() {
        writeln!(out, "\n/// The operation that an `x-amz-target` header asks for.")?;
        writeln!(out, "pub fn from_target(target: &str) -> Option<Self> {{")?;
        writeln!(out, "let (prefix, name) = target.split_once('.')?;")?;
        writeln!(out, "if prefix == TARGET_PREFIX {{ Self::from_name(name) }} else {{ None }} }}")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// A function from method and path to operation. A path may end in one parameter, which is handed out as it came.
fn emit_route(out: &mut String, model: &Model) -> Result<()> {
    writeln!(
        out,
        "\n/// The operation that a request line asks for, and the path's parameter (a resource's ARN, still"
    )?;
    writeln!(out, "/// percent-encoded) where the operation has one. `path` comes without its query.")?;
    writeln!(
        out,
        "pub fn route<'a>(method: &str, path: &'a str) -> Option<(BatchOperation, Option<&'a str>)> {{"
    )?;
    let mut prefixes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut fixed = Vec::new();
    for (name, operation) in &model.operations {
        let (method, uri) = (&operation.http.method, operation.http.request_uri.as_str());
        match uri.split_once('{') {
            None => fixed.push(format!("({method:?}, {uri:?}) => BatchOperation::{name},")),
            Some((prefix, rest)) => {
                ensure!(
                    rest.find('}') == Some(rest.len() - 1),
                    "{name}: only a last path parameter is supported"
                );
                prefixes.entry(prefix).or_default().push(format!("{method:?} => BatchOperation::{name},"));
            }
        }
    }
    for (prefix, arms) in prefixes {
        writeln!(out, "if let Some(parameter) = path.strip_prefix({prefix:?}) {{")?;
        writeln!(out, "if parameter.is_empty() {{ return None; }}")?;
        writeln!(out, "let operation = match method {{ {} _ => return None }};", arms.join("\n"))?;
        writeln!(out, "return Some((operation, Some(parameter))); }}")?;
    }
    writeln!(out, "let operation = match (method, path) {{ {} _ => return None }};", fixed.join("\n"))?;
    writeln!(out, "Some((operation, None)) }}")?;
    Ok(())
}

fn emit_errors(out: &mut String, model: &Model) -> Result<()> {
    if !model.shapes.values().any(|shape| shape.exception) {
        *out = out.replace("ErrorCode, ", "");
        return Ok(());
    }
    writeln!(out, "\n/// The errors that the model declares.\npub mod errors {{ use super::ErrorCode;")?;
    for (name, shape) in model.shapes.iter().filter(|(_, shape)| shape.exception) {
        let code = shape.error.as_ref().and_then(|error| error.code.as_ref()).unwrap_or(name);
        writeln!(out, "\n/// AWS's `{name}`.")?;
        let constant = names::constant(name);
        let status = status(shape);
        writeln!(out, "pub const {constant}: ErrorCode = ErrorCode {{ code: {code:?}, status: {status} }};")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// The HTTP status of an error: the model's, else 500 for the service's own faults and 400 for the rest.
fn status(shape: &Shape) -> u16 {
    let stated = shape.error.as_ref().and_then(|error| error.http_status_code);
    stated.unwrap_or(if shape.fault { 500 } else { 400 })
}
