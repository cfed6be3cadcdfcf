//! From the socket to the archive: batches cross to blocking threads, so that neither the disk
//! waits for the network nor the network for the disk, with at most two batches in memory.

use crate::archive::{Archive, ArchiveError, Arrival, Expected, Incoming, Receipt};
use crate::count;
use crate::node::command::status;
use std::sync::Arc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Bytes that are handed to the archive at a time: large enough that crossing threads costs
/// little, small enough that a PDU of the usual largest size is hashed and written, and the disk set
/// to work, while the next one comes in.
const BATCH_BYTES: usize = 64 * 1024;

/// Why an instance was not taken, as the sender is told.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: u16,
    pub comment: String,
    too_large: bool,
}

impl Failure {
    pub(in crate::node) fn new(status: u16, comment: &'static str) -> Self {
        Self { status, comment: comment.to_owned(), too_large: false }
    }

    /// More data may follow without end.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let status = error.dimse_status();
        count::INSTANCES_REFUSED.add(1);
        tracing::warn!(status = format_args!("{status:04X}"), reason = %error, "not stored");
        // The status says by itself that it was not understood or does not match.
        let comment = match &error {
            ArchiveError::Unreadable(reason) | ArchiveError::Mismatch(reason) => reason.clone(),
            other => other.to_string(),
        };
        Self { status, comment, too_large: matches!(error, ArchiveError::TooLarge { .. }) }
    }
}

impl From<JoinError> for Failure {
    /// The archive panicked: this instance fails, nothing else.
    fn from(error: JoinError) -> Self {
        tracing::error!(panicked = error.is_panic(), "the archive failed on an instance");
        Self::new(status::PROCESSING_FAILURE, "the archive failed; see the node's log")
    }
}

type Task = JoinHandle<Result<Box<dyn Incoming>, ArchiveError>>;

/// One instance on its way to the archive. Dropped without `commit`: nothing is left of it.
pub(crate) struct Spool {
    batch: Vec<u8>,
    /// Opening, or writing of the previous batch; `None` once it has failed.
    task: Option<Task>,
    received: u64,
}

impl Spool {
    /// Asks the archive for room, without waiting for its answer.
    pub(crate) fn open(archive: Arc<dyn Archive>, arrival: Arrival) -> Self {
        let task = Some(spawn_blocking(move || archive.receive(arrival)));
        Self { batch: Vec::new(), task, received: 0 }
    }

    /// The same for an instance of which something is known.
    pub(crate) fn open_expecting(
        archive: Arc<dyn Archive>,
        arrival: Arrival,
        expected: Expected,
    ) -> Self {
        let task = spawn_blocking(move || {
            let mut incoming = archive.receive(arrival)?;
            incoming.expect(expected)?;
            Ok(incoming)
        });
        Self { batch: Vec::new(), task: Some(task), received: 0 }
    }

    /// Bytes of the data set so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Takes bytes; a failure may be one of earlier bytes or of the opening.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.received = self.received.saturating_add(data.len() as u64);
        self.batch.extend_from_slice(data);
        if self.batch.len() < BATCH_BYTES {
            return Ok(());
        }
        let mut incoming = self.settle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.task = Some(spawn_blocking(move || {
            incoming.write(&batch)?;
            Ok(incoming)
        }));
        Ok(())
    }

    /// Returns when the instance is durable and indexed, with what became of it.
    pub(crate) async fn commit(mut self) -> Result<Receipt, Failure> {
        let began = std::time::Instant::now();
        let mut incoming = self.settle().await?;
        let batch = std::mem::take(&mut self.batch);
        let committed = spawn_blocking(move || {
            incoming.write(&batch)?;
            incoming.commit()
        });
        let receipt = committed.await??;
        count::COMMITS.observe(began.elapsed().as_secs_f64());
        match &receipt {
            Receipt::Stored(instance) => {
                count::INSTANCES_STORED.add(1);
                count::BYTES_STORED.add(instance.bytes);
            }
            Receipt::Duplicate(_) => count::INSTANCES_DUPLICATE.add(1),
            Receipt::Conflict { .. } => count::INSTANCES_CONFLICT.add(1),
        }
        Ok(receipt)
    }

    async fn settle(&mut self) -> Result<Box<dyn Incoming>, Failure> {
        match self.task.take() {
            Some(task) => Ok(task.await??),
            None => Err(Failure::new(status::PROCESSING_FAILURE, "storing had failed before")),
        }
    }
}
