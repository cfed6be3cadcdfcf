//! The index at work: one writer that gathers what many ask for into one transaction, and a few
//! connections that read beside it.

use super::disk::Disk;
use super::{ArchiveError, schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// Writes that wait at most; further callers block.
const QUEUE: usize = 1024;
/// Writes that share one transaction at most.
const BATCH: usize = 256;
/// Reading connections that are kept open.
const READERS: usize = 8;

type Outcome<T> = Result<T, ArchiveError>;

/// One write on its way: run inside the transaction, answered after its commit.
trait Write: Send {
    /// Runs; false where it failed and must be undone.
    fn run(&mut self, index: &Connection) -> bool;
    /// Tells the caller; `failure` overrides what `run` returned.
    fn answer(self: Box<Self>, failure: Option<ArchiveError>);
}

struct Pending<T, F> {
    work: F,
    outcome: Option<Outcome<T>>,
    reply: SyncSender<Outcome<T>>,
}

impl<T: Send, F: FnMut(&Connection) -> Outcome<T> + Send> Write for Pending<T, F> {
    fn run(&mut self, index: &Connection) -> bool {
        let outcome = (self.work)(index);
        let done = outcome.is_ok();
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, failure: Option<ArchiveError>) {
        let outcome = match (failure, self.outcome) {
            // A write that failed by itself says more than the batch's end.
            (_, Some(Err(error))) => Err(error),
            (Some(error), _) => Err(error),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(stopped()),
        };
        // A caller that is gone needs no answer; what was committed stays.
        let _ = self.reply.send(outcome);
    }
}

fn stopped() -> ArchiveError {
    ArchiveError::Index { step: "write", message: "the writer has stopped".into() }
}

pub(super) struct Index {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    queue: Option<SyncSender<Box<dyn Write>>>,
    writer: Option<JoinHandle<()>>,
}

impl Index {
    /// Opens an index that `schema::prepare` found sound.
    pub(super) fn open(path: &Path, disk: Disk) -> Outcome<Self> {
        let connection = schema::connect(path)?;
        let (queue, pending) = sync_channel(QUEUE);
        let mut writer = Writer { path: path.to_owned(), connection: Some(connection), disk };
        let thread = std::thread::Builder::new()
            .name("index".into())
            .spawn(move || writer.serve(&pending))
            .map_err(super::disk::at("start index writer"))?;
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            queue: Some(queue),
            writer: Some(thread),
        })
    }

    /// Reads on a connection of its own.
    pub(super) fn read<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Outcome<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::connect(&self.path)?,
        };
        let found = work(&connection).map_err(schema::failed(step));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS {
            idle.push(connection);
        }
        found
    }

    /// Writes in the next transaction; returns once it is on the disk.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let (reply, answer) = sync_channel(1);
        let pending = Box::new(Pending { work, outcome: None, reply });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(pending).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A panic there was already answered to those who waited.
            let _ = writer.join();
        }
    }
}

struct Writer {
    path: PathBuf,
    /// `None` after a failure that may have left the connection in an unknown state.
    connection: Option<Connection>,
    disk: Disk,
}

impl Writer {
    fn serve(&mut self, queue: &Receiver<Box<dyn Write>>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH - 1));
            self.commit(batch);
        }
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Write>>) {
        let failure = self.transaction(&mut batch).err();
        if failure.is_some() {
            // Whatever state the failure left: the next batch begins on a fresh connection.
            self.connection = None;
        }
        for write in batch {
            write.answer(failure.as_ref().map(again));
        }
    }

    fn transaction(&mut self, batch: &mut [Box<dyn Write>]) -> Outcome<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::connect(&self.path)?,
        };
        let execute = |sql: &str| connection.prepare_cached(sql).and_then(|mut s| s.execute([]));
        execute("BEGIN IMMEDIATE").map_err(schema::failed("begin"))?;
        for write in batch.iter_mut() {
            execute("SAVEPOINT one").map_err(schema::failed("savepoint"))?;
            if !write.run(&connection) {
                execute("ROLLBACK TO one").map_err(schema::failed("rollback"))?;
            }
            execute("RELEASE one").map_err(schema::failed("release"))?;
        }
        self.disk.before_commit().map_err(super::disk::at("commit"))?;
        execute("COMMIT").map_err(schema::failed("commit"))?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// The same failure for each of those who shared a transaction.
fn again(error: &ArchiveError) -> ArchiveError {
    ArchiveError::Index { step: "commit", message: error.to_string() }
}
