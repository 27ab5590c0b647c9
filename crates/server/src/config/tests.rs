//! The order of the sources, what is refused, and the page made from the settings.

use super::load::variable;
use super::settings::KEYS;
use super::*;
use std::path::{Path, PathBuf};

/// A folder with a settings file, gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn with(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("batchyard-config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("batchyard.toml"), text).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("batchyard.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn from(
    config: Option<PathBuf>,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Loaded, SettingsError> {
    let values = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    load(&Flags { config, values }, variables.iter().map(|(name, value)| (name.into(), value.into())))
}

/// Without a file of this machine's getting in.
fn refused(text: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    let folder = Folder::with(text);
    let message = from(Some(folder.file()), variables, flags).unwrap_err().to_string();
    message.replace(&folder.file().display().to_string(), "FILE")
}

#[test]
fn the_defaults() {
    let folder = Folder::with("");
    let loaded = from(Some(folder.file()), &[("PATH", "/bin"), ("BATCHYARD_REGION", "")], &[]).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.settings.listen.to_string(), "127.0.0.1:9740");
    assert_eq!(loaded.given_credentials, None);
    let limits = loaded.settings.limits();
    let defaults = crate::http::Limits::default();
    assert_eq!(format!("{limits:?}"), format!("{defaults:?}"), "one set of defaults");
}

#[test]
fn the_defaults_are_what_the_page_says() {
    for key in KEYS.iter().filter(|key| !key.default.contains([' ', '`'])) {
        let mut settings = Settings::default();
        (key.set)(&mut settings, key.default).unwrap_or_else(|problem| panic!("{}: {problem}", key.name));
        assert_eq!(settings, Settings::default(), "{}", key.name);
    }
}

#[test]
fn each_source_goes_before_the_one_below() {
    let text = "region = 'eu-west-1'\naccount = '111111111111'\nvcpus = 8\nhost_image = true\nlog_cap_bytes = '2MiB'\n";
    let folder = Folder::with(text);
    let variables =
        [("BATCHYARD_ACCOUNT", "222222222222"), ("BATCHYARD_VCPUS", "16"), ("BATCHYARD_MEMORY_MIB", "512")];
    let loaded = from(Some(folder.file()), &variables, &[("vcpus", "32"), ("listen", "[::1]:0")]).unwrap();
    let settings = loaded.settings;
    assert_eq!((settings.region.as_str(), settings.account.as_str()), ("eu-west-1", "222222222222"));
    assert_eq!((settings.vcpus, settings.memory_mib), (Some(32), Some(512)));
    assert!(settings.host_image);
    assert_eq!(settings.log_cap_bytes, 2 << 20);
    assert_eq!(settings.listen.to_string(), "[::1]:0");
    assert_eq!(loaded.file, Some(folder.file()));
}

#[test]
fn the_file_is_found() {
    let folder = Folder::with("region = 'eu-west-1'");
    let data_dir = folder.0.to_str().unwrap();
    let by_variable = from(None, &[("BATCHYARD_DATA_DIR", data_dir)], &[]).unwrap();
    assert_eq!((by_variable.settings.region.as_str(), by_variable.file), ("eu-west-1", Some(folder.file())));
    let other = Folder::with("region = 'eu-north-1'");
    let named =
        [("BATCHYARD_CONFIG", other.0.join("batchyard.toml"))].map(|(n, v)| (n, v.display().to_string()));
    let named = [(named[0].0, named[0].1.as_str())];
    assert_eq!(from(None, &named, &[("data_dir", data_dir)]).unwrap().settings.region, "eu-north-1");
    let missing = from(Some(folder.0.join("absent.toml")), &[], &[]).unwrap_err().to_string();
    assert!(
        missing.starts_with("cannot read the settings file ") && missing.contains("absent.toml"),
        "{missing}"
    );
}

#[test]
fn what_nobody_knows_is_refused() {
    assert_eq!(
        refused("regoin = 'eu-west-1'", &[], &[]),
        "FILE: there is no setting 'regoin' (did you mean region?); docs/settings.md has them all"
    );
    assert_eq!(
        refused("", &[("BATCHYARD_LISTEN_ON", "x")], &[]),
        "environment: there is no setting 'BATCHYARD_LISTEN_ON' (did you mean BATCHYARD_LISTEN?); docs/settings.md has \
         them all"
    );
    assert!(refused("", &[("BATCHYARD_region", "x")], &[]).contains("no setting 'BATCHYARD_region'"));
    assert!(refused("", &[], &[("colour", "red")]).contains("flags: there is no setting '--colour'"));
    assert!(refused("[server]\nlisten = 1", &[], &[]).contains("no setting 'server'"));
    let folder = Folder::with("");
    let others = [("RUST_LOG", "debug"), ("BATCHYARD_TEST_X", "1"), ("BATCHYARD_BIN", "/b")];
    assert!(from(Some(folder.file()), &others, &[]).is_ok());
}

#[test]
fn values_that_cannot_be_are_refused_with_their_place() {
    assert_eq!(
        refused("listen = 9740", &[], &[]),
        "FILE: listen = '9740': must be an address and a port, such as 127.0.0.1:9740 or [::1]:9740"
    );
    assert_eq!(
        refused("", &[("BATCHYARD_ACCOUNT", "12")], &[]),
        "environment: BATCHYARD_ACCOUNT = '12': must be an account id: exactly twelve digits, in quotes in the file"
    );
    assert_eq!(
        refused("", &[], &[("idle_seconds", "0")]),
        "flags: --idle-seconds = '0': must be a whole number from 1 to 3600"
    );
    assert!(
        refused("vcpus = [1]", &[], &[])
            .contains("must be a text, a whole number, true or false, or a list of texts")
    );
    assert!(refused("host_image = 'yes'", &[], &[]).contains("must be true or false"));
    assert!(refused("log_cap_bytes = '99999999TiB'", &[], &[]).contains("must be a number of bytes"));
    assert!(refused("max_body_bytes = 10", &[], &[]).contains("between 32KiB and 1GiB"));
    assert!(refused("region = 'US EAST'", &[], &[]).contains("must be a region's name"));
    assert!(refused("data_dir = ''", &[], &[]).contains("must name a folder"));
    let broken = refused("region = \n", &[], &[]);
    assert!(
        broken.starts_with("the settings file FILE is not valid TOML: ") && broken.contains("line 1"),
        "{broken}"
    );
}

#[test]
fn plain_http_beyond_loopback_must_be_asked_for() {
    for open in ["0.0.0.0:9740", "[::]:9740", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let message = refused("", &[], &[("listen", open)]);
        assert!(message.contains("set allow_plain_http = true"), "{message}");
        let folder = Folder::with("allow_plain_http = true");
        assert!(from(Some(folder.file()), &[], &[("listen", open)]).is_ok());
    }
    let folder = Folder::with("");
    for closed in ["127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(from(Some(folder.file()), &[], &[("listen", closed)]).is_ok(), "{closed}");
    }
}

#[test]
fn other_commands_need_no_whole_settings_but_right_ones() {
    let folder = Folder::with("listen = '0.0.0.0:1'");
    let flags = Flags { config: Some(folder.file()), values: Vec::new() };
    let of = |name: &str, value: &str| read(&flags, [(name.into(), value.into())]);
    assert_eq!(of("BATCHYARD_ACCESS_KEY_ID", "x").unwrap().listen.to_string(), "0.0.0.0:1");
    assert!(matches!(of("BATCHYARD_TYPO", "1"), Err(SettingsError::Unknown { .. })));
}

#[test]
fn a_data_folder_that_is_a_file_is_said_so() {
    let folder = Folder::with("");
    let file = folder.file().display().to_string();
    let message = from(None, &[], &[("data_dir", &file)]).unwrap_err().to_string();
    assert!(message.contains(&file) && message.contains("choose a folder"), "{message}");
}

#[test]
fn credentials_are_taken_from_the_environment() {
    let folder = Folder::with("");
    let pair = [("BATCHYARD_ACCESS_KEY_ID", "AKID"), ("BATCHYARD_SECRET_ACCESS_KEY", "12345678")];
    let given = from(Some(folder.file()), &pair, &[]).unwrap().given_credentials.unwrap();
    assert_eq!(given.access_key_id, "AKID");
    let message = from(Some(folder.file()), &pair[..1], &[]).unwrap_err().to_string();
    assert!(
        message.contains("BATCHYARD_ACCESS_KEY_ID is set without BATCHYARD_SECRET_ACCESS_KEY"),
        "{message}"
    );
    assert!(refused("secret_access_key = 'x'", &[], &[]).contains("no setting 'secret_access_key'"));
}

#[test]
fn the_page_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let made = Settings::reference();
    if kept != made {
        let proposal = std::env::temp_dir().join("batchyard-settings.md");
        std::fs::write(&proposal, &made).unwrap();
        panic!("docs/settings.md is out of date: copy {} over it", proposal.display());
    }
    for key in KEYS {
        assert!(made.contains(&format!("| `{}` | `{}` |", key.name, variable(key.name))));
    }
}
