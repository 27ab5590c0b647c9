//! The core as the writer of log rows. Never here: what is written.

use super::catalog::LogWriter;
use crate::core::Core;
use crate::error::ApiError;
use crate::store::{LogWrite, LogWritten, TagChange, Write, Written};

impl LogWriter for Core {
    fn write(&self, write: LogWrite) -> Result<LogWritten, ApiError> {
        match self.write_here(Write::Logs(write))? {
            Written::Logs(written) => Ok(written),
            other => Err(strange(&other)),
        }
    }

    fn tag(&self, change: TagChange) -> Result<Option<usize>, ApiError> {
        match self.write_here(Write::Tags(change))? {
            Written::Done => Ok(None),
            Written::TooManyTags(count) => Ok(Some(count)),
            other => Err(strange(&other)),
        }
    }
}

fn strange(written: &Written) -> ApiError {
    tracing::error!(?written, "a write was answered with what belongs to another");
    ApiError::server()
}
