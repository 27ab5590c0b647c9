//! `batchyard image pull` and `prune`: images from registries into this machine's store, and what nothing uses out of it.
//!
//! Never here: registries (`crate::registry`), which images jobs have (`in_use`).

use super::error::CliError;
use super::output::{Console, SCHEMA_VERSION};
use super::units;
use crate::compute::machine::in_use;
use crate::config::Settings;
use crate::images::{ImageStore, PruneRule, Removed};
use crate::registry::{Progress, PullError, PullRequest, Pulled, Registry, RegistrySettings};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// Pulls each image, one after another.
pub fn pull(
    store: &ImageStore,
    settings: &Settings,
    images: &[String],
    console: &mut Console,
) -> Result<(), CliError> {
    let registry = Registry::new(store.clone(), RegistrySettings::of(settings, &settings.data_dir));
    let registry = registry.map_err(|e| failed(&e))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CliError::Failed(e.to_string()))?;
    let mut all = Vec::new();
    for image in images {
        let done = runtime.block_on(pull_one(&registry, image, console)).map_err(|e| failed(&e))?;
        console.clear_progress();
        if !console.wants_document() {
            console.line(format!(
                "{} {} ({} of {} layers new, {} fetched)",
                done.reference,
                done.digest,
                done.new_layers,
                done.layers,
                units::bytes(done.fetched_bytes)
            ))?;
        }
        all.push(json!({ "name": done.reference, "digest": done.digest, "layers": done.layers,
                         "newLayers": done.new_layers, "fetchedBytes": done.fetched_bytes }));
    }
    if console.wants_document() {
        return console.document(json!({ "schemaVersion": SCHEMA_VERSION, "pulled": all }));
    }
    Ok(())
}

async fn pull_one(registry: &Registry, image: &str, console: &mut Console) -> Result<Pulled, PullError> {
    let (tell, mut heard) = unbounded_channel::<Progress>();
    let request = PullRequest { reference: image.to_owned(), login: None };
    let told = move |at: Progress| {
        let _ = tell.send(at);
    };
    let pulling = registry.pull(&request, &told);
    tokio::pin!(pulling);
    loop {
        tokio::select! {
            done = &mut pulling => return done,
            Some(at) = heard.recv() => {
                let of = if at.total > 0 { format!(" of {}", units::bytes(at.total)) } else { String::new() };
                console.progress(&format!("pulling {image}: {}{of}", units::bytes(at.done)));
            }
        }
    }
}

/// Removes images that no job has: pulled ones, or all, and of them those that were long not used.
pub fn prune(
    store: &ImageStore,
    data_dir: &Path,
    all: bool,
    unused_for: Option<Duration>,
    console: &mut Console,
) -> Result<(), CliError> {
    let rule =
        PruneRule { unused_for: Some(unused_for.unwrap_or_default()), max_bytes: None, only_pulled: !all };
    let Removed { references, layers, bytes, .. } =
        store.prune(&rule, &|| in_use::layers(data_dir)).map_err(|e| CliError::Failed(e.to_string()))?;
    if console.wants_document() {
        return console.document(json!({ "schemaVersion": SCHEMA_VERSION, "removed": references,
                                        "layers": layers, "bytes": bytes }));
    }
    for name in &references {
        console.line(format!("removed {name}"))?;
    }
    console.line(format!("{} names, {layers} layers, {}", references.len(), units::bytes(bytes)))
}

fn failed(error: &PullError) -> CliError {
    let text = error.to_string();
    match (error.is_missing(), error.is_refusal()) {
        (true, _) => CliError::NotFound(text),
        (_, true) => CliError::Denied(text),
        _ => CliError::Failed(text),
    }
}
