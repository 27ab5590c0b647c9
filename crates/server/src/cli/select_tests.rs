//! Which job a word means.

use super::*;
use crate::cli::testing::{client_at, job, jobs_of, serve};
use serde_json::json;

fn client() -> Client {
    let mut newer = job("aa22", "align", "RUNNING");
    newer["createdAt"] = json!(1_700_000_000_999_i64);
    client_at(&serve(jobs_of(vec![
        job("aa11", "align", "SUCCEEDED"),
        newer,
        job("bb11", "sort", "FAILED"),
        job("cafe", "beef", "RUNNABLE"),
        job("beef", "x", "RUNNABLE"),
    ])))
}

fn id(begin: &str) -> String {
    job(begin, "", "")["jobId"].as_str().unwrap().to_string()
}

#[test]
fn ids_arns_prefixes_names_and_last() {
    let client = client();
    let of = |word: &str| ids(&client, &[word.to_string()]).unwrap().remove(0);
    assert_eq!(of("bb"), id("bb11"));
    assert_eq!(of("BB1"), id("bb11"));
    assert_eq!(of("sort"), id("bb11"));
    assert_eq!(of("align"), id("aa22"), "the newest of that name");
    assert_eq!(of("last"), id("aa22"));
    assert_eq!(of("beef"), id("cafe"), "a name goes before the beginning of an id");
    assert_eq!(of(&format!("arn:aws:batch:us-east-1:1:job/{}", id("bb11"))), id("bb11"));
    assert_eq!(of(&format!("{}:3", id("bb11"))), format!("{}:3", id("bb11")));
    assert_eq!(of("bb1:3"), format!("{}:3", id("bb11")));
}

#[test]
fn the_same_job_twice_is_one() {
    let words = ["bb".to_string(), "sort".to_string()];
    assert_eq!(ids(&client(), &words).unwrap(), [id("bb11")]);
}

#[test]
fn what_is_not_there_is_code_3_and_what_is_not_clear_is_code_2() {
    let client = client();
    let error = |word: &str| job_error(&client, word);
    assert_eq!(error("dead").exit_code(), 3);
    assert_eq!(error("nobody").exit_code(), 3);
    assert_eq!(error(&id("dddd")).exit_code(), 3);
    let several = error("aa");
    assert_eq!(several.exit_code(), 2);
    assert!(several.to_string().contains(&id("aa11")) && several.to_string().contains(&id("aa22")));
}

fn job_error(client: &Client, word: &str) -> CliError {
    super::job(client, word).unwrap_err()
}

#[test]
fn short_ids_tell_apart() {
    let long = |begin: &str| id(begin);
    let (a, b, c) = (long("11111111-aaaa"), long("11111111-bbbb"), long("2222"));
    let child = format!("{c}:0");
    let short = short_ids(&[&a, &b, &c, &child]);
    assert_eq!(short, [a.as_str(), b.as_str(), c.as_str(), child.as_str()]);
    assert_eq!(short_ids(&[&a, &c]), ["11111111", &c[..8]]);
}
