//! Answers of any length from blocking code: a bounded channel between a thread that reads files and
//! the socket that takes what it reads.

use crate::web::{Failure, Shared};
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::Frame;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Answers that may be under way at once; each holds a thread.
pub(in crate::web) const STREAMS: usize = 32;
/// Longest wait for a place among them.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes handed over at a time, and how many such pieces wait for the socket.
const PIECE: usize = 128 * 1024;
const PIECES: usize = 4;
/// A client that takes no piece for so long has its answer cut off.
const STALL: Duration = Duration::from_secs(30);

/// A place among the answers that are under way.
pub(super) async fn place(
    streams: &std::sync::Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit, Failure> {
    let busy = || {
        let reason = "too many retrievals at once; ask again in a few seconds";
        Failure(StatusCode::SERVICE_UNAVAILABLE, reason.into())
    };
    let waited = tokio::time::timeout(PATIENCE, streams.clone().acquire_owned()).await;
    waited.map_err(|_| busy())?.map_err(|_| busy())
}

/// Runs `produce` on a thread of its own and sends what it writes. An error after the first byte
/// breaks the connection, so that no cut answer looks whole.
pub(super) async fn stream(
    web: &Shared,
    produce: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<Body, Failure> {
    let place = place(&web.streams).await?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut pipe = Pipe { piece: Vec::with_capacity(PIECE), sender, handle };
        if let Err(error) = produce(&mut pipe).and_then(|()| pipe.flush()) {
            tracing::debug!(%error, "an answer was cut off");
            // A receiver that is gone needs no word of it.
            let _ = pipe.send(Err(error));
        }
    });
    Ok(Body::new(Pieces(pieces)))
}

struct Pipe {
    piece: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    handle: tokio::runtime::Handle,
}

impl Pipe {
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sent = tokio::time::timeout(STALL, self.sender.send(piece));
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = data.len().min(room);
        self.piece.extend_from_slice(&data[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.send(Ok(piece.into()))
    }
}

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
