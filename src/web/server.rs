//! Connections: how many, how long they may take to say what they want, and TLS.
//!
//! A request head has to be whole within a deadline and a size; an idle connection is closed; a client
//! that no longer takes bytes is given up by the kernel. More connections than allowed wait in the
//! kernel's queue for a free place.

use super::access::Peer;
use crate::service::until_shutdown;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const CONNECTIONS_MAX: usize = 256;
/// For the whole head of a request, and between requests.
const HEAD_WITHIN: Duration = Duration::from_secs(20);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that a client leaves untaken for so long end the connection.
const UNTAKEN_WITHIN: Duration = Duration::from_secs(60);
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// For answers that are under way when the node stops.
const DRAIN: Duration = Duration::from_secs(20);
/// When no descriptor is left for a connection.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `shutdown`; answers that are under way get their time.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let tls = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    let mut stop = pin!(until_shutdown(shutdown.clone()));
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Ok((stream, from)) => {
                let (router, tls, shutdown) = (router.clone(), tls.clone(), shutdown.clone());
                open.spawn(async move {
                    let _place = place;
                    connection(stream, from, router, tls, shutdown).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("answers that were still under way are cut off");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    shutdown: watch::Receiver<bool>,
) {
    // Both only make a bad connection end sooner.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNTAKEN_WITHIN));
    match tls {
        None => talk(stream, from, router, shutdown).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, from, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    from: SocketAddr,
    router: Router,
    shutdown: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(from.ip()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut stop = pin!(until_shutdown(shutdown));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = &mut stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
