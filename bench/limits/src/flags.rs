//! Flags of the form `--name value` and `--name`.

/// The arguments of this process.
pub struct Flags(Vec<String>);

impl Flags {
    /// Takes the process's own arguments.
    pub fn from_args() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value after `--name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let key = format!("--{name}");
        let at = self.0.iter().position(|a| *a == key)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// A number after `--name`, or the default. Anything else ends the program.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.get(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("--{name} wants a number")))
    }

    /// The text after `--name`, or the default.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }
}
