//! The image store as the machine asks it, with AWS's words for what can't be had (spec jobs §1.5).
//!
//! Never here: importing images.

use crate::compute::machine::{
    Claiming, Image, Images, OnProgress, PullFailure, Pulling, Wanted, cannot_pull, in_use,
};
use crate::config::PullPolicy;
use crate::images::{HOST_IMAGE, ImageError, ImageKind, ImageStore, PruneRule, ResolvedImage, host_masks};
use crate::registry::{PullRequest, Registry, secret_login};
use batchyard_supervisor::{Mount, MountKind};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who a job in the host image is unless it names a user.
const NOBODY: &str = "65534:65534";

/// How often a use of one image is noted at most.
const NOTE_EVERY: Duration = Duration::from_secs(3600);
/// How often the rules of age and size are looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// What the settings say of images.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// When a registry is asked.
    pub policy: PullPolicy,
    /// Bytes that images may have; 0: no limit.
    pub max_bytes: u64,
    /// Days after which unused ones go; 0: never.
    pub keep_days: u32,
}

/// Images of this machine.
pub struct MachineImages {
    store: ImageStore,
    data_dir: PathBuf,
    options: Rules,
    registry: Registry,
    noted: Mutex<HashMap<String, Instant>>,
}

impl MachineImages {
    /// Over this store; the data folder is hidden from jobs in the host image.
    pub fn new(store: ImageStore, data_dir: &Path, options: Rules, registry: Registry) -> Self {
        Self { store, data_dir: data_dir.to_path_buf(), options, registry, noted: Mutex::default() }
    }

    /// Removes what the rules name, and images whose name went while a job used them and whose jobs have ended since;
    /// then again now and then, off the way of any start. What can't be removed now stays for the next time.
    pub async fn keep_clean(self: Arc<Self>) {
        let mut clock = tokio::time::interval(PRUNE_EVERY);
        loop {
            clock.tick().await;
            let me = self.clone();
            let _ = tokio::task::spawn_blocking(move || me.collect()).await;
        }
    }

    fn collect(&self) {
        let given = |n: u64| (n > 0).then_some(n);
        self.prune(&PruneRule {
            unused_for: given(self.options.keep_days.into()).map(|days| Duration::from_secs(days * 86_400)),
            max_bytes: given(self.options.max_bytes),
            only_pulled: true,
        });
    }

    fn prune(&self, rule: &PruneRule) {
        match self.store.prune(rule, &|| in_use::layers(&self.data_dir)) {
            Ok(gone) if gone.layers > 0 || !gone.references.is_empty() => {
                tracing::info!(images = ?gone.references, layers = gone.layers, bytes = gone.bytes, "unused images removed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "images that nothing uses any more are kept"),
        }
    }

    /// A time a little old does no harm, a write at every start would.
    fn note_use(&self, digest: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(digest).is_some_and(|at| at.elapsed() < NOTE_EVERY) {
            return;
        }
        noted.insert(digest.to_string(), Instant::now());
        drop(noted);
        if let Err(error) = self.store.note_use(digest) {
            tracing::warn!(%error, "when an image was last used is not noted");
        }
    }

    /// Whether a registry can have it: neither this machine's own root nor an id.
    fn may_pull(&self, reference: &str) -> bool {
        let named = reference != HOST_IMAGE && !reference.starts_with("sha256:");
        named && self.options.policy != PullPolicy::Never
    }

    /// One line for start-up.
    pub fn describe(&self) -> String {
        let built_in = match self.store.ensure_builtin() {
            Ok(_) => "busybox built in".to_string(),
            Err(error) => error.to_string(),
        };
        let count = self.store.list().map_or(0, |l| l.len());
        format!("{count} images, {built_in}")
    }
}

/// What lies over the host's own root: its other file systems read-only, then empty folders and files over secrets.
fn host_mounts(data_dir: &Path) -> Vec<Mount> {
    let masks = host_masks(data_dir);
    let text = |p: PathBuf| p.to_string_lossy().into_owned();
    let bind = |p: PathBuf| {
        let path = text(p);
        Mount { kind: MountKind::Bind(path.clone()), target: path, readonly: true }
    };
    let mount = |kind: MountKind, p: PathBuf, readonly| Mount { kind, target: text(p), readonly };
    let binds = masks.read_only_binds.into_iter().map(bind);
    let empty = masks.tmpfs.into_iter().map(|p| mount(MountKind::Tmpfs(0, Vec::new()), p, false));
    let files = masks.empty_files.into_iter().map(|p| mount(MountKind::Mask, p, true));
    binds.chain(empty).chain(files).collect()
}

impl Images for MachineImages {
    fn claim(&self, reference: &str, claim: Claiming<'_>) -> Result<bool, String> {
        let mut used = None;
        let result = self.store.resolve_claimed(reference, &mut |found| {
            used = Some(found.digest.clone());
            claim(image(found, &self.data_dir)).map_err(Unclaimed::Claim)
        });
        if let Some(digest) = used {
            self.note_use(&digest);
        }
        match result {
            Ok(()) => Ok(true),
            Err(Unclaimed::Claim(reason)) => Err(reason),
            Err(Unclaimed::Image(ImageError::NotFound { .. })) if self.may_pull(reference) => Ok(false),
            Err(Unclaimed::Image(ImageError::NotFound { .. })) => Err(cannot_pull(&format!(
                "manifest for {reference} not found on this machine, and pull_policy = never; `batchyard image pull` or `image import` \
                 gets it"
            ))),
            Err(Unclaimed::Image(error)) => Err(cannot_pull(&error.to_string())),
        }
    }

    fn pull_first(&self, reference: &str) -> bool {
        self.options.policy == PullPolicy::Always && self.may_pull(reference)
    }

    fn pull(&self, wanted: Wanted, progress: OnProgress) -> Pulling {
        let (registry, data_dir) = (self.registry.clone(), self.data_dir.clone());
        Box::pin(async move {
            let login = wanted.secret.map(|secret| secret_login(&data_dir, &secret)).transpose();
            let login = login.map_err(|text| PullFailure { text, temporary: false, disk_full: false })?;
            let request = PullRequest { reference: wanted.reference, login };
            let pulled = registry.pull(&request, &move |at| progress(at.done, at.total)).await;
            pulled.map(drop).map_err(|e| PullFailure {
                text: e.to_string(),
                temporary: e.is_temporary(),
                disk_full: e.is_disk_full(),
            })
        })
    }

    fn make_room(&self, bytes: u64) {
        let most = self.store.bytes().unwrap_or_default().saturating_sub(bytes);
        self.prune(&PruneRule { max_bytes: Some(most), only_pulled: true, ..PruneRule::default() });
    }
}

/// Why an image could not be claimed.
enum Unclaimed {
    Image(ImageError),
    Claim(String),
}

impl From<ImageError> for Unclaimed {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

fn image(found: ResolvedImage, data_dir: &Path) -> Image {
    let mut c = found.config;
    let mut masks = Vec::new();
    if found.kind == ImageKind::Host {
        // Looked up at each start, since files come and go. Masks can't know every secret of a machine, so a job that
        // names no user is nobody there.
        masks = host_mounts(data_dir);
        c.user = NOBODY.to_string();
    }
    Image {
        layers: found.layers,
        entrypoint: c.entrypoint,
        cmd: c.cmd,
        env: c.env,
        working_dir: c.working_dir,
        user: c.user,
        stop_signal: c.stop_signal,
        volumes: c.volumes,
        masks,
        builtin: found.kind == ImageKind::Builtin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use crate::config::Settings;
    use crate::images::ImageOptions;
    use crate::registry::RegistrySettings;
    use batchyard_supervisor::{Container, TASK, Task};
    use std::fs;

    /// A root file system of one file of the caller's.
    fn archive() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut head = tar::Header::new_gnu();
        head.set_size(2);
        head.set_mode(0o644);
        head.set_uid(rustix::process::getuid().as_raw().into());
        head.set_gid(rustix::process::getgid().as_raw().into());
        head.set_cksum();
        tar.append_data(&mut head, "name", &b"x\n"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_image_removed_in_use_goes_at_a_start_after_its_job() {
        let data = TempFolder::new();
        let store = ImageStore::open(&data.path().join("images"), ImageOptions::default()).unwrap();
        store.import_reader(&archive()[..], Some("base:1")).unwrap();
        let layer = store.resolve("base:1").unwrap().layers[0].clone();
        let attempt = data.path().join("attempts/x");
        fs::create_dir_all(&attempt).unwrap();
        let layers = vec![layer.to_string_lossy().into_owned()];
        let container = Container { name: "default".into(), layers, ..Container::default() };
        let task = Task { task_id: "x".into(), containers: vec![container], ..Task::default() };
        fs::write(attempt.join(TASK), task.encode()).unwrap();
        assert!(store.remove("base:1", &|| in_use::layers(data.path())).unwrap().kept_in_use);

        let registries = RegistrySettings::of(&Settings::default(), data.path());
        let registry = Registry::new(store.clone(), registries).unwrap();
        let images = MachineImages::new(store, data.path(), Rules::default(), registry);
        images.collect();
        assert!(layer.is_dir(), "its job has not ended");
        fs::write(attempt.join(TASK), "damaged").unwrap();
        images.collect();
        assert!(layer.is_dir(), "what the job has is not known");
        fs::remove_file(attempt.join(TASK)).unwrap();
        images.collect();
        assert!(!layer.exists() && images.store.list().unwrap().is_empty());
    }
}
