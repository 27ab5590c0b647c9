//! Which endpoint, region and keys win.

use super::*;
use crate::cli::testing::TempDir;

/// Resolves with the given variables and aws files in a home folder of its own.
fn resolve_with(
    options: &Options,
    vars: &[(&str, &str)],
    config: &str,
    shared: &str,
) -> Result<Settings, CliError> {
    let home = TempDir::new();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    fs::write(home.path().join(".aws/credentials"), shared).unwrap();
    let home_text = home.path().to_str().unwrap().to_string();
    let env = |name: &str| {
        let of_vars = vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        of_vars.or_else(|| (name == "HOME").then(|| home_text.clone()))
    };
    resolve(options, &env)
}

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "SK"), ("AWS_REGION", "us-east-1")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    KEYS.iter().chain(more).copied().collect()
}

#[test]
fn aws_itself_is_the_endpoint_when_only_keys_are_there() {
    let s = resolve_with(&Options::default(), &KEYS, "", "").unwrap();
    assert_eq!(
        s.endpoints,
        [
            "https://batch.us-east-1.amazonaws.com",
            "https://logs.us-east-1.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com"
        ]
    );
}

#[test]
fn the_service_variable_wins_over_the_general_one_and_the_flag_over_both() {
    let vars = with(&[("AWS_ENDPOINT_URL_BATCH", "http://b:1/"), ("AWS_ENDPOINT_URL", "http://all:1")]);
    let s = resolve_with(&Options::default(), &vars, "", "").unwrap();
    assert_eq!(s.endpoints, ["http://b:1", "http://all:1", "http://all:1"]);
    let flag = Options { endpoint_url: Some("http://flag:1".into()), ..Options::default() };
    assert_eq!(resolve_with(&flag, &vars, "", "").unwrap().endpoints, ["http://flag:1"; 3]);
}

#[test]
fn endpoints_of_the_config_file() {
    let config = "[default]\nregion = eu-west-1\nservices = mine\nendpoint_url = http://general:1\n\
                  [services mine]\nbatch =\n  endpoint_url = http://batch:1\n";
    let shared = "[default]\naws_access_key_id=A\naws_secret_access_key=B\naws_session_token=T\n";
    let s = resolve_with(&Options::default(), &[], config, shared).unwrap();
    assert_eq!(s.endpoints, ["http://batch:1", "http://general:1", "http://general:1"]);
    assert_eq!((s.region.as_str(), s.credentials.session_token.as_deref()), ("eu-west-1", Some("T")));
    let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
    let s = resolve_with(&Options::default(), &ignored, config, shared).unwrap();
    assert_eq!(s.endpoints[0], "https://batch.eu-west-1.amazonaws.com");
}

#[test]
fn a_profile_by_flag_goes_before_variables_and_one_by_variable_after() {
    let config = "[profile dev]\nregion = us-west-2\n";
    let shared = "[dev]\naws_access_key_id=DEV\naws_secret_access_key=B\n";
    let by_flag = Options { profile: Some("dev".into()), ..Options::default() };
    assert_eq!(resolve_with(&by_flag, &KEYS, config, shared).unwrap().credentials.access_key_id, "DEV");
    let by_variable = with(&[("AWS_PROFILE", "dev")]);
    let s = resolve_with(&Options::default(), &by_variable, config, shared).unwrap();
    assert_eq!(s.credentials.access_key_id, "AK");
    let s = resolve_with(&Options::default(), &[("AWS_PROFILE", "dev")], config, shared).unwrap();
    assert_eq!((s.credentials.access_key_id.as_str(), s.region.as_str()), ("DEV", "us-west-2"));
}

#[test]
fn an_unknown_profile_and_a_missing_region_are_usage_errors() {
    let unknown = Options { profile: Some("nope".into()), ..Options::default() };
    let error = resolve_with(&unknown, &KEYS, "", "").unwrap_err();
    assert!(matches!(&error, CliError::Usage(t) if t.contains("nope")), "{error}");
    assert!(matches!(resolve_with(&Options::default(), &KEYS[..2], "", ""), Err(CliError::Usage(_))));
}

#[test]
fn keys_that_cannot_be_followed_are_said_so() {
    let config = "[profile sso]\nsso_session = x\nregion = us-east-1\n";
    let options = Options { profile: Some("sso".into()), ..Options::default() };
    let error = resolve_with(&options, &[], config, "").unwrap_err();
    assert!(matches!(&error, CliError::Denied(t) if t.contains("export-credentials")), "{error}");
}

/// A data folder that a server left, which runs when `runs` says so.
fn left_by_server(runs: bool) -> TempDir {
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::write(dir.path().join("run/endpoint"), "http://127.0.0.1:7\nus-west-1\n").unwrap();
    let keys = "[default]\naws_access_key_id=L\naws_secret_access_key=S\n";
    fs::write(dir.path().join("credentials"), keys).unwrap();
    if runs {
        fs::write(dir.path().join("run/pid"), local::pid_line()).unwrap();
    }
    dir
}

fn at(folder: Folder) -> Options {
    Options { folder, ..Options::default() }
}

const AWS: &str = "https://batch.us-east-1.amazonaws.com";
const LOCAL: &str = "http://127.0.0.1:7";
const ELSEWHERE: [(&str, &str); 1] = [("AWS_ENDPOINT_URL", "http://elsewhere:1")];

fn endpoint_of(options: &Options, vars: &[(&str, &str)]) -> String {
    resolve_with(options, vars, "", "").unwrap().endpoints[0].clone()
}

#[test]
fn a_folder_that_nobody_named_goes_before_aws_while_its_server_runs() {
    let (running, stopped) = (left_by_server(true), left_by_server(false));
    let options = at(Folder::Default(running.path().into()));
    assert_eq!(endpoint_of(&options, &KEYS), LOCAL);
    assert_eq!(resolve_with(&options, &KEYS, "", "").unwrap().credentials.access_key_id, "L");
    assert_eq!(endpoint_of(&options, &[("AWS_PROFILE", "gone")]), LOCAL);
    assert_eq!(endpoint_of(&options, &with(&ELSEWHERE)), "http://elsewhere:1");
    let by_flag = Options { endpoint_url: Some("http://flag:1".into()), ..options.clone() };
    assert_eq!(endpoint_of(&by_flag, &KEYS), "http://flag:1");
    let shared = "[dev]\naws_access_key_id=DEV\naws_secret_access_key=B\n";
    let by_profile = Options { profile: Some("dev".into()), ..options.clone() };
    assert_eq!(resolve_with(&by_profile, &KEYS, "", shared).unwrap().endpoints[0], AWS);
    assert!(matches!(resolve_with(&options, &ELSEWHERE, "", ""), Err(CliError::Denied(_))));

    let options = at(Folder::Default(stopped.path().into()));
    assert_eq!(endpoint_of(&options, &KEYS), AWS);
    let local = resolve_with(&options, &[], "", "").unwrap();
    assert_eq!((local.endpoints[1].as_str(), local.region.as_str()), (LOCAL, "us-west-1"));
    let nowhere = at(Folder::Default("/nonexistent".into()));
    assert!(matches!(resolve_with(&nowhere, &[], "", ""), Err(CliError::NotFound(_))));
}

#[test]
fn a_folder_that_was_named_never_leads_to_aws() {
    let stopped = left_by_server(false);
    let vars = with(&ELSEWHERE);
    for folder in [Folder::Variable(stopped.path().into()), Folder::Flag(stopped.path().into())] {
        assert_eq!(endpoint_of(&at(folder), &vars), LOCAL);
    }
    let empty = TempDir::new();
    for folder in [Folder::Variable(empty.path().into()), Folder::Flag(empty.path().into())] {
        assert!(matches!(resolve_with(&at(folder), &KEYS, "", ""), Err(CliError::NotFound(_))));
    }
    assert_eq!(endpoint_of(&at(Folder::Variable(empty.path().into())), &vars), "http://elsewhere:1");
    let flag = at(Folder::Flag(empty.path().into()));
    assert!(matches!(resolve_with(&flag, &vars, "", ""), Err(CliError::NotFound(_))));
}
