//! The server's half of an attempt against a supervisor that is a shell script: who runs it, how often, what is told.

mod pull;
mod restart;
mod start;

use super::testing::{TempFolder, spec};
use super::{Claiming, Image, Images, Machine, MachineSettings, OnProgress, Pulling, Wanted, cannot_pull};
use crate::compute::{Compute, ReportEnvelope, TaskSpec};
use batchyard_engine::{Report, TaskId};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A data folder, and the machine that has it now.
struct Fixture {
    data: TempFolder,
    machine: Option<Machine>,
    reports: UnboundedReceiver<ReportEnvelope>,
    registry: Arc<Notify>,
}

/// Knows one image, and another once it was pulled.
#[derive(Default)]
struct SomeImages {
    here: Arc<AtomicBool>,
    registry: Arc<Notify>,
}

impl Images for SomeImages {
    fn claim(&self, reference: &str, claim: Claiming<'_>) -> Result<bool, String> {
        match reference {
            "far" if !self.here.load(Ordering::SeqCst) => Ok(false),
            "tiny" | "far" => {
                claim(Image { layers: vec![PathBuf::from("/nowhere")], ..Image::default() }).map(|()| true)
            }
            other => Err(cannot_pull(&format!("manifest for {other} not found"))),
        }
    }

    fn pull(&self, _: Wanted, _: OnProgress) -> Pulling {
        let (here, registry) = (self.here.clone(), self.registry.clone());
        Box::pin(async move {
            registry.notified().await;
            here.store(true, Ordering::SeqCst);
            Ok(())
        })
    }
}

impl Fixture {
    /// A new data folder with a machine that knows of no open attempt.
    fn new() -> Self {
        let data = TempFolder::new();
        let (machine, reports, registry) = open(data.path());
        machine.reconcile(&[]).expect("reconciled");
        Self { data, machine: Some(machine), reports, registry }
    }

    fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("a machine")
    }

    /// As after a kill: another machine on the same folder, told these open attempts.
    fn restart(&mut self, open_tasks: &[TaskId]) {
        self.machine = None;
        let (machine, reports, registry) = open(self.data.path());
        machine.reconcile(open_tasks).expect("reconciled");
        (self.machine, self.reports, self.registry) = (Some(machine), reports, registry);
    }

    /// A task that makes the script do this.
    fn task(&self, what: &str) -> TaskSpec {
        let mut spec = spec();
        spec.command = vec![what.to_string(), self.data.path().join("runs").display().to_string()];
        spec
    }

    fn folder(&self, task: TaskId) -> PathBuf {
        self.data.path().join("attempts").join(task.to_string())
    }

    /// How often the supervisor was started for this attempt.
    fn runs(&self, task: TaskId) -> usize {
        let text = fs::read_to_string(self.data.path().join("runs")).unwrap_or_default();
        text.lines().filter(|line| line.ends_with(&task.to_string())).count()
    }

    async fn next(&mut self) -> ReportEnvelope {
        let next = tokio::time::timeout(Duration::from_secs(20), self.reports.recv()).await;
        next.expect("a report in time").expect("a machine that reports")
    }

    /// The next report, as a line.
    async fn told(&mut self) -> String {
        match self.next().await.report {
            Report::Started { at_ms, .. } => format!("started {at_ms}"),
            Report::Exited { exit, .. } => {
                let code = exit.containers.first().and_then(|c| c.code);
                let text = format!("{:?} {:?} {code:?}", exit.why, exit.started_ms);
                text.replace("Some", "")
            }
            Report::Lost { .. } => "lost".to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Wakes the machine as a supervisor does.
    fn wake(&self, task: TaskId) {
        let socket = UnixDatagram::unbound().expect("a socket");
        let path = self.data.path().join("run/wake.sock");
        socket.send_to(task.to_string().as_bytes(), path).expect("a machine that listens");
    }

    /// Waits until this holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

fn open(data: &Path) -> (Machine, UnboundedReceiver<ReportEnvelope>, Arc<Notify>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compute/machine/tests/fake-supervisor.sh");
    let settings = MachineSettings { supervisor: Some(script), ..MachineSettings::new(data) };
    let (sender, reports) = unbounded_channel();
    let images = SomeImages::default();
    let registry = images.registry.clone();
    (Machine::open(&settings, Arc::new(images), sender).expect("a machine"), reports, registry)
}
