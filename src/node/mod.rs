//! The DICOM node: associations, C-ECHO and C-STORE in both directions, query and retrieval, and the
//! delivery queue.
//!
//! Bytes of peers come in through [`association`] (PS3.8: framing, state table, limits) and
//! [`command`] (PS3.7: command sets); [`accept`] says what we take and in which transfer syntax;
//! [`serve`] listens and runs one task an association, whose instances [`storage`] streams to the
//! archive; `services` answers C-FIND, C-MOVE, C-GET and storage commitment; [`tls`] secures the
//! connections of both directions. [`send`] is the other direction and
//! [`delivery`] the queue that drives it; `commitment` speaks for both sides of storage commitment.
//!
//! What it does not do: it never parses a data set that is to be stored, never builds a path, a
//! query or a log line from received text, and never answers success before the archive has said
//! that it is durable.

pub mod settings;
pub mod ae_title;
pub mod association;
pub mod command;
pub mod accept;
pub mod storage;
mod identifier;
mod commitment;
mod services;
mod refusals;
mod quota;
pub mod tls;
mod local;
pub mod serve;
pub mod send;
pub mod fetch;
pub(crate) mod backoff;
pub mod delivery;

pub use ae_title::{AeTitle, AeTitleError};
pub use local::LocalAe;
pub(crate) use serve::audit;
pub use serve::{Listeners, serve};
pub(crate) use storage::spool::{Failure as StoreFailure, Spool};

use crate::archive::{Archive, ArchiveError};
use std::sync::Arc;

/// Resolves when the node is told to stop, or when nobody is left who could tell it.
async fn stopped(shutdown: &mut tokio::sync::watch::Receiver<bool>) {
    // Not `wait_for` in the callers' `select!`: its guard would make their futures stay on one
    // thread.
    let _guard_or_sender_gone = shutdown.wait_for(|stop| *stop).await;
}

/// Runs something that blocks where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    archive: &Arc<dyn Archive>,
    work: impl FnOnce(&dyn Archive) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let archive = archive.clone();
    tokio::task::spawn_blocking(move || work(&*archive)).await.unwrap_or_else(|error| {
        Err(ArchiveError::Index { step: "background task", message: error.to_string() })
    })
}
