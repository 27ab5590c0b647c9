//! Patterns for lines of columns: `[ip, user, ..., status = 4* || status = 5*, bytes > 1000]`.
//!
//! Columns are separated by spaces; what stands in double quotes or square brackets is one column. A line matches when
//! it has as many columns and each fits; `...` stands for any number.

use super::compare::Test;
use super::scan::{Scan, Wrong};

/// The columns of a pattern.
#[derive(Debug)]
pub(super) struct Columns {
    before: Vec<Condition>,
    /// After `...`, which is there if this is.
    after: Option<Vec<Condition>>,
}

/// Any of these, each of them all of those. Without tests: any column.
#[derive(Debug, Default)]
struct Condition(Vec<Vec<Test>>);

impl Condition {
    fn matches(&self, column: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(|test| test.matches_text(column)))
    }
}

impl Columns {
    pub fn matches(&self, message: &str) -> bool {
        let columns = split(message);
        let fits = |conditions: &[Condition], columns: &[&str]| {
            conditions.iter().zip(columns).all(|(condition, column)| condition.matches(column))
        };
        match &self.after {
            None => columns.len() == self.before.len() && fits(&self.before, &columns),
            Some(after) => {
                columns.len() >= self.before.len() + after.len()
                    && fits(&self.before, &columns)
                    && fits(after, &columns[columns.len() - after.len()..])
            }
        }
    }
}

/// A line's columns.
fn split(line: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let close = match rest.as_bytes()[0] {
            b'"' => Some('"'),
            b'[' => Some(']'),
            _ => None,
        };
        let closed = close.and_then(|close| rest[1..].find(close));
        let (column, behind) = match closed {
            Some(end) => (&rest[1..=end], &rest[end + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        columns.push(column);
        rest = behind.trim_start();
    }
    columns
}

pub(super) fn parse(text: &str) -> Result<Columns, Wrong> {
    let mut scan = Scan::new(text);
    scan.expect("[")?;
    let mut columns = Columns { before: Vec::new(), after: None };
    loop {
        if scan.take("...") {
            if columns.after.replace(Vec::new()).is_some() {
                return Err("... stands twice".to_string());
            }
        } else {
            let condition = column(&mut scan)?;
            columns.after.as_mut().unwrap_or(&mut columns.before).push(condition);
        }
        if scan.take("]") {
            break;
        }
        scan.expect(",")?;
    }
    scan.space();
    if scan.rest.is_empty() { Ok(columns) } else { Err(scan.wrong("nothing more")) }
}

/// `name`, `name = x`, `name = x || name = y && name != z`; a column may have no name.
fn column(scan: &mut Scan<'_>) -> Result<Condition, Wrong> {
    let name = name(scan);
    scan.space();
    if scan.rest.starts_with([',', ']']) {
        return Ok(Condition::default());
    }
    let mut any = vec![vec![test(scan)?]];
    loop {
        let and = scan.take("&&");
        if !and && !scan.take("||") {
            return Ok(Condition(any));
        }
        let again = self::name(scan);
        if again != name {
            return Err(format!("the column '{name}' is compared together with '{again}'"));
        }
        let test = test(scan)?;
        match any.last_mut() {
            Some(all) if and => all.push(test),
            _ => any.push(vec![test]),
        }
    }
}

fn name<'t>(scan: &mut Scan<'t>) -> &'t str {
    scan.space();
    scan.while_(|c| c.is_alphanumeric() || "_-.:@/#".contains(c))
}

fn test(scan: &mut Scan<'_>) -> Result<Test, Wrong> {
    Test::parse(scan, |c| matches!(c, ',' | ']' | '&' | '|'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;

    fn matches(pattern: &str) -> bool {
        parse(pattern).expect(pattern).matches(LINE)
    }

    #[test]
    fn columns_are_compared() {
        let yes = [
            "[ip, id, user, time, request, status, bytes]",
            "[ip, id, user, time, request, status = 404, bytes > 1000]",
            r#"[ip, id, user = "frank", time, request = "GET *", status = 4* || status = 5*, bytes]"#,
            "[ip != 10.*, ..., status >= 400 && status < 500, bytes]",
            "[..., bytes = 1534]",
            "[ip = %^127%, ...]",
            "[,,,,,status=4*,]",
        ];
        for pattern in yes {
            assert!(matches(pattern), "{pattern}");
        }
        let no = [
            "[ip, id, user]",
            "[ip, id, user, time, request, status = 5*, bytes]",
            "[a, b, c, d, e, f, g, ..., h]",
            "[ip, ..., bytes < 1000]",
            "[..., status > 500, bytes]",
        ];
        for pattern in no {
            assert!(!matches(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["[a", "[a b]", "[a, ..., b, ...]", "[a = 1 || b = 2]", "[a =]", "[a] x", "[a = 1 &&]"]
        {
            assert!(parse(pattern).is_err(), "{pattern}");
        }
        assert!(parse("[]").expect("one column").matches("word"));
    }
}
