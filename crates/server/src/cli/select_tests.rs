//! Which jobs words and flags mean, and what finding them costs.

use super::*;
use crate::cli::testing::{Handler, client_at, job, jobs_of, serve};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn tagged(id: &str, name: &str, status: &str, at: i64, tag: &str) -> Value {
    let mut job = job(id, name, status);
    job["createdAt"] = json!(1_700_000_000_000_i64 + at);
    job["tags"] = json!({ "n": tag });
    job
}

fn some_jobs() -> Vec<Value> {
    vec![
        tagged("aa11", "align", "SUCCEEDED", 0, "1"),
        tagged("aa22", "align", "RUNNING", 999, "2"),
        tagged("bb11", "sort", "FAILED", 5, "1"),
        tagged("cafe", "beef", "RUNNABLE", 6, "2"),
        tagged("beef", "x", "RUNNABLE", 7, "1"),
    ]
}

fn client() -> Client {
    client_at(&serve(jobs_of(some_jobs())))
}

fn id(begin: &str) -> String {
    job(begin, "", "")["jobId"].as_str().unwrap().to_string()
}

/// The first characters of the ids that a line of words finds.
fn found_by(client: &Client, words: &[&str], filters: &Filters, usual: Usual) -> Result<String, CliError> {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let jobs = jobs(client, &filters.with(&words, None)?, usual)?;
    Ok(jobs.iter().map(|j| &j.id()[..4]).collect::<Vec<_>>().join(" "))
}

fn found(words: &[&str]) -> String {
    found_by(&client(), words, &Filters::default(), Usual::ALL).unwrap()
}

fn code(words: &[&str]) -> u8 {
    found_by(&client(), words, &Filters::default(), Usual::ALL).unwrap_err().exit_code()
}

#[test]
fn ids_arns_prefixes_names_and_last() {
    assert_eq!(found(&["bb"]), "bb11");
    assert_eq!(found(&["BB1"]), "bb11");
    assert_eq!(found(&["sort"]), "bb11");
    assert_eq!(found(&["align"]), "aa22", "the newest of that name");
    assert_eq!(found(&["last"]), "aa22");
    assert_eq!(found(&["last:3"]), "aa22 beef cafe");
    assert_eq!(found(&["beef"]), "cafe", "a name goes before the beginning of an id");
    assert_eq!(found(&[&format!("arn:aws:batch:us-east-1:1:job/{}", id("bb11"))]), "bb11");
    assert_eq!(found(&["bb", "sort", "aa1"]), "bb11 aa11", "each once, in this order");
}

#[test]
fn sets_and_what_narrows_them() {
    assert_eq!(found(&["a*"]), "aa22 aa11");
    assert_eq!(found(&["*", "@n=1"]), "beef bb11 aa11");
    assert_eq!(found(&["@n=1"]), "beef bb11 aa11");
    assert_eq!(found(&["last", "@n=1"]), "beef");
    assert_eq!(found(&["last:2", "@n=1"]), "beef bb11");
    assert_eq!(found(&["align", "@n=1"]), "aa11", "the newest that fits");
    assert_eq!(found(&["aa", "@n=1"]), "aa11", "one fits");
    let open = |words: &[&str]| found_by(&client(), words, &Filters::default(), Usual::OPEN).unwrap();
    assert_eq!(open(&["a*"]), "aa22");
    assert_eq!(open(&["sort"]), "bb11", "one job may have any state");
    let failed = Filters { status: vec![State::Failed], ..Filters::default() };
    assert_eq!(found_by(&client(), &[], &failed, Usual::OPEN).unwrap(), "bb11");
    assert_eq!(found_by(&client(), &[&id("bb11"), &id("aa11")], &failed, Usual::OPEN).unwrap(), "bb11");
    let queue = Filters { queue: vec!["nope".into()], ..Filters::default() };
    assert_eq!(found_by(&client(), &["*"], &queue, Usual::ALL).unwrap_err().exit_code(), 3);
}

#[test]
fn what_is_not_there_is_code_3_and_what_is_not_clear_is_code_2() {
    for missing in ["dead", "nobody", &id("dddd"), "zzz-*", "@n=3"] {
        assert_eq!(code(&[missing]), 3, "{missing}");
    }
    assert_eq!(code(&["bb", "dead"]), 3, "nothing is done for the others either");
    assert_eq!(code(&[]), 2);
    let several = found_by(&client(), &["aa"], &Filters::default(), Usual::ALL).unwrap_err();
    assert_eq!(several.exit_code(), 2);
    assert!(several.to_string().contains(&id("aa11")) && several.to_string().contains(&id("aa22")));
    assert!(find(&client(), &Selection::read(&["zzz-*".into()]).unwrap(), Usual::ALL).unwrap().is_empty());
}

/// As `jobs_of`, with the filters of ListJobs, and every request written down.
fn filtering(takes_filters: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let all = some_jobs();
    let (plain, log) = (jobs_of(all.clone()), Arc::new(Mutex::new(Vec::new())));
    let seen = log.clone();
    let handler: Handler = Arc::new(move |operation, body| {
        let filter = &body["filters"][0];
        let value = filter["values"][0].as_str().unwrap_or_default().to_lowercase();
        let what = if filter.is_null() { body["jobStatus"].as_str().unwrap_or("-") } else { &value };
        seen.lock().unwrap().push(format!("{operation} {what}"));
        if filter.is_null() {
            return plain(operation, body);
        }
        if !takes_filters {
            return (400, json!({"__type": "ClientException", "message": "no filters"}));
        }
        let fits = |j: &&Value| match filter["name"].as_str() {
            Some("JOB_NAME") => {
                let name = j["jobName"].as_str().unwrap().to_lowercase();
                value.strip_suffix('*').map_or(name == value, |v| name.starts_with(v))
            }
            _ => j["createdAt"].as_i64().unwrap() > value.parse::<i64>().unwrap(),
        };
        (200, json!({ "jobSummaryList": all.iter().filter(fits).collect::<Vec<_>>() }))
    });
    (serve(handler), log)
}

#[test]
fn filters_save_requests_where_they_are_taken() {
    let (url, log) = filtering(true);
    let client = client_at(&url);
    let all = |words: &[&str]| found_by(&client, words, &Filters::default(), Usual::ALL).unwrap();
    assert_eq!(all(&["sort"]), "bb11");
    assert_eq!(all(&["a*"]), "aa22 aa11");
    let asked: Vec<String> =
        log.lock().unwrap().iter().filter(|l| l.starts_with("listjobs")).cloned().collect();
    assert_eq!(asked, ["listjobs sort", "listjobs a*"]);
    let since = Selection { since: Some(1_700_000_000_006), ..Selection::default() };
    assert_eq!(jobs(&client, &since, Usual::ALL).unwrap().len(), 3);
    assert_eq!(log.lock().unwrap().iter().filter(|l| *l == "listjobs 1700000000005").count(), 1);
    assert_eq!(jobs(&client, &since, Usual::ONLY_OPEN).unwrap().len(), 3, "open jobs are listed by state");
    assert_eq!(all(&["bb"]), "bb11", "no name: a beginning of an id");
}

#[test]
fn an_endpoint_that_refuses_filters_is_asked_once() {
    let (url, log) = filtering(false);
    let client = client_at(&url);
    let all = |words: &[&str]| found_by(&client, words, &Filters::default(), Usual::ALL).unwrap();
    assert_eq!((all(&["sort"]), all(&["a*"])), ("bb11".into(), "aa22 aa11".into()));
    assert_eq!(log.lock().unwrap().iter().filter(|l| *l == "listjobs sort").count(), 1);
    assert!(!log.lock().unwrap().contains(&"listjobs a*".to_string()));
}

#[test]
fn short_ids_tell_apart() {
    let (a, b, c) = (id("11111111-aaaa"), id("11111111-bbbb"), id("2222"));
    let child = format!("{c}:0");
    let short = short_ids(&[&a, &b, &c, &child]);
    assert_eq!(short, [a.as_str(), b.as_str(), c.as_str(), child.as_str()]);
    assert_eq!(short_ids(&[&a, &c]), ["11111111", &c[..8]]);
}
