//! The index at work: one writing connection, on which who comes first writes for all who wait in
//! one transaction, and a few connections that read beside it.

use super::disk::Disk;
use super::{ArchiveError, schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
            (None, None) => Err(undone()),
        };
        // A caller that is gone needs no answer; what was committed stays.
        let _ = self.reply.send(outcome);
    }
}

/// Somebody's write panicked while ours stood in the same transaction.
fn undone() -> ArchiveError {
    ArchiveError::Index { step: "write", message: "the transaction was undone".into() }
}

/// What a panic left behind is sound: rows are undone with the connection, the lists are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Index {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// One per thread that waits in `write`.
    waiting: Mutex<Vec<Box<dyn Write>>>,
    writer: Mutex<Writer>,
}

impl Index {
    /// Opens an index that `schema::prepare` found sound.
    pub(super) fn open(path: &Path, disk: Disk) -> Outcome<Self> {
        let connection = Some(schema::connect(path)?);
        let writer = Writer { path: path.to_owned(), connection, disk };
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            waiting: Mutex::default(),
            writer: Mutex::new(writer),
        })
    }

    /// Reads on a connection of its own.
    pub(super) fn read<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Outcome<T> {
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::connect(&self.path)?,
        };
        let found = work(&connection).map_err(schema::failed(step));
        let mut idle = lock(&self.idle);
        if idle.len() < READERS {
            idle.push(connection);
        }
        found
    }

    /// Writes in the next transaction; returns once it is on the disk. Whoever gets hold of the writer
    /// writes for all who wait: no thread stands between them and the disk.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let (reply, answer) = sync_channel(1);
        lock(&self.waiting).push(Box::new(Pending { work, outcome: None, reply }));
        loop {
            let mut writer = lock(&self.writer);
            match answer.try_recv() {
                Ok(outcome) => return outcome,
                Err(TryRecvError::Disconnected) => return Err(undone()),
                Err(TryRecvError::Empty) => {}
            }
            let mut waiting = lock(&self.waiting);
            let several = waiting.len().min(BATCH);
            let batch: Vec<_> = waiting.drain(..several).collect();
            drop(waiting);
            writer.commit(batch);
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
