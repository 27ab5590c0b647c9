//! Putting the sources on top of each other.

use super::SettingsError;
use super::settings::{KEYS, Key, Settings};
use crate::iam::Credentials;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What starts a variable of ours.
pub(super) const PREFIX: &str = "BATCHYARD_";

/// Variables that are no settings, with what reads them.
pub(super) const OTHERS: &[(&str, &str)] = &[
    ("BATCHYARD_CONFIG", "The settings file, as `--config`."),
    ("BATCHYARD_ACCESS_KEY_ID", "Root access key to use and keep instead of one made at the first start."),
    ("BATCHYARD_SECRET_ACCESS_KEY", "Its secret. Both or neither."),
    (
        "BATCHYARD_SUPERVISOR",
        "The program `batchyard-supervisor`: a build carries it inside, `batchyard doctor` asks for it.",
    ),
    ("BATCHYARD_BIN", "The program that the tests run. The server ignores it."),
    (
        "BATCHYARD_ROOTLESS",
        "Set by the program for itself when an ordinary user starts it: how its user namespace came about.",
    ),
    ("RUST_LOG", "What the server says of itself on stderr, as a filter such as `info,batchyard=debug`."),
];

/// Variables that only tests set.
const TEST_PREFIX: &str = "BATCHYARD_TEST_";

/// The file for all of this machine, after the one in the data folder.
const SYSTEM_FILE: &str = "/etc/batchyard.toml";
/// The file in the data folder.
const FILE_NAME: &str = "batchyard.toml";

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config FILE`: this file and no other.
    pub config: Option<PathBuf>,
    /// Settings by their name in the file, such as `("listen", "127.0.0.1:0")`.
    pub values: Vec<(&'static str, String)>,
}

/// Settings, and what came with them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Root credentials given in the environment.
    pub given_credentials: Option<Credentials>,
}

/// The settings from all sources. `variables` is the environment (`std::env::vars_os()`).
///
/// The file is the one named by `--config` or `BATCHYARD_CONFIG`; else `batchyard.toml` in the data folder that flags
/// and variables name; else `/etc/batchyard.toml`. Only one is read.
///
/// # Errors
/// A file that was named is missing; a setting is unknown or has a value it cannot have; settings contradict.
pub fn load(
    flags: &Flags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, SettingsError> {
    let variables = ours(variables)?;
    let (settings, file) = layered(flags, &variables)?;
    settings.check()?;
    let get = |name: &str| value_of(&variables, name);
    let given_credentials =
        Credentials::from_parts(get("BATCHYARD_ACCESS_KEY_ID"), get("BATCHYARD_SECRET_ACCESS_KEY"))?;
    Ok(Loaded { settings, file, given_credentials })
}

/// The settings as commands other than the server take them: the same sources, without the checks that only matter to
/// who opens the API. A server may have been given by flag what makes them whole.
///
/// # Errors
/// A file that was named is missing or cannot be read; a setting is unknown or has a value it cannot have.
pub fn read(
    flags: &Flags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsError> {
    layered(flags, &ours(variables)?).map(|(settings, _)| settings)
}

/// The sources on top of each other, and the file that was read.
fn layered(
    flags: &Flags,
    variables: &[(String, String)],
) -> Result<(Settings, Option<PathBuf>), SettingsError> {
    let mut over = Settings::default();
    apply_variables(&mut over, variables)?;
    apply_flags(&mut over, flags)?;
    let named = flags.config.clone().or_else(|| value_of(variables, "BATCHYARD_CONFIG").map(PathBuf::from));
    let file = find_file(named, &over.data_dir)?;

    let mut settings = Settings::default();
    if let Some((path, text)) = &file {
        apply_file(&mut settings, path, text)?;
    }
    apply_variables(&mut settings, variables)?;
    apply_flags(&mut settings, flags)?;
    Ok((settings, file.map(|(path, _)| path)))
}

fn value_of(variables: &[(String, String)], name: &str) -> Option<String> {
    variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// Our variables as text. An empty one counts as not set.
fn ours(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, SettingsError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if name.starts_with(TEST_PREFIX) || value.is_empty() {
            continue;
        }
        let value = value.into_string().map_err(|value| SettingsError::Invalid {
            place: "environment".into(),
            name: name.into(),
            value: value.to_string_lossy().into_owned(),
            problem: "is not valid UTF-8".into(),
        })?;
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

fn apply_variables(settings: &mut Settings, variables: &[(String, String)]) -> Result<(), SettingsError> {
    for (name, value) in variables {
        if OTHERS.iter().any(|(other, _)| other == name) {
            continue;
        }
        let key = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        // The variable's exact name: `BATCHYARD_listen` is nobody's.
        let known = if variable(&key) == *name { find(&key) } else { None };
        let known = known.ok_or_else(|| unknown("environment", name, &key, variable))?;
        set(settings, known, "environment", name, value)?;
    }
    Ok(())
}

fn apply_flags(settings: &mut Settings, flags: &Flags) -> Result<(), SettingsError> {
    for (name, value) in &flags.values {
        let flag = |name: &str| format!("--{}", name.replace('_', "-"));
        let key = find(name).ok_or_else(|| unknown("flags", &flag(name), name, flag))?;
        set(settings, key, "flags", &flag(name), value)?;
    }
    Ok(())
}

fn apply_file(settings: &mut Settings, path: &Path, text: &str) -> Result<(), SettingsError> {
    let place = path.display().to_string();
    let table: toml::Table = toml::from_str(text).map_err(|error| SettingsError::NotToml {
        path: path.into(),
        problem: error.to_string().trim_end().to_owned(),
    })?;
    for (name, value) in &table {
        let key = find(name).ok_or_else(|| unknown(&place, name, name, str::to_owned))?;
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(switch) => switch.to_string(),
            toml::Value::Array(list) if list.iter().all(toml::Value::is_str) => {
                list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            other => {
                return Err(SettingsError::Invalid {
                    place,
                    name: name.clone(),
                    value: other.to_string(),
                    problem: "must be a text, a whole number, true or false, or a list of texts".into(),
                });
            }
        };
        set(settings, key, &place, name, &text)?;
    }
    Ok(())
}

fn set(
    settings: &mut Settings,
    key: &Key,
    place: &str,
    name: &str,
    value: &str,
) -> Result<(), SettingsError> {
    (key.set)(settings, value).map_err(|problem| SettingsError::Invalid {
        place: place.into(),
        name: name.into(),
        value: value.into(),
        problem,
    })
}

/// The file to read, with its text.
fn find_file(named: Option<PathBuf>, data_dir: &Path) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let (candidates, must_exist) = match named {
        Some(path) => (vec![path], true),
        None => (vec![data_dir.join(FILE_NAME), SYSTEM_FILE.into()], false),
    };
    for path in candidates {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if !must_exist && error.kind() == ErrorKind::NotFound => {}
            Err(error) if !must_exist && error.kind() == ErrorKind::NotADirectory => {
                return Err(SettingsError::Conflict(format!(
                    "the data folder {} is, or lies under, a file; choose a folder",
                    data_dir.display()
                )));
            }
            Err(source) => return Err(SettingsError::Unreadable { path, source }),
        }
    }
    Ok(None)
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase())
}

/// Refuses a name, and points to the setting that shares most of its beginning.
fn unknown(place: &str, given: &str, key: &str, spell: impl Fn(&str) -> String) -> SettingsError {
    let shared = |name: &str| name.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
    // The longest common beginning; of several the one of about this length.
    let likeness = |name: &str| (shared(name), std::cmp::Reverse(name.len().abs_diff(key.len())));
    let near =
        KEYS.iter().map(|key| key.name).max_by_key(|name| likeness(name)).filter(|name| shared(name) >= 3);
    let hint = near.map_or(String::new(), |name| format!(" (did you mean {}?)", spell(name)));
    SettingsError::Unknown { place: place.into(), name: given.into(), hint }
}
