//! JSON, written: as much of it as a bundle's configuration and a log's lines need.
//!
//! Never here: what is said with it. The one thing that is read is the message in a runtime's log.

use std::fmt::{self, Write};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i128),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Map(Vec<(&'static str, Json)>),
}

/// A text.
pub fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

/// An array of texts.
pub fn texts<T: AsRef<str>>(list: impl IntoIterator<Item = T>) -> Json {
    Json::List(list.into_iter().map(|t| text(t.as_ref())).collect())
}

/// A number.
pub fn number(n: impl Into<i128>) -> Json {
    Json::Number(n.into())
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => quoted(f, text),
            Self::List(list) => {
                f.write_char('[')?;
                for (i, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
            Self::Map(pairs) => {
                f.write_char('{')?;
                for (i, (name, value)) in pairs.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    quoted(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// The last text that `name` has in a file of JSON objects, such as a log.
pub fn last_text(document: &str, name: &str) -> Option<String> {
    let at = document.rfind(&format!("\"{name}\":"))? + name.len() + 3;
    let mut rest = document[at..].trim_start().strip_prefix('"')?.chars();
    let mut found = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(found),
            '\\' => match rest.next()? {
                'n' | 'r' | 't' => found.push(' '),
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok()?;
                    found.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                }
                other => found.push(other),
            },
            c => found.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_they_can_be_read() {
        let value = Json::Map(vec![
            ("a", Json::List(vec![number(u64::MAX), Json::Bool(true)])),
            ("b", text("\"\\\n\u{1}é")),
            ("c", Json::Map(Vec::new())),
        ]);
        let written = r#"{"a":[18446744073709551615,true],"b":"\"\\\u000a\u0001é","c":{}}"#;
        assert_eq!(value.to_string(), written);
    }

    #[test]
    fn the_last_message_of_a_log_is_found() {
        let log = "{\"level\":\"warning\",\"msg\":\"first\"}\n{\"msg\": \"exec: \\\"x\\\": not\\u0020there\",\"level\":\"error\"}";
        assert_eq!(last_text(log, "msg").as_deref(), Some("exec: \"x\": not there"));
        for odd in ["", "\"msg\":", "\"msg\":\"", "\"msg\":\"\\", "\"msg\":\"\\u12", "\"msg\":3"] {
            assert_eq!(last_text(odd, "msg"), None, "{odd}");
        }
    }
}
