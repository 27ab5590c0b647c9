//! Helps the tests of this folder and of `logs`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with its value.
pub struct TempFolder(PathBuf);

impl TempFolder {
    /// A new, empty one.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("batchyard-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder for a test");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // A machine that is dropped, as by a crash, leaves the control group of its jobs.
        super::cgroup::remove_alone(&super::cgroup_name(&self.0));
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small task.
pub fn spec() -> crate::compute::TaskSpec {
    use batchyard_engine::{ComputeEnvironmentId, JobId, JobUuid, StartTask, TaskId};
    crate::compute::TaskSpec {
        start: StartTask {
            task: TaskId(*uuid::Uuid::new_v4().as_bytes()),
            job: JobId(1),
            name: JobUuid([3; 16]).into(),
            attempt: 2,
            host: super::host::THIS_HOST,
            environment: ComputeEnvironmentId(1),
            timeout_s: None,
        },
        image: "tiny".into(),
        command: vec!["true".into()],
        environment: Vec::new(),
        queue_name: "queue".into(),
        environment_name: "environment".into(),
        platform: batchyard_engine::resource::Platform::Ec2,
        region: "eu-test-1".into(),
        array_size: None,
        vcpus_milli: 1000,
        memory_mib: 64,
        user: None,
        privileged: false,
        readonly_root: false,
        devices: Vec::new(),
        max_swap_mib: None,
        swappiness: None,
        ulimits: Vec::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        shm_mib: None,
        init: false,
        stop_timeout_s: None,
        disk_gib: None,
        registry_secret: None,
        log: Some(crate::compute::LogTarget {
            group: "/aws/batch/job".into(),
            stream: "d/default/1".into(),
            first_line: None,
        }),
        sink: None,
    }
}
