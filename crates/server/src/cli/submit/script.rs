//! A script with `#BATCH` lines: its options, and the command that carries it into the container.
//!
//! Never here: reading files (source.rs), what the options become (request.rs).

use super::flags::JobFlags;
use super::request::MOST;
use crate::cli::error::CliError;
use clap::Parser;

/// Begins a line with options.
const MARK: &str = "#BATCH";

/// For interpreters that take a program only as a file: writes it to one, and lets its first line choose.
const AS_FILE: &str = r#"f=$(mktemp) && printf %s "$0" >"$f" && chmod 700 "$f" && exec "$f" "$@""#;

/// A script.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// Of its `#BATCH` lines.
    pub flags: JobFlags,
    /// What the container runs; the script's arguments come after it.
    pub command: Vec<String>,
    /// `#BATCH` lines too late to count, from 1.
    pub too_late: Vec<usize>,
}

#[derive(Parser)]
#[command(name = "#BATCH", no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct Line {
    #[command(flatten)]
    flags: JobFlags,
}

/// Whether a text has a line with options, or says by its first line that it is a script.
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with("#!") || text.lines().any(|l| options(l).is_some())
}

/// Reads a script; `name` is what it sees as its own name. Errors: [`CliError::Usage`] with the line.
pub fn read(text: &str, name: &str) -> Result<Script, CliError> {
    if text.len() > MOST {
        return Err(CliError::Usage(format!(
            "{name} has {} bytes, and AWS Batch takes {MOST}; keep long scripts in the image or a mounted folder",
            text.len()
        )));
    }
    let wrong = |why: &str| Err(CliError::Usage(format!("{name}: {why}")));
    if text.trim().is_empty() {
        return wrong("the script is empty");
    }
    if text.contains('\0') {
        return wrong("this is no text; a program goes into an image or a mounted folder");
    }
    if text.lines().next().is_some_and(|l| l.ends_with('\r')) || text.contains("\r\n") {
        return wrong("its lines end as on Windows, which no shell takes; run `sed -i 's/\\r$//'` on it");
    }
    let mut flags = JobFlags::default();
    let mut too_late = Vec::new();
    let mut head = true;
    for (i, line) in text.lines().enumerate() {
        let comment = line.trim_start();
        head &= comment.is_empty() || comment.starts_with('#');
        let Some(words) = options(line) else { continue };
        if head {
            flags = one_line(words, name, i + 1)?.over(flags);
        } else {
            too_late.push(i + 1);
        }
    }
    Ok(Script { flags, command: command(text, name), too_late })
}

/// What stands after `#BATCH`.
fn options(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(MARK)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

fn one_line(words: &str, name: &str, number: usize) -> Result<JobFlags, CliError> {
    let wrong = |why: &str| CliError::Usage(format!("{name}:{number}: {why}"));
    let words = shlex::split(words).ok_or_else(|| wrong("a quote is not closed"))?;
    match Line::try_parse_from(words) {
        Ok(line) => Ok(line.flags),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Err(wrong(&format!("{first}; `batchyard submit --help` lists what #BATCH lines may hold")))
        }
    }
}

/// The interpreter of the first line, `/bin/sh` without one, with the script as an argument.
fn command(text: &str, name: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or_default();
    let words =
        first.strip_prefix("#!").map(|l| l.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    let words: Vec<&str> = match words.as_slice() {
        [] => vec!["/bin/sh"],
        // `env` looks for its word in PATH, as the container does.
        [env, "-S", rest @ ..] | [env, rest @ ..] if base(env) == "env" && !rest.is_empty() => rest.to_vec(),
        all => all.to_vec(),
    };
    let program = base(words[0]);
    let own = |flag: &str, more: &[&str]| {
        let all = words.iter().chain([&flag, &text]).chain(more);
        all.map(ToString::to_string).collect::<Vec<_>>()
    };
    match program {
        "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" => own("-c", &[name]),
        "perl" | "ruby" => own("-e", &[]),
        _ if program.starts_with("python") => own("-c", &[]),
        _ => ["/bin/sh", "-c", AS_FILE, text].map(String::from).to_vec(),
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut command = read(text, "job.sh").unwrap().command;
        let at = command.iter().position(|w| w == text).unwrap();
        command[at] = "SCRIPT".into();
        command
    }

    #[test]
    fn options_stand_before_the_first_command() {
        let text = "#!/bin/sh\n# what it does\n#BATCH --cpus 2 --env 'GREETING=hello world'  # two\n\n\
                    #BATCH --cpus 4 -e B=1\necho hi\n#BATCH --cpus 8\n#BATCHES\n";
        let script = read(text, "job.sh").unwrap();
        assert_eq!(script.flags.cpus.as_deref(), Some("4"));
        assert_eq!(script.flags.env, ["GREETING=hello world", "B=1"]);
        assert_eq!(script.too_late, [7]);
    }

    #[test]
    fn what_cannot_be_read_names_the_line() {
        for (text, part) in [
            ("#!/bin/sh\n#BATCH --nothing 1\n", "job.sh:2: unexpected argument '--nothing'"),
            ("#BATCH --name 'x\n", "job.sh:1: a quote is not closed"),
            ("#BATCH --cpus many\n", "no number of vCPUs"),
            ("#BATCH word\n", "unexpected argument 'word'"),
            (" \n", "empty"),
            ("a\0b", "no text"),
            ("#!/bin/sh\r\necho\r\n", "Windows"),
        ] {
            let error = read(text, "job.sh").unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn the_first_line_chooses_the_interpreter() {
        assert_eq!(words("echo hi\n"), ["/bin/sh", "-c", "SCRIPT", "job.sh"]);
        assert_eq!(words("#!/bin/bash -e\n:\n"), ["/bin/bash", "-e", "-c", "SCRIPT", "job.sh"]);
        assert_eq!(words("#!/usr/bin/env bash\n:\n"), ["bash", "-c", "SCRIPT", "job.sh"]);
        assert_eq!(words("#!/usr/bin/env -S python3 -u\n1\n"), ["python3", "-u", "-c", "SCRIPT"]);
        assert_eq!(words("#!/usr/bin/perl\n1;\n"), ["/usr/bin/perl", "-e", "SCRIPT"]);
        assert_eq!(words("#!/usr/bin/awk -f\n{}\n"), ["/bin/sh", "-c", AS_FILE, "SCRIPT"]);
    }

    #[test]
    fn a_script_is_told_by_its_lines() {
        assert!(looks_like_one("#!/bin/sh\n") && looks_like_one("# x\n#BATCH --cpus 1\n"));
        assert!(!looks_like_one("jobName: x\n") && !looks_like_one("#BATCHES\n"));
    }
}
