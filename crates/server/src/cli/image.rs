//! `batchyard image`: the images of this machine.
//!
//! Works on the store in the data folder, with or without a server. Never here: how images are kept (`crate::images`).

use super::error::CliError;
use super::image_fetch;
use super::image_login::{self, LoginArgs, LogoutArgs};
use super::output::{Cell, Column, Console, Format, Listed, Look};
use super::units;
use crate::compute::machine::in_use;
use crate::config::{DriverName, Settings};
use crate::images::{ImageError, ImageKind, ImageOptions, ImageStore, ImageSummary, ResolvedImage};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Images of this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docker save alpine:3.20 | batchyard image import -
  batchyard image ls
  batchyard image resolve busybox -o json

These work on the data folder of this machine, as the user who runs the server.")]
pub struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

impl ImageArgs {
    /// The forms of one document.
    const DOCUMENT: &'static [Format] = &[Format::Table, Format::Json, Format::Yaml];

    /// The forms in which the result can be had; none: it is no listing.
    pub fn formats(&self) -> &'static [Format] {
        match self.command {
            ImageCommand::Ls => Format::ALL,
            ImageCommand::Import { .. }
            | ImageCommand::Resolve { .. }
            | ImageCommand::Pull { .. }
            | ImageCommand::Prune { .. } => Self::DOCUMENT,
            ImageCommand::Rm { .. } | ImageCommand::Login(_) | ImageCommand::Logout(_) => &[],
        }
    }
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Take in an archive of `docker save`, an OCI archive, or a root file system in a tar
    #[command(after_help = "\
Examples:
  batchyard image import alpine.tar
  docker save tools:1.2 | batchyard image import -
  batchyard image import rootfs.tar.gz --name base:1")]
    Import {
        /// Archive; `-` reads standard input
        archive: PathBuf,
        /// Name to file it under, in place of those in the archive
        #[arg(long)]
        name: Option<String>,
    },
    /// List images
    #[command(
        alias = "list",
        after_help = "\
Examples:
  batchyard image ls
  batchyard image ls -o json
  batchyard image ls -o id"
    )]
    Ls,
    /// Remove a name, and what nothing needs any more
    #[command(
        alias = "remove",
        after_help = "\
Examples:
  batchyard image rm alpine:3.20
  batchyard image rm alpine tools:1.2
  batchyard image rm sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
    )]
    Rm {
        /// Names, or digests
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Pull images from their registries now, before a job needs them
    #[command(after_help = "\
Examples:
  batchyard image pull python:3.12-slim
  batchyard image pull alpine:3.20 busybox:1.36
  batchyard image pull registry.lab:5000/tools/align:2 -o json")]
    Pull {
        /// Names, with tag or digest
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Log in at a registry, for the pulls of this data folder
    #[command(after_help = "\
Examples:
  batchyard image login registry.lab:5000
  batchyard image login ghcr.io -u me --password-stdin <token.txt
  aws ecr get-login-password | batchyard image login -u AWS --password-stdin 123456789012.dkr.ecr.us-east-1.amazonaws.com

The login is kept in registries.json of the data folder, for the owner alone. Docker's own logins count too, after these.")]
    Login(LoginArgs),
    /// Forget the login at a registry
    #[command(after_help = "\
Examples:
  batchyard image logout registry.lab:5000
  batchyard image logout ghcr.io
  batchyard image logout")]
    Logout(LogoutArgs),
    /// Remove pulled images that no job has
    #[command(after_help = "\
Examples:
  batchyard image prune
  batchyard image prune --older-than 7d
  batchyard image prune --all")]
    Prune {
        /// Imported images too
        #[arg(long)]
        all: bool,
        /// Only images that no job used for so long
        #[arg(long, value_name = "AGE", value_parser = units::duration)]
        older_than: Option<Duration>,
    },
    /// Say what a name means here: digest, layers, command
    #[command(after_help = "\
Examples:
  batchyard image resolve busybox
  batchyard image resolve alpine:3.20 -o json
  batchyard image resolve host")]
    Resolve {
        /// Name or digest
        image: String,
    },
}

/// A row of `image ls`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRow {
    name: Option<String>,
    digest: String,
    id: String,
    layers: usize,
    bytes: u64,
    created: Option<String>,
    imported_at: i64,
    builtin: bool,
}

impl From<ImageSummary> for ImageRow {
    fn from(image: ImageSummary) -> Self {
        Self {
            name: image.reference,
            digest: image.digest,
            id: image.id,
            layers: image.layers,
            bytes: image.bytes,
            created: image.created,
            imported_at: i64::try_from(image.imported).unwrap_or_default().saturating_mul(1000),
            builtin: image.builtin,
        }
    }
}

fn digest(row: &ImageRow, wide: bool) -> Cell {
    let hex = row.digest.strip_prefix("sha256:").unwrap_or(&row.digest);
    if wide { row.digest.as_str().into() } else { hex.chars().take(12).collect::<String>().into() }
}

impl Listed for ImageRow {
    const KEY: &'static str = "images";
    const FIELDS: &'static [&'static str] =
        &["name", "digest", "id", "layers", "bytes", "created", "importedAt", "builtin"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |i: &Self, _| match &i.name {
                Some(name) => name.as_str().into(),
                None => Cell::new("(in use)", Look::Dim),
            }),
            Column::new("DIGEST", digest),
            Column::new("LAYERS", |i: &Self, _| i.layers.to_string().into()).right(),
            Column::new("SIZE", |i: &Self, _| units::bytes(i.bytes).into()).right().of("bytes"),
            Column::new("IMPORTED", |i: &Self, _| units::stamp(i.imported_at).into()).of("importedAt"),
            Column::new("BUILT-IN", |i: &Self, _| if i.builtin { "yes" } else { "-" }.into()).wide(),
        ]
    }

    fn key(&self) -> &str {
        &self.digest
    }
}

/// Runs the command on the store of this data folder.
pub fn run(args: &ImageArgs, settings: &Settings, console: &mut Console) -> Result<u8, CliError> {
    // Before the store: they need none.
    match &args.command {
        ImageCommand::Login(args) => return image_login::login(args, settings, console).map(|()| 0),
        ImageCommand::Logout(args) => return image_login::logout(args, settings, console).map(|()| 0),
        _ => {}
    }
    if settings.driver == DriverName::Docker {
        console.note("driver = docker: jobs have the daemon's images, not these; see `docker images`");
    }
    let data_dir = &settings.data_dir;
    let folder = data_dir.join("images");
    let store = ImageStore::open(&folder, ImageOptions::of(settings)).map_err(|e| error(&e))?;
    match &args.command {
        ImageCommand::Import { archive, name } => import(&store, archive, name.as_deref(), console)?,
        ImageCommand::Ls => {
            let rows: Vec<ImageRow> =
                store.list().map_err(|e| error(&e))?.into_iter().map(Into::into).collect();
            console.list(&rows)?;
            if rows.is_empty() && console.format() == Format::Table {
                console.note("no images; `batchyard image pull NAME` fetches one, `batchyard image import FILE` takes one in");
            }
        }
        ImageCommand::Rm { images } => remove(&store, data_dir, images, console)?,
        ImageCommand::Pull { images } => image_fetch::pull(&store, settings, images, console)?,
        ImageCommand::Prune { all, older_than } => {
            image_fetch::prune(&store, data_dir, *all, *older_than, console)?;
        }
        ImageCommand::Login(_) | ImageCommand::Logout(_) => {}
        ImageCommand::Resolve { image } => {
            let found = store.resolve(image).map_err(|e| error(&e))?;
            show(&found, console)?;
        }
    }
    Ok(0)
}

fn import(
    store: &ImageStore,
    archive: &Path,
    name: Option<&str>,
    console: &mut Console,
) -> Result<(), CliError> {
    console.progress(&format!("importing {}", archive.display()));
    let done = if archive == Path::new("-") {
        store.import_reader(io::stdin().lock(), name)
    } else {
        store.import(archive, name)
    };
    let done = done.map_err(|e| error(&e))?;
    console.clear_progress();
    if console.wants_document() {
        let images: Vec<_> = done
            .images
            .iter()
            .map(|i| {
                json!({ "names": i.references, "digest": i.digest, "layers": i.layers, "newLayers": i.new_layers,
                        "newBytes": i.new_bytes, "skippedDevices": i.skipped_devices })
            })
            .collect();
        return console
            .document(json!({ "schemaVersion": super::output::SCHEMA_VERSION, "imported": images }));
    }
    for image in &done.images {
        console.line(format!(
            "{} {} ({} of {} layers new, {})",
            image.references.join(" "),
            image.digest,
            image.new_layers,
            image.layers,
            units::bytes(image.new_bytes)
        ))?;
        if image.skipped_devices > 0 {
            console.note(format!(
                "{} device nodes were left out; containers get their own /dev",
                image.skipped_devices
            ));
        }
    }
    Ok(())
}

fn remove(
    store: &ImageStore,
    data_dir: &Path,
    images: &[String],
    console: &mut Console,
) -> Result<(), CliError> {
    let listed = store.list().map_err(|e| error(&e))?;
    let builtin: HashSet<String> =
        listed.into_iter().filter(|i| i.builtin).filter_map(|i| i.reference).collect();
    for image in images {
        let gone = store.remove(image, &|| in_use::layers(data_dir)).map_err(|e| error(&e))?;
        let kept =
            if gone.kept_in_use { "; a job uses it, so its content stays until that has ended" } else { "" };
        let back = if gone.references.iter().any(|name| builtin.contains(name)) {
            "; it is built in and comes back at the next use"
        } else {
            ""
        };
        console.line(format!(
            "removed {} ({} layers, {}){kept}{back}",
            if gone.references.is_empty() { image.clone() } else { gone.references.join(" ") },
            gone.layers,
            units::bytes(gone.bytes)
        ))?;
    }
    Ok(())
}

fn show(image: &ResolvedImage, console: &mut Console) -> Result<(), CliError> {
    let config = &image.config;
    let kind = if image.kind == ImageKind::Host { "host" } else { "layers" };
    if console.wants_document() {
        return console.document(json!({
            "schemaVersion": super::output::SCHEMA_VERSION,
            "name": image.reference, "digest": image.digest, "kind": kind, "layers": image.layers,
            "entrypoint": config.entrypoint, "command": config.cmd, "environment": config.env,
            "user": config.user, "workingDir": config.working_dir,
        }));
    }
    let words = |words: &[String]| {
        words.iter().map(|w| super::env::quoted_if_needed(w)).collect::<Vec<_>>().join(" ")
    };
    let mut text = format!("Name:        {}\nDigest:      {}\n", image.reference, image.digest);
    for (key, value) in [
        ("Entry point:", words(&config.entrypoint)),
        ("Command:", words(&config.cmd)),
        ("User:", config.user.clone()),
        ("Folder:", config.working_dir.clone()),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("{key:<13}{value}\n"));
        }
    }
    for variable in &config.env {
        text.push_str(&format!("{:<13}{variable}\n", "Environment:"));
    }
    for layer in &image.layers {
        text.push_str(&format!("{:<13}{}\n", "Layer:", layer.display()));
    }
    console.print(&text)
}

fn error(error: &ImageError) -> CliError {
    let text = error.to_string();
    match error {
        ImageError::NotFound { .. } => CliError::NotFound(text),
        ImageError::BadReference { .. } | ImageError::NeedsName { .. } | ImageError::ReservedName { .. } => {
            CliError::Usage(text)
        }
        ImageError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => CliError::NotFound(text),
        ImageError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            CliError::Denied(text)
        }
        _ => CliError::Failed(text),
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
