//! Chores of the repository, run as `cargo xtask <chore>`. Each chore owns a module; nothing here ships.

mod codegen;
mod compat;
mod json_text;
mod model;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask <chore>

  model <service-2.json[.gz]> <out.json> [--only Op,Op]   keep the facts of a service model, drop its prose
  codegen [--check]                                       write the generated half of crates/model, or compare it
  compat                                                  print the rows that docs/compatibility lacks
  tidy                                                    check the house rules";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["model", source, target] => model::reduce_file(Path::new(source), Path::new(target), None)?,
        ["model", source, target, "--only", names] => {
            let only: Vec<&str> = names.split(',').collect();
            model::reduce_file(Path::new(source), Path::new(target), Some(&only))?;
        }
        ["codegen"] => codegen::write(&root()?)?,
        ["codegen", "--check"] => codegen::check(&root()?)?,
        ["compat"] => compat::print_missing(&root()?)?,
        ["tidy"] => return tidy::report(&root()?),
        ["help" | "--help" | "-h"] => println!("{USAGE}"),
        _ => bail!("no such chore\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The repository's root: the folder above this package.
fn root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(package.parent().context("the xtask package has no folder above it")?.to_path_buf())
}
