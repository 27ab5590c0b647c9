//! The image store as the machine asks it, with AWS's words for what can't be had (spec jobs §1.5).
//!
//! Never here: importing images.

use crate::compute::machine::{Image, Images, cannot_pull, in_use};
use crate::images::{ImageError, ImageKind, ImageStore, Removed, ResolvedImage, host_masks};
use batchyard_supervisor::{Mount, MountKind};
use std::path::{Path, PathBuf};

/// Who a job in the host image is unless it names a user.
const NOBODY: &str = "65534:65534";

/// Images of this machine.
pub struct MachineImages {
    store: ImageStore,
    data_dir: PathBuf,
}

impl MachineImages {
    /// Over this store; the data folder is hidden from jobs in the host image.
    pub fn new(store: ImageStore, data_dir: &Path) -> Self {
        Self { store, data_dir: data_dir.to_path_buf() }
    }

    /// Removes images whose name went while a job used them and whose jobs have ended since. For the start, before any
    /// attempt is made. What can't be removed now stays for the next start.
    pub fn collect(&self) {
        match self.collect_unused() {
            Ok(gone) => {
                tracing::info!(layers = gone.layers, bytes = gone.bytes, "unused image content removed")
            }
            Err(error) => tracing::warn!(%error, "images that nothing uses any more are kept"),
        }
    }

    fn collect_unused(&self) -> anyhow::Result<Removed> {
        let used = self.store.with_layers(&in_use::layers(&self.data_dir)?)?;
        Ok(self.store.collect(&|digest| used.contains(digest))?)
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
    let empty = masks.tmpfs.into_iter().map(|p| mount(MountKind::Tmpfs(0), p, false));
    let files = masks.empty_files.into_iter().map(|p| mount(MountKind::Mask, p, true));
    binds.chain(empty).chain(files).collect()
}

impl Images for MachineImages {
    fn resolve(&self, reference: &str) -> Result<Image, String> {
        match self.store.resolve(reference) {
            Ok(found) => Ok(image(found, &self.data_dir)),
            Err(ImageError::NotFound { .. }) => Err(cannot_pull(&format!(
                "manifest for {reference} not found; import it with: batchyard image import ARCHIVE"
            ))),
            Err(error) => Err(cannot_pull(&error.to_string())),
        }
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use crate::images::ImageOptions;
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
        assert!(store.remove("base:1", &|_| true).unwrap().kept_in_use);

        let images = MachineImages::new(store, data.path());
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
