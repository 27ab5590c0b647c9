//! What a plain process (the driver `process`) can have of what a job asks for: everything else is refused by name, so that
//! nothing is silently ignored.
//!
//! There is no root of its own: the image `host` is this host as it is, and the built-in image is its folder of commands
//! first on PATH. Memory, CPU and processes are limited only where control groups can be made. Never here: running it.

use super::image::Image;
use crate::compute::{TaskSpec, VolumeSource};
use batchyard_supervisor::Container;

/// Makes a plain process's task of a container's.
///
/// # Errors
/// What the job asks for and cannot have, as the ECS agent words a container that cannot be created.
pub fn adapt(container: &mut Container, spec: &TaskSpec, image: &Image) -> Result<(), String> {
    let host = container.layers == ["/"];
    let asked = asked(spec, host || image.builtin);
    if !asked.is_empty() {
        return Err(format!(
            "CannotCreateContainerError: Error response from daemon: the driver process cannot give a job {}; jobs are \
             plain processes of this host there",
            asked.join(", ")
        ));
    }
    container.mounts.clear();
    if host {
        // Nobody's rights are for a root full of secrets; a server that is not root has none to give up.
        if spec.user.is_none() && !rustix::process::geteuid().is_root() {
            container.user.clear();
        }
    } else {
        let commands = format!("{}/bin", container.layers.join(""));
        match container.env.iter_mut().find(|text| text.starts_with("PATH=")) {
            Some(path) => path.insert_str("PATH=".len(), &format!("{commands}:")),
            None => container.env.push(format!("PATH={commands}")),
        }
    }
    Ok(())
}

/// Names of what it asks for and cannot have.
fn asked(spec: &TaskSpec, image_fits: bool) -> Vec<String> {
    let mut asked = Vec::new();
    if !image_fits {
        asked.push(format!("the image {} (only host and the built-in busybox)", spec.image));
    }
    // What is at its place already needs no mount.
    let in_place = |m: &crate::compute::MountSpec| {
        !m.readonly && matches!(&m.source, VolumeSource::Host(path) if *path == m.target)
    };
    for (is, name) in [
        (!spec.mounts.iter().all(in_place), "volumes that are not at their own path"),
        (!spec.tmpfs.is_empty(), "tmpfs"),
        (!spec.devices.is_empty(), "devices"),
        (spec.shm_mib.is_some(), "sharedMemorySize"),
        (spec.privileged, "privileged"),
        (spec.readonly_root, "readonlyRootFilesystem"),
        (spec.max_swap_mib.is_some(), "maxSwap"),
        (spec.swappiness.is_some(), "swappiness"),
        (spec.disk_gib.is_some(), "ephemeralStorage"),
    ] {
        if is {
            asked.push(name.to_string());
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::MountSpec;
    use crate::compute::machine::testing::spec;

    fn container(layer: &str) -> Container {
        let text = |t: &str| vec![t.to_string()];
        Container { layers: text(layer), argv: text("true"), env: text("PATH=/bin"), ..Container::default() }
    }

    #[test]
    fn the_built_in_images_commands_come_first() {
        let mut c = container("/layer");
        adapt(&mut c, &spec(), &Image { builtin: true, ..Image::default() }).unwrap();
        assert_eq!(c.env, ["PATH=/layer/bin:/bin"]);
    }

    #[test]
    fn what_it_cannot_have_is_named() {
        let refused = adapt(&mut container("/layer"), &spec(), &Image::default()).unwrap_err();
        assert!(refused.contains("only host and the built-in busybox"), "{refused}");
        let mut wants = spec();
        wants.privileged = true;
        wants.shm_mib = Some(8);
        let builtin = Image { builtin: true, ..Image::default() };
        let refused = adapt(&mut container("/layer"), &wants, &builtin).unwrap_err();
        assert!(refused.contains("a job sharedMemorySize, privileged;"), "{refused}");
    }

    #[test]
    fn a_volume_at_its_own_path_is_there_already() {
        let mut wants = spec();
        let volume = |target: &str, readonly| MountSpec {
            source: VolumeSource::Host("/srv".into()),
            target: target.into(),
            readonly,
        };
        for (target, readonly, fits) in
            [("/srv", false, true), ("/srv", true, false), ("/data", false, false)]
        {
            wants.mounts = vec![volume(target, readonly)];
            assert_eq!(
                adapt(&mut container("/"), &wants, &Image::default()).is_ok(),
                fits,
                "{target} {readonly}"
            );
        }
    }
}
