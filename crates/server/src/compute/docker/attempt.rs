//! One attempt from its start to its end: each step first asks folder and daemon what is so already, so that a daemon that
//! was away or a server that died only means beginning again.
//!
//! Never here: what a container gets (`request`), its output (`follow`).

use super::follow::milliseconds;
use super::{AGAIN, Shared, Trouble, follow, image, request, trouble};
use crate::clock::wall_ms;
use crate::compute::TaskSpec;
use crate::compute::machine::folder::{Fate, Folder, write_durably};
use crate::compute::machine::streams::{Stream, Streams};
use crate::compute::machine::task::CONTAINER;
use crate::compute::machine::translate;
use batchyard_engine::{Report, TaskId};
use batchyard_supervisor::{ContainerExit, Exit, Why};
use bollard::models::{ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{CreateContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Its container was about to be started: if that is gone, the attempt is lost.
const BEGUN: &str = "docker";
/// Its time was over.
const OVERTIME: &str = "overtime";
/// How long the daemon may take to stop a container; asked a second time it would signal a second time.
const LONGEST_STOP: Duration = Duration::from_secs(24 * 3600);
/// How long the last output of an ended container is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(60);

/// An attempt under way.
struct Attempt {
    shared: Arc<Shared>,
    task: TaskId,
    spec: Option<TaskSpec>,
    folder: Folder,
    stop: watch::Receiver<bool>,
    told_start: bool,
}

/// Runs an attempt, unless it runs or ran; without `spec` one that is only to be stopped.
pub async fn run(shared: Arc<Shared>, task: TaskId, spec: Option<TaskSpec>, stop: watch::Receiver<bool>) {
    let folder = shared.folder(task);
    let mut attempt = Attempt { shared, task, spec, folder, stop, told_start: false };
    while let Err(why) = attempt.step().await {
        tracing::warn!(%task, error = why, "an attempt cannot go on; trying again");
        if !attempt.told_start {
            attempt.shared.say(task, format!("waiting for Docker: {why}"));
        }
        sleep(AGAIN).await;
    }
}

impl Attempt {
    /// As far as it goes. An error: try again later.
    async fn step(&mut self) -> Result<(), String> {
        let disk = |e: io::Error| format!("the attempt's folder: {e}");
        self.folder.make().map_err(disk)?;
        match self.folder.fate().map_err(disk)? {
            Fate::Ended(exit) => {
                self.over(exit);
                return Ok(());
            }
            Fate::Lost(at_ms) => {
                self.lost(at_ms);
                return Ok(());
            }
            Fate::StopWanted | Fate::Fresh | Fate::Begun(_) => {}
        }
        match self.state().await? {
            None if self.folder.path().join(BEGUN).exists() => {
                let at_ms = wall_ms();
                self.folder.write_lost(at_ms).map_err(disk)?;
                self.lost(at_ms);
                Ok(())
            }
            None => match self.create().await {
                Ok(()) => self.start().await,
                Err(Trouble::Refused(reason)) => self.never_ran(Why::StartFailed, Some(reason)),
                Err(trouble) => Err(trouble.to_string()),
            },
            Some(state) if state.status == Some(ContainerStateStatusEnum::CREATED) => self.start().await,
            Some(state) => self.follow(state).await,
        }
    }

    async fn state(&self) -> Result<Option<ContainerState>, String> {
        let found = self.shared.client.inspect_container(&self.shared.name(self.task), None).await;
        let found = trouble::there(found).map_err(|trouble| trouble.to_string())?;
        Ok(found.map(|container| container.state.unwrap_or_default()))
    }

    fn stop_wanted(&self) -> bool {
        *self.stop.borrow() || matches!(self.folder.fate(), Ok(Fate::StopWanted))
    }

    /// Makes the container, when its image is there. A stop ends the waiting.
    async fn create(&mut self) -> Result<(), Trouble> {
        if self.stop_wanted() {
            return Ok(());
        }
        let Some(spec) = self.spec.clone() else { return Ok(()) };
        let shared = self.shared.clone();
        let mut stop = self.stop.clone();
        let (image, found) = tokio::select! {
            ensured = image::ensure(&shared, &spec) => ensured?,
            _ = stop.wait_for(|wanted| *wanted) => return Ok(()),
        };
        self.write_streams(&spec).map_err(|e| Trouble::Away(format!("the attempt's folder: {e}")))?;
        let name = shared.name(self.task);
        let body = request::build(&spec, &image, &found, &shared.settings, (&shared.owner, &name));
        let body = body.map_err(Trouble::Refused)?;
        let options = CreateContainerOptions { name: Some(name), ..Default::default() };
        match shared.client.create_container(Some(options), body).await.map_err(Trouble::from) {
            Err(Trouble::Refused(why) | Trouble::Missing(why)) => Err(Trouble::Refused(format!(
                "CannotCreateContainerError: Error response from daemon: {why}"
            ))),
            done => done.map(drop),
        }
    }

    fn write_streams(&self, spec: &TaskSpec) -> io::Result<()> {
        let streams = spec.log.iter().map(|target| Stream::of(self.task, target)).collect();
        self.folder.write_streams(&Streams { created_ms: wall_ms(), streams })
    }

    /// Starts the container that was made; nobody did before, or that came to nothing.
    async fn start(&mut self) -> Result<(), String> {
        if self.stop_wanted() || self.spec.is_none() {
            return self.never_ran(Why::Stopped, None);
        }
        let begun = self.folder.path().join(BEGUN);
        write_durably(&begun, b"").map_err(|e| format!("the attempt's folder: {e}"))?;
        let name = self.shared.name(self.task);
        match self.shared.client.start_container(&name, None).await.map_err(Trouble::from) {
            Ok(()) => {}
            Err(Trouble::Away(why)) => return Err(why),
            Err(Trouble::Refused(why) | Trouble::Missing(why)) => {
                let reason = format!("CannotStartContainerError: Error response from daemon: {why}");
                return self.never_ran(Why::StartFailed, Some(reason));
            }
        }
        match self.state().await? {
            Some(state) => self.follow(state).await,
            None => Err("the container is gone".to_string()),
        }
    }

    /// A container that was started, to its end.
    async fn follow(&mut self, state: ContainerState) -> Result<(), String> {
        let started_ms = state.started_at.as_deref().and_then(milliseconds).unwrap_or_else(wall_ms);
        if !self.told_start {
            self.told_start = true;
            self.shared.send(self.task, Report::Started { task: self.task, at_ms: started_ms }, false);
        }
        let (ended, over) = watch::channel(false);
        let streams = self.folder.streams().streams;
        let output = streams.first().map(|stream| {
            tokio::spawn(follow::output(self.shared.clone(), self.task, stream.path.clone(), over))
        });
        let waited = self.wait(started_ms).await;
        let _ = ended.send(true);
        if let Some(mut output) = output
            && (waited.is_err() || tokio::time::timeout(LAST_OUTPUT, &mut output).await.is_err())
        {
            output.abort();
        }
        waited?;
        match self.state().await? {
            Some(state) if state.running != Some(true) => self.exited(&state, started_ms),
            // Gone, or started again by somebody: looked at anew.
            _ => Err("the container did not stay as it was".to_string()),
        }
    }

    /// Until it has ended; stops it when that is wanted or its time is over.
    async fn wait(&mut self, started_ms: i64) -> Result<(), String> {
        let (client, name) = (self.shared.client.clone(), self.shared.name(self.task));
        let options = WaitContainerOptions { condition: "not-running".to_string() };
        let mut end = std::pin::pin!(client.wait_container(&name, Some(options)));
        let timeout = self.spec.as_ref().and_then(|s| s.start.timeout_s);
        let left = timeout.map(|s| started_ms + i64::from(s) * 1000 - wall_ms());
        let left = left.map_or(Duration::MAX, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        let asked = self.stop.clone();
        let stopping = async {
            let mut asked = asked;
            tokio::select! {
                Ok(_) = asked.wait_for(|wanted| *wanted) => {}
                () = sleep(left) => drop(std::fs::write(self.folder.path().join(OVERTIME), b"")),
            }
            // The container was made with its signal and its grace.
            let patient = client.clone().with_timeout(LONGEST_STOP);
            while let Err(error) = patient.stop_container(&name, None).await {
                tracing::warn!(task = %self.task, %error, "a container cannot be stopped; trying again");
                sleep(AGAIN).await;
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = end.next() => ended,
            () = stopping => None,
        };
        match ended {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => match Trouble::from(error) {
                Trouble::Missing(_) => Ok(()),
                trouble => Err(trouble.to_string()),
            },
            None => Err("the daemon said nothing of the container's end".to_string()),
        }
    }

    fn exited(&self, state: &ContainerState, started_ms: i64) -> Result<(), String> {
        let why = if self.folder.path().join(OVERTIME).exists() {
            Why::Timeout
        } else if self.stop_wanted() {
            Why::Stopped
        } else {
            Why::Exit
        };
        let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
        let stopped_ms = state.finished_at.as_deref().and_then(milliseconds).unwrap_or_else(wall_ms);
        // The daemon takes the time of a start later than that of a quick end.
        let stopped_ms = stopped_ms.max(started_ms);
        self.end(Exit {
            why,
            text: None,
            started_ms: Some(started_ms),
            stopped_ms,
            containers: vec![container(code, state.oom_killed == Some(true))],
        })
    }

    fn never_ran(&self, why: Why, text: Option<String>) -> Result<(), String> {
        let containers = vec![container(None, false)];
        self.end(Exit { why, text, started_ms: None, stopped_ms: wall_ms(), containers })
    }

    /// Written down first, so that the next server tells the same.
    fn end(&self, exit: Exit) -> Result<(), String> {
        self.folder.write_exit(&exit).map_err(|e| format!("the exit record: {e}"))?;
        self.over(exit);
        Ok(())
    }

    fn over(&self, exit: Exit) {
        self.shared.send(self.task, Report::Exited { task: self.task, exit: translate(exit) }, true);
    }

    fn lost(&self, at_ms: i64) {
        self.shared.send(self.task, Report::Lost { task: self.task, at_ms }, true);
    }
}

fn container(code: Option<i32>, oom: bool) -> ContainerExit {
    ContainerExit {
        name: CONTAINER.to_string(),
        code,
        oom,
        disk_full: None,
        dropped_lines: 0,
        peak_memory: None,
    }
}
