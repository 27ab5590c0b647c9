//! What comes before a supervisor: room on the disk, the image, the records of the folder; then its spawn.
//!
//! All of it with the attempt's lock held, none of it waits: a start that has to is told so and tried again (`waiting`).
//! Never here: what a task file says (`task`), how an attempt ends.

use super::attempt::Attempts;
use super::disk;
use super::disk_limit;
use super::folder::Folder;
use super::image::{Image, Wanted, cannot_pull};
use super::log_sink;
use super::streams::{Stream, Streams};
use super::task;
use crate::clock::wall_ms;
use crate::compute::TaskSpec;
use crate::crash::point;
use batchyard_engine::TaskId;
use batchyard_supervisor::disk::free;
use batchyard_supervisor::{Disk, hooks};
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Pulls for one start. An image that is gone again after so many is removed by somebody on purpose.
const PULLS: u32 = 3;
/// How soon a start that found too little room looks again.
const ROOM_AGAIN: Duration = Duration::from_secs(2);

/// How far a start got.
pub enum Prepared {
    /// Everything is in the folder. With it, the network namespace that the supervisor is to get, if any.
    Written(Option<OwnedFd>),
    /// Something is missing that may come.
    Waits(Missing),
}

/// What a start waits for.
pub enum Missing {
    /// Its image.
    Image(Wanted),
    /// So many free bytes, and how many there are.
    Room(u64, u64),
    /// An address of its own.
    Address,
}

impl Attempts {
    /// Everything but the spawn. Errors: the reason, as the ECS agent words it.
    pub(super) fn prepare(&self, folder: &Folder, spec: &TaskSpec) -> Result<Prepared, String> {
        let reserve = self.waiting.reserve();
        if let Some(free) = free(&self.attempts).filter(|free| *free < reserve) {
            return Ok(Prepared::Waits(Missing::Room(reserve, free)));
        }
        let bytes = spec.disk_gib.map_or(self.job_disk, |gib| u64::from(gib) << 30);
        let pulls = self.tracked.get(spec.start.task).map_or(0, |t| t.pulls);
        let wanted = || Wanted { reference: spec.image.clone(), secret: spec.registry_secret.clone() };
        if pulls == 0 && self.images.pull_first(&spec.image) {
            return Ok(Prepared::Waits(Missing::Image(wanted())));
        }
        let disk = match bytes {
            0 => None,
            _ => Some(self.disk_limits.make(folder, spec.start.task, bytes)?),
        };
        let mut network = None;
        if self.networks.wants(spec.platform) {
            let given = self.networks.take(spec.start.task);
            network = given.map_err(|text| format!("CannotStartContainerError: network: {text}"))?;
            if network.is_none() {
                return Ok(Prepared::Waits(Missing::Address));
            }
        }
        let (disk, address) = (disk.as_ref(), network.as_ref().map(|given| given.address));
        let write = &mut |image| self.write_records(folder, spec, image, disk, address);
        match self.images.claim(&spec.image, write)? {
            true => Ok(Prepared::Written(network.map(|given| given.namespace))),
            false if pulls < PULLS => Ok(Prepared::Waits(Missing::Image(wanted()))),
            false => Err(cannot_pull(&format!("{} was removed as often as it was pulled", spec.image))),
        }
    }

    fn write_records(
        &self,
        folder: &Folder,
        spec: &TaskSpec,
        image: Image,
        disk: Option<&Disk>,
        address: Option<Ipv4Addr>,
    ) -> Result<(), String> {
        let cannot_create = |e: io::Error| format!("CannotCreateContainerError: {e}");
        let mut streams = Streams { created_ms: wall_ms(), streams: Vec::new() };
        let mut log = String::new();
        if let Some(target) = &spec.log {
            let stream = Stream::of(spec.start.task, target);
            let file = self.data.join(&stream.path);
            fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).map_err(cannot_create)?;
            log = file.to_string_lossy().into_owned();
            streams.streams.push(stream);
        }
        let mut task = task::build(spec, image, &self.common, folder, log)?;
        log_sink::place(&mut task, spec, &self.data, &self.common.blocked)?;
        if let Some(disk) = disk {
            disk_limit::place(&mut task, folder, disk);
        }
        if let Some(address) = address {
            self.networks.place(&mut task, address, &self.common.hostname);
        }
        folder.write_streams(&streams).map_err(cannot_create)?;
        folder.write_task(&task).map_err(cannot_create)
    }

    /// Lets go of the lock and has `Op::Go` sent when there is a reason to try again.
    pub(super) fn wait(&self, task: TaskId, what: Missing, lock: File) {
        point("before_wait");
        self.tracked.change(task, |t| {
            t.waits = true;
            t.pulls += u32::from(matches!(what, Missing::Image(_)));
        });
        drop(lock);
        match what {
            Missing::Image(wanted) => self.waiting.for_image(wanted, task),
            Missing::Room(needed, free) => {
                let (free_text, needed_text) = (disk::gib(free), disk::gib(needed));
                self.waiting.say(task, format!("waiting for disk: {free_text} free, {needed_text} needed"));
                self.waiting.make_room(needed - free);
                self.later(ROOM_AGAIN, super::work::Op::Go(task, Ok(())));
            }
            Missing::Address => {
                self.waiting.say(task, "waiting for an address: jobs have all of job_network".to_string());
                self.later(ROOM_AGAIN, super::work::Op::Go(task, Ok(())));
            }
        }
    }

    /// Hands the lock to a new supervisor. `Command` with these settings is `posix_spawn`, never a fork of this
    /// threaded process; keep it so.
    ///
    /// It gets its network namespace as standard output, where it has one.
    pub(super) fn spawn(
        &self,
        folder: &Folder,
        lock: File,
        network: Option<OwnedFd>,
    ) -> Result<Child, String> {
        let failed =
            |e: io::Error| format!("CannotStartContainerError: start {}: {e}", self.program.display());
        let out = folder.diagnostics().map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.arg(folder.path()).env_clear().stdin(Stdio::from(lock)).stderr(err);
        command.stdout(network.map_or_else(|| Stdio::from(out), Stdio::from));
        if let Some(hooks) = hooks::folder() {
            command.env(hooks::VARIABLE, hooks);
        }
        point("before_spawn");
        command.spawn().map_err(failed)
    }
}
