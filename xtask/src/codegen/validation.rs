//! Emits a `Validate` for every structure that an input may hold: required members, lengths, ranges, patterns,
//! enums and sizes. What the model does not state is not here; handlers know those rules.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::names;
use super::schema::{Kind, Model, Shape, Target};

/// The source text of the patterns and of the implementations.
pub fn emit(model: &Model) -> Result<String> {
    let inputs: BTreeSet<&str> = model.inputs().collect();
    let reached = model.reachable(inputs.iter().copied())?;
    let mut body = String::new();
    let mut patterns = BTreeSet::new();
    for name in reached {
        let shape = model.shape(name)?;
        if shape.pattern.is_some() && shape.values.is_none() {
            patterns.insert(name);
        }
        if shape.kind == Kind::Structure && (inputs.contains(name) || model.has_limits(name)?) {
            emit_impl(&mut body, model, name, shape)?;
        }
    }
    let mut out = String::new();
    if body.contains("enums::") {
        out.push_str("use super::enums;\n");
    }
    out.push_str("use super::*;\nuse crate::validate::{Check, Validate");
    out.push_str(if patterns.is_empty() { "};\n" } else { ", Pattern};\n" });
    emit_patterns(&mut out, model, &patterns)?;
    out.push_str(&body);
    Ok(out)
}

fn emit_patterns(out: &mut String, model: &Model, patterns: &BTreeSet<&str>) -> Result<()> {
    for name in patterns {
        let text = portable(model.shape(name)?.pattern.as_deref().context("a pattern vanished")?);
        writeln!(out, "\nstatic {}: Pattern = Pattern::new(r#\"{text}\"#);", names::constant(name))?;
    }
    if !patterns.is_empty() {
        let list: Vec<String> = patterns.iter().map(|name| format!("&{}", names::constant(name))).collect();
        writeln!(out, "\n/// Every pattern of the service, for the test that they compile.")?;
        writeln!(out, "#[cfg(test)]\npub(crate) static PATTERNS: &[&Pattern] = &[{}];", list.join(", "))?;
    }
    Ok(())
}

/// The pattern in the small syntax of the regex library, which has no Unicode classes: letters are the ASCII ones
/// and everything beyond ASCII, so that no text that AWS takes is refused.
fn portable(pattern: &str) -> String {
    pattern.replace(r"\p{L}", r"A-Za-z\x{80}-\x{10FFFF}").replace(r"\p{N}", "0-9").replace(r"\p{Z}", " ")
}

fn emit_impl(out: &mut String, model: &Model, name: &str, shape: &Shape) -> Result<()> {
    let mut lines = Vec::new();
    for (wire, target) in &shape.members {
        let field = names::field(wire);
        if shape.required.contains(wire) {
            lines.push(format!("check.required(\"{wire}\", &self.{field});"));
        }
        let inner = checks(model, target, "value")?;
        if !inner.is_empty() {
            let body = inner.join(" ");
            lines.push(format!("check.member(\"{wire}\", &self.{field}, |check, value| {{ {body} }});"));
        }
    }
    let check = if lines.is_empty() { "_check" } else { "check" };
    writeln!(out, "\nimpl Validate for {} {{", names::type_name(name))?;
    writeln!(out, "fn validate(&self, {check}: &mut Check) {{\n{}\n}}\n}}", lines.join("\n"))?;
    Ok(())
}

/// The statements that check `subject`, a reference to a value of the target's shape.
fn checks(model: &Model, target: &Target, subject: &str) -> Result<Vec<String>> {
    let name = &target.shape;
    let shape = model.shape(name)?;
    let mut lines = Vec::new();
    if !model.has_limits(name)? {
        return Ok(lines);
    }
    let sized = shape.is_sized();
    match shape.kind {
        Kind::Structure => lines.push(format!("{subject}.validate(check);")),
        Kind::String | Kind::Blob => lines.extend(text_checks(name, shape, subject, sized)),
        Kind::Integer | Kind::Long if sized => {
            lines.push(format!("check.range(*{subject}, {:?}, {:?});", whole(shape.min)?, whole(shape.max)?));
        }
        Kind::Double | Kind::Float if sized => {
            lines.push(format!("check.range(*{subject}, {:?}, {:?});", shape.min, shape.max));
        }
        Kind::List | Kind::Map => {
            if sized {
                lines.push(format!("check.size({subject}.len(), \"{name}\", {});", bounds(shape)));
            }
            let each = |target: &Option<Target>, call: &str, item: &str| -> Result<Option<String>> {
                let Some(target) = target else { return Ok(None) };
                let inner = checks(model, target, item)?;
                let body = inner.join(" ");
                Ok((!inner.is_empty())
                    .then(|| format!("check.{call}({subject}, |check, {item}| {{ {body} }});")))
            };
            lines.extend(each(&shape.member, "items", "item")?);
            lines.extend(each(&shape.key, "keys", "key")?);
            lines.extend(each(&shape.value, "values", "entry")?);
        }
        _ => {}
    }
    Ok(lines)
}

fn text_checks(name: &str, shape: &Shape, subject: &str, sized: bool) -> Vec<String> {
    let constant = names::constant(name);
    if shape.values.is_some() {
        return vec![format!("check.one_of({subject}, \"{name}\", enums::{constant});")];
    }
    let mut lines = Vec::new();
    if sized {
        lines.push(format!("check.length({subject}, {});", bounds(shape)));
    }
    if shape.pattern.is_some() {
        lines.push(format!("check.pattern({subject}, &{constant});"));
    }
    lines
}

fn bounds(shape: &Shape) -> String {
    let max = shape.max.map_or_else(|| "None".to_owned(), |max| format!("Some({max})"));
    format!("{}, {max}", shape.min.unwrap_or(0.0))
}

fn whole(bound: Option<f64>) -> Result<Option<i64>> {
    let Some(bound) = bound else { return Ok(None) };
    ensure!(bound.fract() == 0.0, "a whole number is limited by {bound}");
    Ok(Some(bound as i64))
}
