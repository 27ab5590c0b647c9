//! Reads the files that the aws programs keep: `~/.aws/credentials`, `~/.aws/config`, and our own of the same form.
//!
//! Sections, `key = value`, comment lines of `#` and `;`, and the one nesting that the form has: a key without a value
//! followed by indented keys. Never here: which sections and keys count.

use std::collections::BTreeMap;

/// A parsed file. Nested keys are found as `outer.inner`.
#[derive(Debug, Default)]
pub struct Ini {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Ini {
    /// Reads a file's text. Lines that make no sense are passed over, as the aws programs mostly do.
    pub fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        let mut section = String::new();
        let mut outer = String::new();
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[').and_then(|l| l.split_once(']')).map(|(n, _)| n) {
                section = name.split_whitespace().collect::<Vec<_>>().join(" ");
                outer.clear();
                ini.sections.entry(section.clone()).or_default();
                continue;
            }
            let Some((key, value)) = trimmed.split_once('=') else { continue };
            let (key, value) = (key.trim().to_lowercase(), value.trim());
            let nested = line.starts_with([' ', '\t']) && !outer.is_empty();
            let key = if nested { format!("{outer}.{key}") } else { key };
            if !nested {
                outer = if value.is_empty() { key.clone() } else { String::new() };
            }
            ini.sections.entry(section.clone()).or_default().insert(key, value.to_string());
        }
        ini
    }

    /// A value that is set and not empty.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.get(section)?.get(key).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Whether the section is there, with or without keys.
    pub fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_nesting() {
        let ini = Ini::parse(
            "# a\n[default]\nregion=eu-west-1\n; b\n[profile  dev]\nservices = local\ns3 =\n  endpoint_url = http://s3\n\
             \toutput = x\nregion = us-west-2\n[services local]\nbatch =\n  endpoint_url = http://b:1/?a=b\n",
        );
        assert_eq!(ini.get("default", "region"), Some("eu-west-1"));
        assert_eq!(ini.get("profile dev", "s3.endpoint_url"), Some("http://s3"));
        assert_eq!(ini.get("profile dev", "region"), Some("us-west-2"));
        assert_eq!(ini.get("services local", "batch.endpoint_url"), Some("http://b:1/?a=b"));
        assert!(ini.has("profile dev") && !ini.has("dev"));
        assert_eq!(ini.get("profile dev", "s3"), None);
    }
}
