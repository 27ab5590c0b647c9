//! Writes JSON for people and for diffs: keys sorted, whatever fits on a line kept on one line.
//! It knows nothing of what the JSON means.

use serde_json::Value;

const WIDTH: usize = 120;

/// The text of `value`, with a line end after it.
pub fn to_text(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value, 0, 0);
    out.push('\n');
    out
}

/// Appends `value` whose first line starts at column `used` and whose nested lines are indented by `depth`.
fn put(out: &mut String, value: &Value, depth: usize, used: usize) {
    let line = one_line(value);
    if depth > 0 && used + line.len() < WIDTH {
        out.push_str(&line);
        return;
    }
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries = entries.into_iter().map(|(key, item)| (format!("{}: ", quote(key)), item));
            put_block(out, '{', entries, '}', depth);
        }
        Value::Array(items) => {
            put_block(out, '[', items.iter().map(|item| (String::new(), item)), ']', depth)
        }
        _ => out.push_str(&line),
    }
}

fn put_block<'a>(
    out: &mut String,
    open: char,
    entries: impl Iterator<Item = (String, &'a Value)>,
    close: char,
    depth: usize,
) {
    out.push(open);
    for (number, (label, item)) in entries.enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        let indent = depth + 1;
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(&label);
        put(out, item, indent, indent + label.len());
    }
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth));
    out.push(close);
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries: Vec<String> =
                entries.iter().map(|(key, item)| format!("{}: {}", quote(key), one_line(item))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back_as_the_value() {
        let long = "x".repeat(200);
        let value = serde_json::json!({"b": [1, 2], "a": {"quote\"": long, "empty": {}}, "c": [[], null]});
        let text = to_text(&value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.starts_with("{\n \"a\": {\n  \"empty\": {},\n"), "{text}");
        assert!(text.contains("\n \"b\": [1, 2],\n"), "{text}");
    }
}
