//! The credentials file: made once, private, whole, and what is wrong with it is said.

use super::*;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("batchyard-credentials-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn the_first_start_makes_them_and_the_second_finds_them() {
    let folder = Folder::new();
    assert_eq!(Credentials::load(&folder.0).unwrap(), None);
    let (made, origin) = Credentials::establish(&folder.0, None).unwrap();
    assert_eq!(origin, Origin::Made);
    assert_eq!((made.access_key_id.len(), made.secret_access_key.len()), (20, 40));
    assert_eq!(Credentials::establish(&folder.0, None).unwrap(), (made.clone(), Origin::Kept));
    let mode = fs::metadata(folder.0.join(FILE_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let other = Folder::new();
    assert_ne!(Credentials::establish(&other.0, None).unwrap().0, made);
}

#[test]
fn given_ones_win_and_are_kept() {
    let folder = Folder::new();
    Credentials::establish(&folder.0, None).unwrap();
    let given = Credentials::from_parts(Some("AKIDEXAMPLE".into()), Some("secret/of+forty".into())).unwrap();
    let (got, origin) = Credentials::establish(&folder.0, given.clone()).unwrap();
    assert_eq!((Some(got), origin), (given.clone(), Origin::Given));
    assert_eq!(Credentials::load(&folder.0).unwrap(), given);
}

#[test]
fn given_ones_replace_a_spoilt_file() {
    let folder = Folder::new();
    fs::write(folder.0.join(FILE_NAME), "nonsense").unwrap();
    assert!(Credentials::establish(&folder.0, None).is_err());
    let given = Credentials::from_parts(Some("AKID".into()), Some("12345678".into())).unwrap();
    Credentials::establish(&folder.0, given.clone()).unwrap();
    assert_eq!(Credentials::load(&folder.0).unwrap(), given);
}

#[test]
fn a_file_open_to_others_is_refused() {
    let folder = Folder::new();
    Credentials::establish(&folder.0, None).unwrap();
    let path = folder.0.join(FILE_NAME);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Credentials::load(&folder.0).unwrap_err().to_string();
    assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
}

#[test]
fn half_a_pair_is_refused() {
    let error = Credentials::from_parts(Some("AKID".into()), None).unwrap_err().to_string();
    assert!(error.contains("BATCHYARD_SECRET_ACCESS_KEY"), "{error}");
    assert!(Credentials::from_parts(None, Some("12345678".into())).is_err());
    assert!(Credentials::from_parts(Some("a/b".into()), Some("12345678".into())).is_err());
    assert!(Credentials::from_parts(Some("AKID".into()), Some("with blank".into())).is_err());
}

#[test]
fn other_profiles_are_passed_over() {
    let text =
        "[other]\naws_access_key_id=X\n[default]\naws_access_key_id=A\naws_secret_access_key = b=c/d+eff\n";
    let pair = parse(text).unwrap();
    assert_eq!((pair.access_key_id.as_str(), pair.secret_access_key.as_str()), ("A", "b=c/d+eff"));
    assert_eq!(
        parse("[default]\naws_access_key_id=A\n").unwrap_err(),
        "no aws_secret_access_key under [default]"
    );
}

#[test]
fn the_secret_is_not_in_debug_output() {
    let pair = Credentials { access_key_id: "AKID".into(), secret_access_key: "hush-hush".into() };
    assert!(!format!("{pair:?}").contains("hush"));
}
