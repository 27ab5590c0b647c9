//! Emits the value lists of a service's enums. Values stay text in the structs, so that an unknown one can be
//! shown to whoever sent it; validation compares with these lists.

use std::fmt::Write;

use anyhow::Result;

use super::names;
use super::schema::Model;

/// The source text of the constants.
pub fn emit(model: &Model) -> Result<String> {
    let mut out = String::new();
    for (name, shape) in &model.shapes {
        if let Some(values) = &shape.values {
            writeln!(out, "\n/// The values of AWS's enum `{name}`.")?;
            writeln!(out, "pub const {}: &[&str] = &{values:?};", names::constant(name))?;
        }
    }
    Ok(out)
}
