//! `cargo xtask tidy`: the house rules that compiler and clippy do not know, as checks over the tree. It reads
//! and reports; it never mends.
//!
//! The rules: files of 500 lines at most, a `//!` header in each, functions of 100 lines at most, no `.unwrap()`
//! outside tests, `unsafe` in crates/supervisor only, no unfinished code, workspace dependencies in order and each
//! with its reason, and the pages about compatibility (`compat`). Generated files are exempt.

mod manifest;
mod rust;
mod scan;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::compat;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    pub rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// Prints what breaks a rule; a failure if anything does.
pub fn report(root: &Path) -> Result<ExitCode> {
    let findings = findings(root)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("xtask: {} places break a house rule (CONTRIBUTING.md)", findings.len());
    Ok(ExitCode::FAILURE)
}

fn findings(root: &Path) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    for path in files {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        found.extend(rust::check(&name, &read(&path)?));
    }
    found.extend(manifest::check("Cargo.toml", &read(&root.join("Cargo.toml"))?));
    found.extend(compat::check(root)?);
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Adds every hand-written Rust file below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if name != "target" {
                collect(&path, files)?;
            }
        } else if name.ends_with(".rs") && !name.starts_with("generated") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_keeps_the_house_rules() {
        let findings = super::findings(&crate::root().unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
