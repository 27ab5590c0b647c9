//! `docs/settings.md`, written from the settings themselves.

use super::load::{OTHERS, variable};
use super::settings::{KEYS, Settings};
use std::fmt::Write;

const HEAD: &str = "\
# Settings

Every setting has a default and may stand in a TOML file, in a variable, and as a flag of `batchyard server` (see
`batchyard server --help` for those that have one). A flag goes before a variable, a variable before the file. What is
not listed here is refused, by the server and by every command that looks for its data folder.

The file is the one that `--config` or `BATCHYARD_CONFIG` names; else `batchyard.toml` in the data folder; else
`/etc/batchyard.toml`. One file is read, and it holds keys without sections:

```toml
listen = \"127.0.0.1:9750\"
vcpus = 16
log_cap_bytes = \"256MiB\"
```

| Key in the file | Variable | Default | Meaning |
|---|---|---|---|
";

const OTHER_HEAD: &str = "
Sizes are bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`. An empty variable counts as not set. Variables that
begin with `BATCHYARD_TEST_` belong to tests and are passed over.

## Variables that are no settings

| Variable | Meaning |
|---|---|
";

impl Settings {
    /// The text of `docs/settings.md`.
    pub fn reference() -> String {
        let mut out = HEAD.to_owned();
        for key in KEYS {
            let default = if key.default.contains([' ', '`']) {
                key.default.to_owned()
            } else if key.default.is_empty() {
                "none".to_owned()
            } else {
                format!("`{}`", key.default)
            };
            let (name, variable, meaning) = (key.name, variable(key.name), key.meaning.trim());
            // Writing to a String cannot fail.
            let _ = writeln!(out, "| `{name}` | `{variable}` | {default} | {meaning} |");
        }
        out.push_str(OTHER_HEAD);
        for (name, meaning) in OTHERS {
            let _ = writeln!(out, "| `{name}` | {meaning} |");
        }
        out
    }
}
