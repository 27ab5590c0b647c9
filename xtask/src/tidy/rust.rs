//! The rules for one hand-written Rust file.

use super::Finding;
use super::scan;

const MAX_LINES: usize = 500;
const MAX_FUNCTION: usize = 100;

/// What must not be in code outside tests, and what to say of it.
const UNWRAP: &str = ".unwrap()";

/// What breaks a rule in the file called `name`.
pub fn check(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut report = |line: usize, rule: String| found.push(Finding { file: name.to_owned(), line, rule });

    let lines = text.lines().count();
    if lines > MAX_LINES {
        report(
            MAX_LINES + 1,
            format!("the file has {lines} lines, at most {MAX_LINES} are allowed: split it"),
        );
    }
    if !text.starts_with("//!") {
        report(1, "the file does not start with a `//!` header that says what it owns".to_owned());
    }
    let code = scan::code_only(text);
    for (at, length) in functions(&code) {
        if length > MAX_FUNCTION {
            let rule =
                format!("the function has {length} lines, at most {MAX_FUNCTION} are allowed: split it");
            report(scan::line_of(&code, at), rule);
        }
    }
    if !is_test_file(name) {
        let tests = scan::test_blocks(&code);
        for (at, _) in code.match_indices(UNWRAP) {
            if !tests.iter().any(|block| block.contains(&at)) {
                report(
                    scan::line_of(&code, at),
                    "`.unwrap()` outside tests: handle it, or expect with a reason".to_owned(),
                );
            }
        }
    }
    if !name.starts_with("crates/supervisor/") {
        for at in scan::words(&code, "unsafe") {
            report(scan::line_of(&code, at), "`unsafe` outside crates/supervisor".to_owned());
        }
    }
    for word in ["todo", "unimplemented", "dbg"] {
        for at in scan::words(&code, word).filter(|at| code[at + word.len()..].starts_with('!')) {
            report(
                scan::line_of(&code, at),
                format!("`{word}!` is unfinished work: finish it or file an issue"),
            );
        }
    }
    found
}

/// Where each function starts and how many lines it has.
fn functions(code: &str) -> impl Iterator<Item = (usize, usize)> {
    // `fn(` is a type of a pointer, not a function.
    scan::words(code, "fn").filter(|at| !code[at + 2..].starts_with('(')).filter_map(|at| {
        let end = *scan::block_after(code, at)?.end();
        Some((at, code[at..=end].matches('\n').count() + 1))
    })
}

/// Whether the whole file is compiled for tests only, as its name says.
fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs")
        || name.ends_with("/testing.rs")
        || name.ends_with("_tests.rs")
        || name.split('/').any(|part| part == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(name: &str, text: &str) -> Vec<String> {
        check(name, text).iter().map(|finding| format!("{}: {}", finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_good_file_passes() {
        let text = "//! Owns nothing.\n\nfn a() -> Option<()> { None?; \"x.unwrap() unsafe todo!()\"; }\n\
                    #[cfg(test)]\nmod tests {\n fn b() { a().unwrap() }\n}\n";
        assert_eq!(rules("crates/x/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_has_its_place() {
        let text = "fn a() {\n x.unwrap();\n unsafe { y };\n todo!();\n}\n";
        let found = rules("crates/x/src/a.rs", text);
        let places: Vec<&str> = found.iter().map(|rule| &rule[..10]).collect();
        assert_eq!(places, ["1: the fil", "2: `.unwra", "3: `unsafe", "4: `todo!`"]);
        assert_eq!(rules("crates/supervisor/src/a.rs", "//! x\nunsafe fn a() {}\n"), Vec::<String>::new());
        assert_eq!(rules("crates/x/src/tests.rs", "//! x\nfn a() { b.unwrap() }\n"), Vec::<String>::new());
    }

    #[test]
    fn files_and_functions_have_an_end() {
        let long = format!("//! x\nfn a() {{\n{}}}\nfn b() {{}}\n", "b();\n".repeat(98));
        assert_eq!(rules("crates/x/src/a.rs", &long), Vec::<String>::new());
        let long = format!("//! x\nfn a() {{\n{}}}\n", "b();\n".repeat(99));
        assert!(rules("crates/x/src/a.rs", &long)[0].starts_with("2: the function has 101 lines"));
        let long = format!("//! x\n{}", "// y\n".repeat(500));
        assert!(rules("crates/x/src/a.rs", &long)[0].starts_with("501: the file has 501 lines"));
    }
}
