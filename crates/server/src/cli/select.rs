//! Finds the jobs that words and flags of a command line mean.
//!
//! A full id or ARN costs no request here. What every endpoint answers is a listing a queue and state, so that is what
//! is asked; a name or a time over all states goes through the filters of ListJobs (spec jobs §9) where the endpoint
//! takes them. Tags are in DescribeJobs only: a hundred jobs a request.
//! Never here: what the words mean by themselves (selector.rs), what is then done with the jobs.

use super::client::Client;
use super::client::calls::{Depth, Filter};
use super::error::CliError;
use super::job::{Job, State};
use super::selector::{Selection, Word};
use super::units;
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

/// Most candidates shown for an ambiguous word.
const SHOWN: usize = 10;
/// Jobs of one DescribeJobs.
const DESCRIBED: usize = 100;

/// Flags that narrow what the words name; every command that takes jobs has them.
#[derive(Debug, Clone, Default, Args)]
pub struct Filters {
    /// Only jobs with this tag; KEY alone: with any value; the value may hold * and ?; may be repeated
    #[arg(short = 'l', long = "tagged", value_name = "KEY=VALUE", help_heading = "Which jobs")]
    pub tagged: Vec<String>,
    /// Only jobs in this state; may be repeated
    #[arg(long, ignore_case = true, value_name = "STATE", help_heading = "Which jobs")]
    pub status: Vec<State>,
    /// Only jobs of this queue; may be repeated
    #[arg(long, value_name = "QUEUE", help_heading = "Which jobs",
          add = ArgValueCompleter::new(super::completion::queues))]
    pub queue: Vec<String>,
}

/// As [`Filters`], with the time of submission.
#[derive(Debug, Clone, Default, Args)]
pub struct TimedFilters {
    /// Those without a time.
    #[command(flatten)]
    pub filters: Filters,
    /// Only jobs submitted in this last while (30m, 2h, 1d)
    #[arg(long, value_name = "AGE", value_parser = units::duration, help_heading = "Which jobs")]
    pub since: Option<Duration>,
}

impl Filters {
    /// What the words and these flags mean.
    pub fn with(&self, words: &[String], since: Option<Duration>) -> Result<Selection, CliError> {
        let read = Selection::read(words)?;
        read.narrowed(&self.tagged, &self.status, &self.queue, since, units::now_ms())
    }
}

impl TimedFilters {
    /// What the words and these flags mean.
    pub fn with(&self, words: &[String]) -> Result<Selection, CliError> {
        self.filters.with(words, self.since)
    }
}

/// The states that a command looks at for a set (a pattern, or conditions alone) where no state is asked for. A single
/// job may have any state.
#[derive(Debug, Clone, Copy)]
pub struct Usual {
    /// As a rule.
    pub states: &'static [State],
    /// With a time of submission.
    pub since: &'static [State],
    /// How those of such a state are called.
    pub called: &'static str,
}

impl Usual {
    /// Any state.
    pub const ALL: Self = Self { states: &State::ALL, since: &State::ALL, called: "job" };
    /// What has not ended; of a while, all of it.
    pub const OPEN: Self = Self { states: &State::OPEN, since: &State::ALL, called: "job that goes on" };
    /// Never what has ended.
    pub const ONLY_OPEN: Self =
        Self { states: &State::OPEN, since: &State::OPEN, called: "job that goes on" };
    /// What can still be cancelled.
    pub const WAITING: Self =
        Self { states: &State::WAITING, since: &State::WAITING, called: "job that waits" };
}

/// The details of the jobs meant, in the order of the words, those of one word newest first.
/// Errors: [`CliError::NotFound`] for nothing found, [`CliError::Usage`] for a word that fits several jobs, or nothing
/// said at all.
pub fn jobs(client: &Client, selection: &Selection, usual: Usual) -> Result<Vec<Job>, CliError> {
    let found = find(client, selection, usual)?;
    if found.is_empty() { Err(nothing(client, selection, usual)) } else { Ok(found) }
}

/// As [`jobs`], but a pattern or conditions that nothing fits are no error.
pub fn find(client: &Client, selection: &Selection, usual: Usual) -> Result<Vec<Job>, CliError> {
    let picked = Finder { client, selection, usual, all: None }.picked()?;
    let ids: Vec<String> = picked.iter().map(|p| p.id.clone()).collect();
    let found = client.describe_jobs(&ids)?;
    let there: HashSet<&str> = found.iter().map(Job::id).collect();
    if let Some(missing) = picked.iter().find(|p| p.certain && !there.contains(p.id.as_str())) {
        return Err(not_found(client, &missing.word));
    }
    // Full ids are not listed, and a listed job may have moved on: this is where the conditions hold.
    let by_id: HashSet<&str> = picked.iter().filter(|p| p.certain).map(|p| p.id.as_str()).collect();
    let fits = |job: &Job| selection.tags_fit(job) && (!by_id.contains(job.id()) || selection.fits(job));
    Ok(found.into_iter().filter(fits).collect())
}

/// The details of the one job meant by a word.
pub fn job(client: &Client, word: &str) -> Result<Job, CliError> {
    let selection = Selection::read(&[word.to_string()])?;
    let mut found = jobs(client, &selection, Usual::ALL)?;
    match found.as_slice() {
        [_] => found.pop().ok_or_else(|| not_found(client, word)),
        several => Err(ambiguous(word, &several.iter().collect::<Vec<_>>(), "name one job")),
    }
}

/// A job that a word names.
struct Picked {
    id: String,
    word: String,
    /// It was not listed: named by its id.
    certain: bool,
}

struct Finder<'a> {
    client: &'a Client,
    selection: &'a Selection,
    usual: Usual,
    /// All jobs, once they were asked for.
    all: Option<Vec<Job>>,
}

impl Finder<'_> {
    fn picked(&mut self) -> Result<Vec<Picked>, CliError> {
        let selection = self.selection;
        if selection.is_empty() {
            return Err(CliError::Usage(
                "no jobs are named; give ids, names, patterns such as 'train-*', last, @tag=value, --status, --queue"
                    .into(),
            ));
        }
        let mut picked: Vec<Picked> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut add = |ids: Vec<String>, word: &str, certain: bool| {
            for id in ids {
                if seen.insert(id.clone()) {
                    picked.push(Picked { id, word: word.into(), certain });
                }
            }
        };
        if selection.words.is_empty() {
            let set = self.set(None)?;
            add(ids_of(&set), "", false);
        }
        for (word, written) in selection.words.iter().zip(&selection.written) {
            match word {
                Word::Id(id) => add(vec![id.clone()], written, true),
                Word::Children(array, ranges) => {
                    let array = self.array(array)?;
                    let indexes = ranges.iter().flat_map(|(first, last)| *first..=*last);
                    add(indexes.map(|index| format!("{array}:{index}")).collect(), written, true);
                }
                Word::Last(count) => add(ids_of(&self.newest(*count)?), written, false),
                Word::Glob(glob) => {
                    let mut set = self.set(Some(glob.beginning()))?;
                    set.retain(|j| glob.fits(j.name()));
                    add(ids_of(&set), written, false);
                }
                Word::Name(name) => add(vec![self.one(name)?], written, false),
            }
        }
        Ok(picked)
    }

    /// All jobs that fit the conditions but for tags, newest first. `beginning` is what their names begin with.
    fn set(&mut self, beginning: Option<&str>) -> Result<Vec<Job>, CliError> {
        let usual = if self.selection.since.is_some() { self.usual.since } else { self.usual.states };
        let states = if self.selection.states.is_empty() { usual } else { &self.selection.states };
        let name = beginning.filter(|b| !b.is_empty()).map(|b| Filter::Name(format!("{b}*")));
        let filter = name.or(self.selection.since.map(Filter::Since));
        // Open jobs are few, and a filter gives the ended ones too.
        let filtered = match filter.filter(|_| states.iter().any(|s| s.has_ended())) {
            Some(filter) => self.filtered(&filter, Depth::All)?,
            None => None,
        };
        let mut jobs = match filtered {
            Some(jobs) => jobs,
            None => self.listed(states, Depth::All)?,
        };
        jobs.retain(|j| j.state().is_none_or(|s| states.contains(&s)) && self.selection.fits(j));
        Ok(once_each(jobs))
    }

    /// The newest jobs that fit, this many.
    fn newest(&mut self, count: usize) -> Result<Vec<Job>, CliError> {
        let selection = self.selection;
        let wanted = &selection.states;
        let states = if wanted.is_empty() { &State::ALL[..] } else { wanted };
        let plain = selection.tags.is_empty() && selection.since.is_none();
        let jobs = self.listed(states, if plain { Depth::Newest(count) } else { Depth::All })?;
        let mut jobs = once_each(jobs);
        jobs.retain(|j| selection.fits(j));
        let mut newest = Vec::new();
        for chunk in jobs.chunks(DESCRIBED) {
            newest.extend(self.tagged(chunk.to_vec())?);
            if newest.len() >= count {
                break;
            }
        }
        newest.truncate(count);
        if newest.is_empty() { Err(nothing(self.client, selection, Usual::ALL)) } else { Ok(newest) }
    }

    /// The id of the array that a word of children begins with.
    fn array(&mut self, text: &str) -> Result<String, CliError> {
        let whole = text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if whole { Ok(text.into()) } else { self.one(text) }
    }

    /// The newest job of this name, else the only one whose id begins so.
    fn one(&mut self, name: &str) -> Result<String, CliError> {
        let selection = self.selection;
        let filter = Filter::Name(name.into());
        let depth = if selection.narrows() { Depth::All } else { Depth::Newest(1) };
        let may_be_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let ask = self.all.is_none() && may_be_name;
        let mut filtered = if ask { self.filtered(&filter, depth)? } else { None };
        // The filter takes other letter cases too, which may fill the first page.
        if filtered.as_ref().is_some_and(|all| !all.is_empty() && all.iter().all(|j| j.name() != name)) {
            filtered = self.filtered(&filter, Depth::All)?;
        }
        let listed = match filtered {
            Some(jobs) => jobs,
            None => self.everything()?.to_vec(),
        };
        let named: Vec<Job> = listed.into_iter().filter(|j| j.name() == name && selection.fits(j)).collect();
        if let Some(job) = newest(&self.tagged(named)?) {
            return Ok(job.id().into());
        }
        let (base, rest) = name.split_at(name.find([':', '#']).unwrap_or(name.len()));
        if base.is_empty() || !base.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(not_found(self.client, name));
        }
        let beginning = base.to_ascii_lowercase();
        let fits = |j: &&Job| j.id().starts_with(&beginning) && selection.fits(j);
        let fitting = self.everything()?.iter().filter(fits).cloned().collect();
        match self.tagged(once_each(fitting))?.as_slice() {
            [] => Err(not_found(self.client, name)),
            [one] => Ok(format!("{}{rest}", one.id())),
            several => Err(ambiguous(name, &several.iter().collect::<Vec<_>>(), "write more of the id")),
        }
    }

    /// Those whose tags fit; asks only where tags matter.
    fn tagged(&self, jobs: Vec<Job>) -> Result<Vec<Job>, CliError> {
        if self.selection.tags.is_empty() || jobs.is_empty() {
            return Ok(jobs);
        }
        let described = self.client.describe_jobs(&ids_of(&jobs))?;
        Ok(described.into_iter().filter(|j| self.selection.tags_fit(j)).collect())
    }

    fn everything(&mut self) -> Result<&[Job], CliError> {
        if self.all.is_none() {
            self.all = Some(self.listed(&State::ALL, Depth::All)?);
        }
        Ok(self.all.as_deref().unwrap_or_default())
    }

    fn listed(&self, states: &[State], depth: Depth) -> Result<Vec<Job>, CliError> {
        let mut jobs = Vec::new();
        for queue in self.client.queue_names(&self.selection.queues)? {
            for state in states {
                jobs.extend(self.client.list_jobs(&queue, *state, depth)?.jobs);
            }
        }
        Ok(jobs)
    }

    /// Jobs in all states by a filter of ListJobs; nothing where the endpoint refuses it, or finds nothing by it, since
    /// some do not look at filters.
    fn filtered(&self, filter: &Filter, depth: Depth) -> Result<Option<Vec<Job>>, CliError> {
        let mut jobs = Vec::new();
        for queue in self.client.queue_names(&self.selection.queues)? {
            match self.client.filter_jobs(&queue, filter, depth)? {
                Some(found) => jobs.extend(found),
                None => return Ok(None),
            }
        }
        Ok(Some(jobs).filter(|found| !found.is_empty()))
    }
}

fn ids_of(jobs: &[Job]) -> Vec<String> {
    jobs.iter().map(|j| j.id().to_string()).collect()
}

/// Newest first. A job that moved on between two listings is in both: its later state counts.
pub fn once_each(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.sort_by(|a, b| {
        b.created().cmp(&a.created()).then_with(|| a.id().cmp(b.id())).then_with(|| b.state().cmp(&a.state()))
    });
    jobs.dedup_by(|later, first| later.id() == first.id());
    jobs
}

fn newest(jobs: &[Job]) -> Option<&Job> {
    jobs.iter().max_by_key(|j| j.created())
}

fn ambiguous(word: &str, jobs: &[&Job], advice: &str) -> CliError {
    let mut text = format!("`{word}` fits {} jobs; {advice}:", jobs.len());
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

fn nothing(client: &Client, selection: &Selection, usual: Usual) -> CliError {
    let endpoint = client.endpoint();
    let called = if selection.states.is_empty() { usual.called } else { "job" };
    let words = selection.written.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
    let what = match (words.is_empty(), selection.narrows()) {
        (true, _) => "what was asked for".to_string(),
        (false, true) => format!("{words} with what else was asked for"),
        (false, false) if words == "`last`" => return CliError::NotFound(format!("no jobs at {endpoint}")),
        (false, false) => words,
    };
    CliError::NotFound(format!("no {called} fits {what} at {endpoint}; `batchyard ps -a` lists all jobs"))
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
