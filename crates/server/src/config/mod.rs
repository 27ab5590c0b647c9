//! The server's settings: one struct, four sources, each stronger than the one before: defaults, a TOML file,
//! `BATCHYARD_*` variables, flags. What nobody knows is refused. `docs/settings.md` is written from the struct.
//!
//! Nothing here starts anything or looks at the machine beyond the settings file.

mod error;
mod load;
mod parse;
mod policy;
mod reference;
mod settings;

pub use error::SettingsError;
pub use load::{Flags, Loaded, load, read};
pub use policy::{DriverName, PullPolicy};
pub use settings::Settings;

#[cfg(test)]
mod tests;
