//! The daemon's images: pulled by it, with this server's logins and pull policy; the built-in one is given to it.
//!
//! Never here: keeping or removing the daemon's images, which are its own.

use super::{Shared, Trouble, trouble};
use crate::compute::TaskSpec;
use crate::compute::machine::{Image, TELL_EVERY, cannot_pull};
use crate::config::PullPolicy;
use crate::images::{HOST_IMAGE, Reference};
use crate::registry::{Login, secret_login};
use bollard::auth::DockerCredentials;
use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptions;
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::time::Instant;

/// The daemon's name of the built-in image; the tag is the layer's digest.
const BUILT_IN: &str = "batchyard-builtin";

/// The image of a task, as the daemon calls it, and what it says of it.
///
/// # Errors
/// [`Trouble::Refused`] has the job's reason, as the ECS agent words it.
pub async fn ensure(shared: &Arc<Shared>, spec: &TaskSpec) -> Result<(String, Image), Trouble> {
    let reference = spec.image.as_str();
    if reference == HOST_IMAGE {
        return refused("the image host is this machine's own root, which the driver docker has not");
    }
    if let Some(layer) = built_in(shared, reference).await {
        return import(shared, &layer).await;
    }
    let found = trouble::there(shared.client.inspect_image(reference).await)?;
    match (found, shared.settings.policy) {
        (Some(found), PullPolicy::Missing | PullPolicy::Never) => Ok((reference.to_string(), image(found))),
        (None, PullPolicy::Never) => refused(&format!(
            "manifest for {reference} not found; the daemon has no such image and pull_policy = never"
        )),
        _ => {
            pull(shared, spec).await?;
            let found = shared.client.inspect_image(reference).await?;
            Ok((reference.to_string(), image(found)))
        }
    }
}

fn refused<T>(why: &str) -> Result<T, Trouble> {
    Err(Trouble::Refused(cannot_pull(why)))
}

fn image(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    Image {
        entrypoint: config.entrypoint.unwrap_or_default(),
        cmd: config.cmd.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        ..Image::default()
    }
}

/// The layer of the built-in image, if that is what the reference means.
async fn built_in(shared: &Arc<Shared>, reference: &str) -> Option<Image> {
    let (images, reference) = (shared.images.clone(), reference.to_string());
    let look = move || {
        let mut found = None;
        let claimed = images.claim(&reference, &mut |image| {
            found = Some(image);
            Ok(())
        });
        claimed.ok().and(found).filter(|image| image.builtin)
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

async fn import(shared: &Shared, built_in: &Image) -> Result<(String, Image), Trouble> {
    let layer = built_in.layers.first().cloned().unwrap_or_default();
    let tag: String = layer.file_name().unwrap_or_default().to_string_lossy().replace(':', "-");
    let name = format!("{BUILT_IN}:{tag}");
    if trouble::there(shared.client.inspect_image(&name).await)?.is_none() {
        let packed = tokio::task::spawn_blocking(move || pack(&layer)).await;
        let packed = packed.map_err(std::io::Error::other).and_then(|packed| packed);
        let packed =
            packed.map_err(|e| Trouble::Refused(cannot_pull(&format!("the built-in image: {e}"))))?;
        let options = CreateImageOptions {
            from_src: Some("-".into()),
            repo: Some(BUILT_IN.into()),
            tag: Some(tag),
            ..Default::default()
        };
        let body = bollard::body_full(Bytes::from(packed));
        let mut told = std::pin::pin!(shared.client.create_image(Some(options), Some(body), None));
        while let Some(line) = told.next().await {
            line?;
        }
    }
    Ok((name, built_in.clone()))
}

fn pack(layer: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", layer)?;
    tar.into_inner()
}

/// The daemon fetches no layer twice, however many ask.
async fn pull(shared: &Shared, spec: &TaskSpec) -> Result<(), Trouble> {
    let reference =
        Reference::parse(&spec.image).map_err(|e| Trouble::Refused(cannot_pull(&e.to_string())))?;
    let login = match &spec.registry_secret {
        Some(secret) => secret_login(&shared.settings.data, secret).map(Some),
        None => shared.settings.logins.find(reference.host()).await,
    };
    let login = login.map_err(|text| Trouble::Refused(cannot_pull(&text)))?;
    let credentials = login.map(|login| credentials(login, reference.host()));
    let tag = reference.digest().or(reference.tag()).unwrap_or("latest").to_string();
    let name = format!("{}/{}", reference.host(), reference.repository());
    let options = CreateImageOptions { from_image: Some(name), tag: Some(tag), ..Default::default() };
    let mut told = std::pin::pin!(shared.client.create_image(Some(options), None, credentials));
    let (mut layers, mut at) = (HashMap::new(), Instant::now());
    shared.say(spec.start.task, format!("pulling {}", spec.image));
    while let Some(line) = told.next().await {
        let line = line.map_err(|error| match Trouble::from(error) {
            Trouble::Refused(why) | Trouble::Missing(why) => Trouble::Refused(cannot_pull(&why)),
            away => away,
        })?;
        count(&mut layers, line);
        if at.elapsed() >= TELL_EVERY {
            at = Instant::now();
            shared.say(spec.start.task, progress(&layers));
        }
    }
    Ok(())
}

fn credentials(login: Login, host: &str) -> DockerCredentials {
    DockerCredentials {
        username: Some(login.username),
        password: Some(login.password),
        serveraddress: Some(host.to_string()),
        ..Default::default()
    }
}

fn count(layers: &mut HashMap<String, (i64, i64)>, line: CreateImageInfo) {
    let downloading = line.status.as_deref() == Some("Downloading");
    if let (true, Some(id), Some(detail)) = (downloading, line.id, line.progress_detail) {
        layers.insert(id, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
    }
}

fn progress(layers: &HashMap<String, (i64, i64)>) -> String {
    let sum = |pick: fn(&(i64, i64)) -> i64| layers.values().map(pick).sum::<i64>() / 1_000_000;
    format!("pulling {} of {} MB", sum(|l| l.0), sum(|l| l.1))
}
