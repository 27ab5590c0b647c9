//! Finds the job that a word on the command line means: an id, an ARN, `last`, a name, or the beginning of an id.
//!
//! A full id or ARN costs no request here. Everything else lists all queues in all states, since the API has no other
//! way that every endpoint answers: one request a queue and state, more where a listing has more than 1000 jobs.
//! Never here: what is then done with the job.

use super::client::Client;
use super::client::calls::Depth;
use super::error::CliError;
use super::job::{Job, State};
use std::fmt::Write as _;

/// Most candidates shown for an ambiguous word.
const SHOWN: usize = 10;

/// The details of the job meant by each word, in this order. Errors: [`CliError::NotFound`], [`CliError::Usage`] when
/// a word fits several jobs.
pub fn jobs(client: &Client, words: &[String]) -> Result<Vec<Job>, CliError> {
    let ids = ids(client, words)?;
    let found = client.describe_jobs(&ids)?;
    match ids.iter().position(|id| !found.iter().any(|j| j.id() == id)) {
        Some(missing) => Err(not_found(client, &words[missing])),
        None => Ok(found),
    }
}

/// The details of the one job meant.
pub fn job(client: &Client, word: &str) -> Result<Job, CliError> {
    jobs(client, &[word.to_string()])?.pop().ok_or_else(|| not_found(client, word))
}

/// The id of the job meant by each word. Whether a full id exists is not asked.
pub fn ids(client: &Client, words: &[String]) -> Result<Vec<String>, CliError> {
    let mut all: Option<Vec<Job>> = None;
    let mut ids: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let id = match full_id(word) {
            Some(id) => id.to_string(),
            None if word == "last" => newest(&everything(client, Depth::Newest)?)
                .map(|j| j.id().to_string())
                .ok_or_else(|| CliError::NotFound(format!("no jobs at {}", client.endpoint())))?,
            None => {
                if all.is_none() {
                    all = Some(everything(client, Depth::All)?);
                }
                choose(client, all.as_deref().unwrap_or_default(), word)?
            }
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// All jobs of all queues in all states.
fn everything(client: &Client, depth: Depth) -> Result<Vec<Job>, CliError> {
    let mut jobs = Vec::new();
    for queue in client.queue_names(&[])? {
        for state in State::ALL {
            jobs.extend(client.list_jobs(&queue, state, depth)?.jobs);
        }
    }
    Ok(jobs)
}

/// The id in a full id or a job ARN, with the part after `:` or `#` of array children and nodes.
fn full_id(word: &str) -> Option<&str> {
    if word.starts_with("arn:") {
        return word.split_once(":job/").map(|(_, id)| id);
    }
    let base = word.split([':', '#']).next().unwrap_or(word);
    let dashes = [8, 13, 18, 23];
    let fits = |(i, c): (usize, char)| if dashes.contains(&i) { c == '-' } else { c.is_ascii_hexdigit() };
    (base.len() == 36 && base.chars().enumerate().all(fits)).then_some(word)
}

/// Picks from a listing: the newest of that name, else the only one whose id begins so.
fn choose(client: &Client, all: &[Job], word: &str) -> Result<String, CliError> {
    let named: Vec<&Job> = all.iter().filter(|j| j.name() == word).collect();
    if let Some(job) = newest(named) {
        return Ok(job.id().to_string());
    }
    let (base, rest) = word.split_at(word.find([':', '#']).unwrap_or(word.len()));
    if base.is_empty() || !base.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(not_found(client, word));
    }
    // A job that changed its state between two listings is in both.
    let mut fitting: Vec<&Job> = Vec::new();
    for job in all.iter().filter(|j| j.id().starts_with(&base.to_ascii_lowercase())) {
        if !fitting.iter().any(|f| f.id() == job.id()) {
            fitting.push(job);
        }
    }
    match fitting.as_slice() {
        [] => Err(not_found(client, word)),
        [one] => Ok(format!("{}{rest}", one.id())),
        several => Err(ambiguous(word, several)),
    }
}

fn newest<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Option<&'a Job> {
    jobs.into_iter().max_by_key(|j| j.created())
}

fn ambiguous(word: &str, jobs: &[&Job]) -> CliError {
    let mut text = format!("`{word}` fits {} jobs; write more of the id:", jobs.len());
    for job in jobs.iter().take(SHOWN) {
        let _ = write!(text, "\n  {}  {}  {}", job.id(), job.status(), job.name());
    }
    if jobs.len() > SHOWN {
        let _ = write!(text, "\n  and {} more", jobs.len() - SHOWN);
    }
    CliError::Usage(text)
}

fn not_found(client: &Client, word: &str) -> CliError {
    CliError::NotFound(format!(
        "no job `{word}` at {}; `batchyard ps -a` lists those there are",
        client.endpoint()
    ))
}

/// The shortest form, from 8 characters on, that tells the ids of a listing apart; the whole id where none does.
pub fn short_ids(ids: &[&str]) -> Vec<String> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    ids.iter()
        .map(|id| {
            let place = sorted.partition_point(|s| s < id);
            let neighbours = [place.checked_sub(1), Some(place + 1)];
            let shared = neighbours
                .into_iter()
                .filter_map(|n| sorted.get(n?))
                .map(|other| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count())
                .max()
                .unwrap_or(0);
            let length = if shared < 8 { 8 } else { id.len() };
            // Children and nodes are told apart by their end.
            if id.contains([':', '#']) { (*id).to_string() } else { id.chars().take(length).collect() }
        })
        .collect()
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
