//! The rules for the workspace manifest: its dependencies stand in order, and each says why it is there.

use super::Finding;

/// What breaks a rule in the workspace manifest.
pub fn check(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut in_section = false;
    let mut before: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            in_section = line == "[workspace.dependencies]";
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| in_section && !line.starts_with('#')) else {
            continue;
        };
        let key = key.trim();
        let mut report = |rule: String| found.push(Finding { file: name.to_owned(), line: number + 1, rule });
        if before.as_deref().is_some_and(|before| before > key) {
            report(format!("the dependency {key} is out of alphabetical order"));
        }
        let is_ours = value.contains("path =");
        if !is_ours && value.split_once('#').is_none_or(|(_, reason)| reason.trim().is_empty()) {
            report(format!("the dependency {key} has no `# reason` on its line"));
        }
        before = Some(key.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_reasons() {
        let text = "[workspace]\nz = 1\n[workspace.dependencies]\n# about them all\na = \"1\" # why\n\
                    c = { path = \"c\" }\nb = { version = \"1\" }\nd = \"1\" #\n[lints]\na = 1\n";
        let found: Vec<String> = check("Cargo.toml", text).iter().map(ToString::to_string).collect();
        let expected = [
            "Cargo.toml:7: the dependency b is out of alphabetical order",
            "Cargo.toml:7: the dependency b has no `# reason` on its line",
            "Cargo.toml:8: the dependency d has no `# reason` on its line",
        ];
        assert_eq!(found, expected);
    }
}
