//! Follows a job: asks at a pace that suits, reads its logs as they come, and lives through a restart of the server.
//!
//! Never here: what is printed around the log, when to stop.

use super::client::Client;
use super::client::calls::Event;
use super::error::CliError;
use super::job::Job;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long a server that answered before may be away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pages of a log that are read in one go while the job goes on, so that a signal or an end is not missed for long.
const PAGES_AT_ONCE: usize = 16;

/// Pauses between two questions: short after something happened, longer and longer while nothing does.
pub struct Pace {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Pace {
    /// 5 ms to 500 ms; AWS itself limits the rate and gets 1 s to 10 s.
    pub fn of(client: &Client) -> Self {
        let (first, most) = if client.is_aws() { (1000, 10_000) } else { (5, 500) };
        let (first, most) = (Duration::from_millis(first), Duration::from_millis(most));
        Self { next: first, first, most }
    }

    /// The pause to make now; the next one is half as long again.
    pub fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 3 / 2).min(self.most);
        now
    }

    /// Something changed: ask soon again.
    pub fn changed(&mut self) {
        self.next = self.first;
    }

    /// The log grows: ask again soon, but not as if an end were near.
    pub fn wrote(&mut self) {
        self.next = self.next.min(self.first * 10);
    }
}

/// Asks for the state of jobs again and again.
pub struct Watcher<'a> {
    client: &'a Client,
    ids: Vec<String>,
    answered: bool,
    away_since: Option<Instant>,
}

impl<'a> Watcher<'a> {
    /// Watches these ids.
    pub fn new(client: &'a Client, ids: Vec<String>) -> Self {
        Self { client, ids, answered: false, away_since: None }
    }

    /// The jobs now. Nothing when a server that answered before is away for a moment (a restart: the jobs go on).
    /// Errors: it never answered, it is away for too long, a job is gone.
    pub fn look(&mut self) -> Result<Option<Vec<Job>>, CliError> {
        let answer = self.client.describe_jobs(&self.ids);
        let Some(jobs) = self.tolerate(answer)? else { return Ok(None) };
        let there: HashSet<&str> = jobs.iter().map(Job::id).collect();
        match self.ids.iter().find(|id| !there.contains(id.as_str())) {
            Some(id) => Err(CliError::NotFound(format!("job {id} is not there any more"))),
            None => Ok(Some(jobs)),
        }
    }

    /// Lets a missing answer pass for [`PATIENCE`], once there was one.
    pub fn tolerate<T>(&mut self, answer: Result<T, CliError>) -> Result<Option<T>, CliError> {
        match answer {
            Ok(value) => {
                self.answered = true;
                self.away_since = None;
                Ok(Some(value))
            }
            Err(error @ CliError::Unreachable { .. }) if self.answered => {
                let since = *self.away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE { Err(error) } else { Ok(None) }
            }
            Err(error) => Err(error),
        }
    }

    /// The server is away at the moment.
    pub fn is_away(&self) -> bool {
        self.away_since.is_some()
    }
}

/// Reads the logs of one job, attempt after attempt, each line once.
pub struct Tail<'a> {
    client: &'a Client,
    since: Option<i64>,
    attempt: Option<usize>,
    stream: usize,
    token: Option<String>,
}

impl<'a> Tail<'a> {
    /// From the beginning, or from a time on; of all attempts, or of one (from 1).
    pub fn new(client: &'a Client, since: Option<i64>, attempt: Option<usize>) -> Self {
        Self { client, since, attempt, stream: 0, token: None }
    }

    /// Whether there is a stream to read at all.
    pub fn has_log(&self, job: &Job) -> bool {
        !self.streams(job).is_empty()
    }

    fn streams(&self, job: &Job) -> Vec<(String, String)> {
        self.attempt.map_or_else(|| job.streams(), |n| job.attempt_streams(n))
    }

    /// Lines that came since the last call, up to the end of the log where the job has ended. `take` gets each page;
    /// gives whether there were any lines.
    pub fn read(
        &mut self,
        job: &Job,
        take: &mut dyn FnMut(&[Event]) -> Result<(), CliError>,
    ) -> Result<bool, CliError> {
        let streams = self.streams(job);
        let mut any = false;
        while let Some(stream) = streams.get(self.stream) {
            let last = self.stream + 1 == streams.len();
            let pages = if last && !job.has_ended() { PAGES_AT_ONCE } else { usize::MAX };
            any |= self.pages(stream, pages, take)?;
            if last {
                break;
            }
            self.stream += 1;
            self.token = None;
        }
        Ok(any)
    }

    /// The end of a stream is there when its token comes back as it was sent (spec infrastructure §9.4).
    fn pages(
        &mut self,
        stream: &(String, String),
        most: usize,
        take: &mut dyn FnMut(&[Event]) -> Result<(), CliError>,
    ) -> Result<bool, CliError> {
        let mut any = false;
        for _ in 0..most {
            let (events, next) = self.client.log_page(stream, self.since, self.token.as_deref())?;
            if !events.is_empty() {
                any = true;
                take(&events)?;
            }
            if next.is_none() || next == self.token {
                break;
            }
            self.token = next;
        }
        Ok(any)
    }

    /// How long after a job's end its last lines may still be on their way: AWS delivers logs behind time.
    pub fn lag(&self) -> Duration {
        if self.client.is_aws() { Duration::from_secs(6) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{client_at, log_of, serve};
    use serde_json::json;

    #[test]
    fn pauses_grow_to_a_limit_and_shrink_after_a_change() {
        let mut pace = Pace {
            next: Duration::from_millis(5),
            first: Duration::from_millis(5),
            most: Duration::from_millis(500),
        };
        let pauses: Vec<_> = (0..20).map(|_| pace.pause()).collect();
        assert_eq!(pauses[0], Duration::from_millis(5));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[19], Duration::from_millis(500));
        pace.wrote();
        assert_eq!(pace.pause(), Duration::from_millis(50));
        pace.changed();
        assert_eq!(pace.pause(), Duration::from_millis(5));
    }

    #[test]
    fn every_line_of_every_attempt_comes_once() {
        let server = serve(log_of(vec![("a", vec!["1", "2"]), ("b", vec!["3", "4", "5"])]));
        let client = client_at(&server);
        let running = Job::new(json!({"status": "RUNNING", "container": {"logStreamName": "a"}}));
        let ended = Job::new(json!({"status": "SUCCEEDED", "container": {"logStreamName": "b"},
            "attempts": [{"container": {"logStreamName": "a"}}, {"container": {"logStreamName": "b"}}]}));
        let mut tail = Tail::new(&client, None, None);
        let mut lines = Vec::new();
        for job in [&running, &running, &ended, &ended] {
            let mut take = |events: &[Event]| {
                lines.extend(events.iter().map(|e| e.text.clone()));
                Ok(())
            };
            tail.read(job, &mut take).unwrap();
        }
        assert_eq!(lines, ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_server_that_answered_may_be_away_and_one_that_never_did_may_not() {
        let client = client_at("http://127.0.0.1:9");
        let mut watcher = Watcher::new(&client, vec![]);
        let away = || Err::<(), _>(CliError::Unreachable { text: String::new() });
        assert!(watcher.tolerate(away()).is_err());
        assert!(watcher.tolerate(Ok(())).unwrap().is_some());
        assert!(watcher.tolerate(away()).unwrap().is_none());
        assert!(watcher.is_away());
    }
}
