//! Patterns for JSON: `{ $.a.b[0] = "x*" && ($.n > 1 || $.c NOT EXISTS) }`.
//!
//! A comparison is true when the value is there and fits; `!=` too needs it to be there.

use super::compare::Test;
use super::scan::{Scan, Wrong};
use serde_json::Value;

/// Brackets within brackets, at most.
const DEPTH: usize = 64;

/// What a JSON value must fulfil.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Field(Vec<Step>, Check),
}

/// A step into a value.
#[derive(Debug)]
pub(super) enum Step {
    Name(String),
    Index(usize),
    /// `*`: each member or element.
    Each,
}

#[derive(Debug)]
pub(super) enum Check {
    Exists(bool),
    IsNull,
    Is(bool),
    Test(Test),
}

impl Condition {
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.matches(value)),
            Self::Any(any) => any.iter().any(|one| one.matches(value)),
            Self::Field(steps, Check::Exists(false)) => !at(value, steps, &|_| true),
            Self::Field(steps, check) => at(value, steps, &|found| check.matches(found)),
        }
    }
}

impl Check {
    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Exists(_), _) | (Self::IsNull, Value::Null) => true,
            (Self::Is(wanted), Value::Bool(found)) => wanted == found,
            (Self::Test(test), Value::String(text)) => test.matches_text(text),
            (Self::Test(test), Value::Number(number)) => {
                number.as_f64().is_some_and(|n| test.matches_number(n))
            }
            (Self::Test(test), Value::Bool(found)) => test.matches_text(&found.to_string()),
            _ => false,
        }
    }
}

/// Whether a value that the steps lead to is as wanted.
fn at(value: &Value, steps: &[Step], wanted: &dyn Fn(&Value) -> bool) -> bool {
    match (steps.split_first(), value) {
        (None, _) => wanted(value),
        (Some((Step::Name(name), rest)), Value::Object(map)) => {
            map.get(name).is_some_and(|next| at(next, rest, wanted))
        }
        (Some((Step::Index(index), rest)), Value::Array(list)) => {
            list.get(*index).is_some_and(|next| at(next, rest, wanted))
        }
        (Some((Step::Each, rest)), Value::Object(map)) => map.values().any(|next| at(next, rest, wanted)),
        (Some((Step::Each, rest)), Value::Array(list)) => list.iter().any(|next| at(next, rest, wanted)),
        _ => false,
    }
}

pub(super) fn parse(text: &str) -> Result<Condition, Wrong> {
    let mut scan = Scan::new(text);
    scan.expect("{")?;
    let condition = any(&mut scan, 0)?;
    scan.expect("}")?;
    scan.space();
    if scan.rest.is_empty() { Ok(condition) } else { Err(scan.wrong("nothing more")) }
}

fn any(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, Wrong> {
    if depth > DEPTH {
        return Err(format!("brackets are nested more than {DEPTH} deep"));
    }
    let mut any = vec![all(scan, depth)?];
    while scan.take("||") {
        any.push(all(scan, depth)?);
    }
    Ok(Condition::Any(any))
}

fn all(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, Wrong> {
    let mut all = vec![one(scan, depth)?];
    while scan.take("&&") {
        all.push(one(scan, depth)?);
    }
    Ok(Condition::All(all))
}

fn one(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, Wrong> {
    if scan.take("(") {
        let inner = any(scan, depth + 1)?;
        scan.expect(")")?;
        return Ok(inner);
    }
    let steps = selector(scan)?;
    Ok(Condition::Field(steps, check(scan)?))
}

fn selector(scan: &mut Scan<'_>) -> Result<Vec<Step>, Wrong> {
    scan.expect("$")?;
    let mut steps = Vec::new();
    loop {
        if let Some(rest) = scan.rest.strip_prefix('.') {
            scan.rest = rest;
            // `$.[0]` is written too.
            if !rest.starts_with('[') {
                steps.push(name(scan)?);
            }
        } else if let Some(rest) = scan.rest.strip_prefix('[') {
            scan.rest = rest;
            steps.push(bracket(scan)?);
        } else if steps.is_empty() {
            return Err(scan.wrong("a selector such as $.name"));
        } else {
            return Ok(steps);
        }
    }
}

fn name(scan: &mut Scan<'_>) -> Result<Step, Wrong> {
    if scan.rest.starts_with('"') {
        return scan.quoted().map(Step::Name);
    }
    match scan.while_(|c| c.is_alphanumeric() || "_-:@/#*".contains(c)) {
        "" => Err(scan.wrong("a property's name")),
        "*" => Ok(Step::Each),
        name => Ok(Step::Name(name.to_string())),
    }
}

fn bracket(scan: &mut Scan<'_>) -> Result<Step, Wrong> {
    scan.space();
    let step = match scan.rest.chars().next() {
        Some('*') => {
            scan.take("*");
            Step::Each
        }
        Some('"') => Step::Name(scan.quoted()?),
        Some('\'') => {
            scan.take("'");
            let name = scan.while_(|c| c != '\'').to_string();
            scan.expect("'")?;
            Step::Name(name)
        }
        _ => {
            let digits = scan.while_(|c| c.is_ascii_digit());
            Step::Index(digits.parse().map_err(|_| scan.wrong("an index, '*' or a quoted name"))?)
        }
    };
    scan.expect("]")?;
    Ok(step)
}

fn check(scan: &mut Scan<'_>) -> Result<Check, Wrong> {
    if scan.keyword("EXISTS") {
        return Ok(Check::Exists(true));
    }
    if scan.keyword("NOT") {
        return if scan.keyword("EXISTS") { Ok(Check::Exists(false)) } else { Err(scan.wrong("EXISTS")) };
    }
    if scan.keyword("IS") {
        return match () {
            () if scan.keyword("NULL") => Ok(Check::IsNull),
            () if scan.keyword("TRUE") => Ok(Check::Is(true)),
            () if scan.keyword("FALSE") => Ok(Check::Is(false)),
            () => Err(scan.wrong("NULL, TRUE or FALSE")),
        };
    }
    Test::parse(scan, |c| matches!(c, ')' | '}' | '&' | '|' | '(')).map(Check::Test)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"type":"Update","user":{"name":"ann b","id":7,"x-y":1.5},"tags":["a","b"],
        "list":[{"n":1},{"n":20}],"nothing":null,"ok":true,"text":"12"}"#;

    fn matches(pattern: &str) -> bool {
        let value = serde_json::from_str(MESSAGE).expect("JSON");
        parse(pattern).expect(pattern).matches(&value)
    }

    #[test]
    fn fields_are_compared() {
        let yes = [
            r#"{ $.type = "Update" }"#,
            "{$.type=Upd*}",
            r#"{ $.type != "Delete" }"#,
            r#"{ $.user.name = "ann*" }"#,
            "{ $.user.id = 7 }",
            "{ $.user.id >= 7 && $.user.id < 7.5 }",
            "{ $.user.id = 7e0 }",
            "{ $.user.x-y > 1 }",
            "{ $.['user'].id <= 7 }",
            "{ $.tags[1] = b }",
            "{ $.tags[*] = b }",
            "{ $.list[*].n > 10 }",
            "{ $.*.id = 7 }",
            "{ $.nothing IS NULL }",
            "{ $.ok IS TRUE }",
            "{ $.ok = true }",
            "{ $.missing NOT EXISTS }",
            "{ $.ok EXISTS }",
            "{ $.text = 12 }",
            "{ $.type = %^Up% }",
            r#"{ ($.user.id = 1 || $.type = "Update") && $.ok IS TRUE }"#,
        ];
        for pattern in yes {
            assert!(matches(pattern), "{pattern}");
        }
        let no = [
            r#"{ $.type = "update" }"#,
            r#"{ $.missing != "x" }"#,
            "{ $.missing = * }",
            "{ $.user.id > 7 }",
            "{ $.tags[2] = b }",
            "{ $.nothing = x }",
            "{ $.ok IS FALSE }",
            "{ $.type NOT EXISTS }",
            "{ $.user = 7 }",
            r#"{ $.user.id = 1 || $.type = "Update" && $.ok IS FALSE }"#,
        ];
        for pattern in no {
            assert!(!matches(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let bad = [
            "{}",
            "{ $ = 1 }",
            "{ $.a }",
            "{ $.a = }",
            "{ $.a > x }",
            "{ $.a = 1",
            "{ $.a = 1 } x",
            "{ a = 1 }",
            "{ $.a[x] = 1 }",
            "{ $.a NOT }",
            "{ $.a IS x }",
            "{ ($.a = 1 }",
            "{ $.a = 1 && }",
            "{ $.a = \"x }",
        ];
        for pattern in bad {
            assert!(parse(pattern).is_err(), "{pattern}");
        }
    }
}
