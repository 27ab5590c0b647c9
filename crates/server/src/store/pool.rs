//! Readers for many requests at once, off the async threads.
//!
//! Never here: what is read.

use super::{Reader, Store, StoreError};
use crate::error::ApiError;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections kept for the next read; more are opened under load and closed again.
const KEPT: usize = 8;

/// Lends readers.
#[derive(Clone)]
pub struct Readers {
    store: Store,
    idle: Arc<Mutex<Vec<Reader>>>,
}

impl Readers {
    /// Readers of this store.
    pub fn new(store: Store) -> Self {
        Self { store, idle: Arc::default() }
    }

    /// Reads on a thread that may block. A failure is logged and becomes a `ServerException`.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let readers = self.clone();
        match tokio::task::spawn_blocking(move || readers.read_here(read)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "a read failed");
                Err(ApiError::server())
            }
            Err(error) => {
                tracing::error!(%error, "a read ended early");
                Err(ApiError::server())
            }
        }
    }

    /// Reads on this thread, which may block.
    pub fn read_here<T>(&self, read: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.store.reader()?,
        };
        let value = read(&reader)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(reader);
        }
        Ok(value)
    }
}
