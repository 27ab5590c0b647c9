//! The words that name jobs, read: ids, `last:3`, name globs, `@tag=value`; and whether a job fits them.
//!
//! Pure. Never here: asking an endpoint which jobs there are (select.rs).

use super::error::CliError;
use super::job::{Job, State};
use std::collections::HashSet;
use std::time::Duration;

/// One word that names jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A full id, with the part after `:` or `#` of array children and nodes; also from an ARN.
    Id(String),
    /// Children of the array of this id, or of this name: ranges of indexes.
    Children(String, Vec<(u32, u32)>),
    /// The newest jobs, this many.
    Last(usize),
    /// All jobs whose name fits.
    Glob(Glob),
    /// The newest job of this name, else the only one whose id begins so.
    Name(String),
}

/// A pattern with `*` and `?`, for whole texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Any text is a pattern; one without `*` and `?` fits itself only.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole text fits; letter case counts.
    pub fn fits(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut p, mut t) = (0, 0);
        // Where to go on after the last `*` when what follows it does not fit here.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
                _ => match &mut star {
                    Some((at, from)) => {
                        *from += 1;
                        (p, t) = (*at + 1, *from);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }

    /// What every fitting text begins with.
    pub fn beginning(&self) -> &str {
        &self.0[..self.0.find(['*', '?']).unwrap_or(self.0.len())]
    }
}

/// A condition on a job's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    key: String,
    /// Absent: any value.
    value: Option<Glob>,
}

impl Tag {
    /// Reads `key=value`, where the value may be a pattern, or `key` for any value.
    pub fn read(text: &str) -> Result<Self, CliError> {
        let (key, value) = text.split_once('=').map_or((text, None), |(k, v)| (k, Some(v)));
        if key.is_empty() {
            return Err(CliError::Usage(format!("`{text}` is no tag; write KEY=VALUE or KEY")));
        }
        Ok(Self { key: key.into(), value: value.map(Glob::new) })
    }

    fn fits(&self, job: &Job) -> bool {
        let value = job.raw().get("tags").and_then(|t| t.get(&self.key)).and_then(|v| v.as_str());
        value.is_some_and(|v| self.value.as_ref().is_none_or(|g| g.fits(v)))
    }
}

/// What a command line says about the jobs that are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Words that name jobs; a job that one of them names is meant. None: all jobs are.
    pub words: Vec<Word>,
    /// Words as they were written, for errors, one for each of `words`.
    pub written: Vec<String>,
    /// All of these must fit.
    pub tags: Vec<Tag>,
    /// One of these; none: those that the command looks at by itself.
    pub states: Vec<State>,
    /// One of these names; none: any.
    pub queues: Vec<String>,
    /// Submitted at this time or later, milliseconds since the epoch.
    pub since: Option<i64>,
}

impl Selection {
    /// Reads the words. Errors: [`CliError::Usage`].
    pub fn read(words: &[String]) -> Result<Self, CliError> {
        let mut read = Self::default();
        for word in words {
            if let Some(tag) = word.strip_prefix('@') {
                read.tags.push(Tag::read(tag)?);
            } else {
                read.words.push(one_word(word)?);
                read.written.push(word.clone());
            }
        }
        Ok(read)
    }

    /// With the conditions of flags; `since` is a length of time before `now`.
    pub fn narrowed(
        mut self,
        tags: &[String],
        states: &[State],
        queues: &[String],
        since: Option<Duration>,
        now: i64,
    ) -> Result<Self, CliError> {
        for tags in tags {
            // As kubectl takes several in one word. A value may hold commas only in a flag of its own form, `@key=a,b`.
            for tag in tags.split(',') {
                self.tags.push(Tag::read(tag)?);
            }
        }
        self.states = states.to_vec();
        self.queues = queues.to_vec();
        self.since = since.map(|d| now.saturating_sub(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)));
        Ok(self)
    }

    /// The ids, each once, where every word is a full one.
    pub fn full_ids(&self) -> Option<Vec<String>> {
        let id = |w: &Word| if let Word::Id(id) = w { Some(id.clone()) } else { None };
        let mut ids: Vec<String> = self.words.iter().map(id).collect::<Option<_>>()?;
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        (!ids.is_empty()).then_some(ids)
    }

    /// Whether anything is said at all.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && !self.narrows()
    }

    /// Whether there is a condition beside the words.
    pub fn narrows(&self) -> bool {
        !(self.tags.is_empty() && self.states.is_empty() && self.queues.is_empty() && self.since.is_none())
    }

    /// Whether a listed job fits state, queue and time.
    pub fn fits(&self, job: &Job) -> bool {
        let queue = |q: &String| super::job::last_part(q) == job.queue();
        (self.states.is_empty() || job.state().is_some_and(|s| self.states.contains(&s)))
            && (self.queues.is_empty() || self.queues.iter().any(queue))
            && self.since.is_none_or(|since| job.created().is_some_and(|at| at >= since))
    }

    /// Whether a described job's tags fit.
    pub fn tags_fit(&self, job: &Job) -> bool {
        self.tags.iter().all(|t| t.fits(job))
    }
}

fn one_word(word: &str) -> Result<Word, CliError> {
    if word.is_empty() {
        return Err(CliError::Usage("an empty word names no job; leave it out".into()));
    }
    if let Some(id) = full_id(word).filter(|id| !id.contains([',']) && !is_range(id)) {
        return Ok(Word::Id(id.into()));
    }
    if let Some((array, ranges)) = children(word)? {
        return Ok(Word::Children(array.into(), ranges));
    }
    if word == "last" {
        return Ok(Word::Last(1));
    }
    if let Some(count) = word.strip_prefix("last:") {
        let count = count.parse().ok().filter(|n| *n > 0);
        let bad = || CliError::Usage(format!("`{word}` names no jobs; write last:3 for the newest three"));
        return count.map(Word::Last).ok_or_else(bad);
    }
    Ok(if word.contains(['*', '?']) { Word::Glob(Glob::new(word)) } else { Word::Name(word.into()) })
}

/// Children that one word may name.
const MOST_CHILDREN: u32 = 10_000;

/// An array's name or id, and ranges of indexes.
type Children<'a> = (&'a str, Vec<(u32, u32)>);

fn is_range(id: &str) -> bool {
    id.split_once(':').is_some_and(|(_, indexes)| indexes.contains('-'))
}

/// `array:3,7-9`: the array and the ranges. One index alone is the id of a child, or the end of one.
fn children(word: &str) -> Result<Option<Children<'_>>, CliError> {
    let Some((array, indexes)) = word.rsplit_once(':') else { return Ok(None) };
    if array.is_empty() || array == "last" || !indexes.contains([',', '-']) {
        return Ok(None);
    }
    let bad = || CliError::Usage(format!("`{word}` names no children; write array:3,7-9"));
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
        if range.0 <= range.1 { Ok(range) } else { Err(bad()) }
    };
    let ranges: Vec<(u32, u32)> = indexes.split(',').map(range).collect::<Result<_, _>>()?;
    let count = ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum::<u64>();
    if count > u64::from(MOST_CHILDREN) {
        return Err(CliError::Usage(format!("`{word}` names {count} children; {MOST_CHILDREN} is the most")));
    }
    Ok(Some((full_id(array).unwrap_or(array), ranges)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(words: &[&str]) -> Selection {
        Selection::read(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("train-*", "train-1", true),
            ("train-*", "train-", true),
            ("train-*", "untrain-1", false),
            ("*-a*b", "x-aab-ab", true),
            ("*-a*b", "x-aab-aa", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a", "A", false),
            ("é*", "école", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
        assert_eq!(Glob::new("train-?x*").beginning(), "train-");
    }

    #[test]
    fn each_kind_of_word() {
        let id = "0a1b2c3d-0000-4000-8000-000000000000";
        let selection = read(&[id, "last", "last:3", "train-*", "nightly", "@a=1", "@b"]);
        assert_eq!(
            selection.words,
            [
                Word::Id(id.into()),
                Word::Last(1),
                Word::Last(3),
                Word::Glob(Glob::new("train-*")),
                Word::Name("nightly".into())
            ]
        );
        assert_eq!(selection.tags.len(), 2);
        let child = format!("{id}:3");
        assert_eq!(read(&[&format!("arn:aws:batch:r:1:job/{child}")]).words, [Word::Id(child)]);
        let ranges = Word::Children("nightly".into(), vec![(3, 3), (7, 9)]);
        assert_eq!(read(&["nightly:3,7-9"]).words, [ranges]);
        assert_eq!(read(&[&format!("{id}:0-1")]).words, [Word::Children(id.into(), vec![(0, 1)])]);
        for bad in ["a:3-1", "a:1,", "a:0-10000", "last:", "last:0", "last:x", "", "@", "@=x"] {
            assert_eq!(Selection::read(&[bad.into()]).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn all_conditions_must_fit() {
        let job = Job::new(json!({"status": "RUNNING", "createdAt": 1000, "tags": {"a": "1", "b": "xyz"},
            "jobQueue": "arn:aws:batch:r:1:job-queue/gpu"}));
        let with = |states: &[State], queue: &[&str], since: i64| {
            let queues: Vec<String> = queue.iter().map(ToString::to_string).collect();
            let selection = Selection { states: states.to_vec(), queues, since: Some(since), ..read(&[]) };
            selection.fits(&job)
        };
        assert!(with(&[], &[], 1000) && with(&[State::Running], &["x", "gpu"], 0));
        assert!(!with(&[], &[], 1001) && !with(&[State::Failed], &[], 0) && !with(&[], &["gp"], 0));
        assert!(read(&["@a=1", "@b=x*", "@b"]).tags_fit(&job));
        assert!(!read(&["@a=1", "@b=x"]).tags_fit(&job) && !read(&["@c"]).tags_fit(&job));
        assert!(!read(&["@a=1"]).tags_fit(&Job::new(json!({}))));
    }

    #[test]
    fn flags_narrow() {
        let tags = ["a=1,b".to_string()];
        let hour = Some(Duration::from_secs(3600));
        let selection = read(&["x"]).narrowed(&tags, &[], &[], hour, 3_600_500).unwrap();
        assert_eq!((selection.tags.len(), selection.since), (2, Some(500)));
        assert!(read(&[]).is_empty() && !read(&["@a"]).is_empty() && !read(&["x"]).narrows());
    }
}
