//! One pull, from the name to the filed image.
//!
//! Owns the order of steps, retries and what goes on at once. Never here: unpacking and filing (`images`).

use super::client::asked;
use super::error::is_untrusted;
use super::{Inner, Login, OnProgress, Progress, PullError, Pulled};
use crate::images::{Fetching, ImageError, ImportedImage, LayerBlob, Platform, Reference};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci_client::client::BlobResponse;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{ImageIndexEntry, OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference as Asked};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// How often something is tried, and how long after the first failure; each wait is twice the one before.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Layers of one image that are fetched at once.
const LAYERS_AT_ONCE: usize = 4;
/// Largest configuration that is taken.
const MAX_CONFIG: u64 = 8 << 20;
/// Kinds of manifests that are understood.
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A registry as one pull speaks to it.
struct Source {
    client: Client,
    auth: RegistryAuth,
    /// Who logs in, for texts.
    user: Option<String>,
    asked: Asked,
    /// As the job names it, for texts.
    image: Reference,
    /// No new try begins so long after the last that came further.
    patience: Duration,
}

/// Pulls an image. See [`super::Registry::pull`].
pub async fn pull(
    inner: &Inner,
    image: Reference,
    login: Option<Login>,
    on_progress: OnProgress<'_>,
) -> Result<Pulled, PullError> {
    let asked_now = inner.questions.take(image.host()).await.ok_or_else(ended)?;
    let (source, manifest_bytes) = find(inner, &image, login).await?;
    let (digest, manifest_bytes) = source.for_platform(manifest_bytes, &Platform::here()).await?;
    let manifest: OciImageManifest = serde_json::from_slice(&manifest_bytes).map_err(|e| odd(&image, &e))?;
    let config = source.config(&manifest.config).await?;
    drop(asked_now);
    let blobs: Vec<LayerBlob> = manifest.layers.iter().map(blob).collect();
    for _ in 1..TRIES {
        match fetch(inner, &source, [&manifest_bytes, &config], &blobs, on_progress).await {
            Err(Fetch::Vanished) => {
                tracing::info!(image = %image, "a layer was removed meanwhile; fetching again")
            }
            Err(Fetch::Failed(error)) => return Err(error),
            Ok(done) => {
                tracing::info!(image = %image, digest, fetched_bytes = done.fetched_bytes, "pulled");
                return Ok(done);
            }
        }
    }
    Err(PullError::temporary("layers are removed while they are fetched"))
}

/// Why an image's parts did not become an image.
enum Fetch {
    /// Somebody removed a layer that was here: what is missing is more than was thought.
    Vanished,
    Failed(PullError),
}

impl From<PullError> for Fetch {
    fn from(error: PullError) -> Self {
        Self::Failed(error)
    }
}

/// Fetches what the store lacks and files the image; `documents` are its manifest and its configuration.
async fn fetch(
    inner: &Inner,
    source: &Source,
    documents: [&Vec<u8>; 2],
    blobs: &[LayerBlob],
    on_progress: OnProgress<'_>,
) -> Result<Pulled, Fetch> {
    let [manifest, config] = documents.map(Vec::clone);
    let (store, reference, blobs) = (inner.store.clone(), source.image.clone(), blobs.to_vec());
    let _locker = inner.lockers.acquire().await.map_err(|_| ended())?;
    let fetching = blocking(move || store.begin_fetch(&reference, manifest, config, blobs)).await??;
    // After the locks of layers, so that who has a turn never waits for who has none.
    let _turn = inner.turns.take(source.asked.registry()).await.ok_or_else(ended)?;
    let fetched_bytes = source.layers(&fetching, on_progress).await?;
    let done: ImportedImage = match blocking(move || fetching.finish()).await? {
        Err(ImageError::Vanished { .. }) => return Err(Fetch::Vanished),
        result => result?,
    };
    let (layers, new_layers) = (done.layers, done.new_layers);
    let reference = source.image.to_string();
    Ok(Pulled { reference, digest: done.digest, layers, new_layers, fetched_bytes })
}

impl From<ImageError> for Fetch {
    fn from(error: ImageError) -> Self {
        Self::Failed(error.into())
    }
}

/// The way to speak to the registry that works, with the first document.
async fn find(
    inner: &Inner,
    image: &Reference,
    login: Option<Login>,
) -> Result<(Source, Document), PullError> {
    let asked = asked(image, &inner.settings.mirrors);
    let login = match login {
        Some(login) => Some(login),
        None => inner.settings.logins.find(asked.registry()).await.map_err(PullError::permanent)?,
    };
    let user = login.as_ref().map(|l| l.username.clone());
    let auth = login.map_or(RegistryAuth::Anonymous, |l| RegistryAuth::Basic(l.username, l.password));
    let ways = inner.clients.ways(asked.registry())?;
    let last = ways.len().saturating_sub(1);
    for (i, client) in ways.into_iter().enumerate() {
        let (auth, asked, image, user) = (auth.clone(), asked.clone(), image.clone(), user.clone());
        let source = Source { client, auth, user, asked, image, patience: inner.settings.silence };
        if i < last {
            match source.client.pull_manifest_raw(&source.asked, &source.auth, &ACCEPTED).await {
                Ok(document) => return Ok((source, document.into())),
                Err(error) if is_untrusted(&error) => return Err(source.error(&error)),
                // No TLS there: the next way. Whatever else is wrong, the usual tries tell.
                Err(OciDistributionError::RequestError(_)) => continue,
                Err(_) => {}
            }
        }
        let document = source.manifest(&source.asked).await?;
        return Ok((source, document));
    }
    Err(PullError::permanent(format!("registry {} cannot be asked", asked.registry())))
}

/// A document and its digest.
struct Document {
    bytes: Vec<u8>,
    digest: String,
}

impl From<(bytes::Bytes, String)> for Document {
    fn from((bytes, digest): (bytes::Bytes, String)) -> Self {
        Self { bytes: bytes.to_vec(), digest }
    }
}

impl Source {
    async fn manifest(&self, asked: &Asked) -> Result<Document, PullError> {
        let pull = || async {
            // It is small: one that comes in drops is as good as none.
            let pull = self.client.pull_manifest_raw(asked, &self.auth, &ACCEPTED);
            let slow = |_| {
                let (host, seconds) = (self.asked.registry(), self.patience.as_secs());
                PullError::temporary(format!("registry {host} sent no manifest within {seconds} s"))
            };
            let pulled = tokio::time::timeout(self.patience, pull).await.map_err(slow)?;
            pulled.map(Document::from).map_err(|e| self.error(&e))
        };
        tried(self.patience, || 0, pull).await
    }

    /// The manifest itself, or that of this platform when it is an index.
    async fn for_platform(
        &self,
        found: Document,
        platform: &Platform,
    ) -> Result<(String, Vec<u8>), PullError> {
        let parsed: OciManifest = serde_json::from_slice(&found.bytes).map_err(|e| odd(&self.image, &e))?;
        let OciManifest::ImageIndex(index) = parsed else { return Ok((found.digest, found.bytes)) };
        let chosen = choose(&index.manifests, platform).ok_or_else(|| {
            let name = self.image.familiar();
            PullError::permanent(format!(
                "no matching manifest for {platform} in the manifest list entries of {name}"
            ))
        })?;
        let found = self.manifest(&self.asked.clone_with_digest(chosen)).await?;
        Ok((found.digest, found.bytes))
    }

    async fn config(&self, descriptor: &OciDescriptor) -> Result<Vec<u8>, PullError> {
        if size(descriptor) > MAX_CONFIG {
            return Err(PullError::permanent(format!(
                "the configuration of {} is too large",
                self.image.familiar()
            )));
        }
        let pull = || async {
            let mut body =
                self.client.pull_blob_stream(&self.asked, descriptor).await.map_err(|e| self.error(&e))?;
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk.map_err(|e| self.broken(&e))?);
                if bytes.len() as u64 > size(descriptor) {
                    return Err(self.larger(&descriptor.digest));
                }
            }
            Ok(bytes)
        };
        tried(self.patience, || 0, pull).await
    }

    /// Fetches what is missing. Returns how many bytes that were.
    async fn layers(&self, fetching: &Fetching, on_progress: OnProgress<'_>) -> Result<u64, PullError> {
        let missing = fetching.missing()?;
        let (total, wanted) =
            (fetching.total_bytes(), missing.iter().map(|(blob, _)| blob.size).sum::<u64>());
        let done = AtomicU64::new(total.saturating_sub(wanted));
        let tell = |bytes: u64| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            on_progress(Progress { done: done.min(total), total });
        };
        tell(0);
        stream::iter(missing.into_iter().map(|(blob, path)| self.layer(blob, path, &tell)))
            .buffer_unordered(LAYERS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(wanted)
    }

    /// Fetches a layer into its file. A transfer that breaks off goes on where it was.
    async fn layer(
        &self,
        blob: LayerBlob,
        path: PathBuf,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<(), PullError> {
        let descriptor = OciDescriptor {
            digest: blob.digest.clone(),
            size: i64::try_from(blob.size).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let far = || std::fs::metadata(&path).map_or(0, |m| m.len());
        tried(self.patience, far, || self.transfer(&descriptor, &blob, &path, tell)).await
    }

    async fn transfer(
        &self,
        descriptor: &OciDescriptor,
        blob: &LayerBlob,
        path: &Path,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<(), PullError> {
        let disk = |e: std::io::Error| PullError::unwritten(&e, &self.image);
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path).await.map_err(disk)?;
        let have = file.metadata().await.map_err(disk)?.len();
        if have >= blob.size && have > 0 {
            return Ok(()); // Cut off after the last byte. Whether it is right is looked at before it is unpacked.
        }
        let response = if have == 0 {
            self.client.pull_blob_stream(&self.asked, descriptor).await.map(BlobResponse::Full)
        } else {
            self.client.pull_blob_stream_partial(&self.asked, descriptor, have, None).await
        };
        let (mut body, mut written) = match response.map_err(|e| self.error(&e))? {
            BlobResponse::Full(body) => {
                file.set_len(0).await.map_err(disk)?;
                (body, 0)
            }
            BlobResponse::Partial(body) => (body, have),
        };
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|e| self.broken(&e))?;
            written += chunk.len() as u64;
            if written > blob.size {
                return Err(self.larger(&blob.digest));
            }
            file.write_all(&chunk).await.map_err(disk)?;
            tell(chunk.len() as u64);
        }
        file.flush().await.map_err(disk)?;
        if written < blob.size {
            return Err(PullError::temporary(format!("the transfer of layer {} broke off", blob.digest)));
        }
        Ok(())
    }

    fn larger(&self, digest: &str) -> PullError {
        PullError::permanent(format!(
            "{digest} of {} is larger than its manifest says",
            self.image.familiar()
        ))
    }

    fn error(&self, error: &OciDistributionError) -> PullError {
        PullError::of(error, &self.image, self.asked.registry(), self.user.as_deref())
    }

    /// A body that ends in an error: a digest that is not what it should be, or a transfer that broke off.
    fn broken(&self, error: &std::io::Error) -> PullError {
        let inner = error.get_ref();
        if inner.is_some_and(|e| e.is::<oci_client::errors::DigestError>()) {
            return PullError::permanent(format!("a part of {} was altered: {error}", self.image.familiar()));
        }
        PullError::temporary(format!("the transfer from {} broke off: {error}", self.asked.registry()))
    }
}

/// Tries again what failed for the time being, later each time, and not without end: a registry that takes the connection
/// and stays silent costs all of `patience` each time. What has come further (`far`) has all its tries before it: one that
/// cuts off again and again, and sends some more each time, is a slow one.
async fn tried<T, F: Future<Output = Result<T, PullError>>>(
    patience: Duration,
    far: impl Fn() -> u64,
    mut what: impl FnMut() -> F,
) -> Result<T, PullError> {
    let (mut wait, mut began, mut number, mut best) = (FIRST_WAIT, Instant::now(), 0, far());
    loop {
        let result = what().await;
        if far() > best {
            (wait, began, number, best) = (FIRST_WAIT, Instant::now(), 0, far());
        }
        number += 1;
        match result {
            Err(error) if number < error.tries(TRIES) && began.elapsed() < patience * 2 => {
                tracing::info!(%error, "trying again");
            }
            result => return result,
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

fn ended() -> PullError {
    PullError::temporary("no more images are pulled")
}

async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> Result<T, PullError> {
    tokio::task::spawn_blocking(what).await.map_err(|_| PullError::temporary("the server is stopping"))
}

/// The entry for a platform; one without a variant, or the first one, goes before others.
fn choose(entries: &[ImageIndexEntry], platform: &Platform) -> Option<String> {
    let fits = |e: &&ImageIndexEntry| {
        e.platform.as_ref().is_none_or(|p| {
            p.os.to_string() == platform.os && p.architecture.to_string() == platform.architecture
        })
    };
    let plain = |e: &&ImageIndexEntry| e.platform.as_ref().is_some_and(|p| p.variant.is_none());
    let found = entries.iter().filter(fits).find(plain).or_else(|| entries.iter().find(fits));
    found.map(|e| e.digest.clone())
}

fn blob(descriptor: &OciDescriptor) -> LayerBlob {
    LayerBlob { digest: descriptor.digest.clone(), size: size(descriptor) }
}

fn size(descriptor: &OciDescriptor) -> u64 {
    u64::try_from(descriptor.size).unwrap_or(0)
}

fn odd(image: &Reference, error: &serde_json::Error) -> PullError {
    PullError::permanent(format!("the manifest of {} is not understood: {error}", image.familiar()))
}
