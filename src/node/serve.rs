//! Listening: who may associate, how many at once, and what happens when the node stops.

use super::accept;
use super::ae_title::AeTitle;
use super::association::acceptor::Rejection;
use super::association::{AssociationError, Proposal, Transport, receive_request, seconds};
use super::commitment::Report;
use super::local::LocalAe;
use super::quota::{Quota, Quotas};
use super::refusals::{self, Line, Refusals};
use super::settings::Peer;
use super::stopped;
use super::storage::{Ending, Session};
use super::tls::{Channel, Stream};
use crate::archive::{Archive, AuditEvent};
use crate::count;
use jiff::Timestamp;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

/// Connections that have not yet been accepted or that are being refused. They are not counted as
/// associations, so that whoever connects and says nothing keeps no known peer out.
const MAX_UNDECIDED: usize = 768;

/// How long associations may go on with the message that they are in when the node stops.
const DRAIN: Duration = Duration::from_secs(25);

/// Wait after a failure to accept, such as too many open files, before the next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For a peer's host name to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);

/// After this time without a sign of life the kernel begins to ask whether the peer is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where associations come from.
pub struct Listeners {
    pub plain: TcpListener,
    /// Answered only where the local entity has what to secure connections with.
    pub secured: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self { plain, secured: None }
    }
}

impl Listeners {
    /// The next connection, and whether it came to the secured address.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, bool)> {
        let secured = async {
            match &self.secured {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.plain.accept() => accepted.map(|(stream, from)| (stream, from, false)),
            accepted = secured => accepted.map(|(stream, from)| (stream, from, true)),
        }
    }
}

/// Accepts associations until `shutdown` turns true, then lets each finish the message that it is
/// in. Fails only if a peer's AE title is none.
pub async fn serve(
    listeners: impl Into<Listeners>,
    local: Arc<LocalAe>,
    peers: Arc<[Peer]>,
    archive: Arc<dyn Archive>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let listeners = listeners.into();
    let node = Arc::new(Node::new(local, &peers, archive, shutdown.clone())?);
    let undecided = Arc::new(Semaphore::new(MAX_UNDECIDED));
    let mut tasks = JoinSet::new();
    let mut stopping = shutdown;
    let mut minute = tokio::time::interval(refusals::SPAN);
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            _ = minute.tick() => node.note_refusals(Some(Instant::now())).await,
            Some(done) = tasks.join_next() => node.note_failure(done).await,
            accepted = listeners.accept() => match accepted {
                Ok((stream, from, secured)) => {
                    // Without a free place the connection is closed by being dropped.
                    if let Ok(place) = undecided.clone().try_acquire_owned() {
                        let node = node.clone();
                        tasks.spawn(async move { node.attend(stream, from, secured, place).await });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
    let drained = timeout(DRAIN, async {
        while let Some(done) = tasks.join_next().await {
            node.note_failure(done).await;
        }
    });
    if drained.await.is_err() {
        tracing::warn!(associations = tasks.len(), "cut off as the node stops");
        tasks.shutdown().await;
    }
    node.note_refusals(None).await;
    Ok(())
}

/// What all associations share.
struct Node {
    local: Arc<LocalAe>,
    peers: Arc<[(AeTitle, Peer)]>,
    archive: Arc<dyn Archive>,
    associations: Arc<Semaphore>,
    quotas: Quotas,
    refusals: Mutex<Refusals>,
    shutdown: watch::Receiver<bool>,
}

impl Node {
    fn new(
        local: Arc<LocalAe>,
        peers: &[Peer],
        archive: Arc<dyn Archive>,
        shutdown: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let with_title = |peer: &Peer| match AeTitle::parse(&peer.ae_title) {
            Ok(title) => Ok((title, peer.clone())),
            Err(error) => Err(io::Error::other(format!("{}: {error}", peer.name))),
        };
        Ok(Self {
            peers: peers.iter().map(with_title).collect::<io::Result<_>>()?,
            associations: Arc::new(Semaphore::new(local.limits.associations)),
            quotas: Quotas::of(peers),
            refusals: Mutex::default(),
            local,
            archive,
            shutdown,
        })
    }

    /// One connection from its first byte to its last.
    async fn attend(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        secured: bool,
        place: tokio::sync::OwnedSemaphorePermit,
    ) {
        configure(&stream, self.local.limits.pdu_s);
        let mut shutdown = self.shutdown.clone();
        let request = tokio::select! {
            request = self.hear(stream, secured) => request,
            () = stopped(&mut shutdown) => return,
        };
        let ip = from.ip().to_canonical();
        let (proposal, channel) = match request {
            Ok(request) => request,
            // Port scans and health checks say nothing and are not worth a line.
            Err(None) => return,
            Err(Some(why)) => return self.note_refusal(ip.to_string(), why).await,
        };
        let calling = match self.judge(&proposal, ip, &channel).await {
            Ok(calling) => calling,
            Err(rejection) => return self.refuse(proposal, ip, rejection).await,
        };
        let peer = calling.1.clone();
        let quota = self.quotas.quota(&peer);
        let Some(own_place) = quota.enter(&peer) else {
            count::QUOTA_REFUSALS.add(1);
            return self.refuse(proposal, ip, Rejection::PeerLimit).await;
        };
        let Ok(permit) = self.associations.clone().try_acquire_owned() else {
            return self.refuse(proposal, ip, Rejection::LocalLimit).await;
        };
        drop(place);
        let unreported = self.converse(proposal, calling, quota).await;
        drop((permit, own_place));
        for report in unreported {
            tokio::select! {
                () = stopped(&mut shutdown) => return,
                () = report.bring(&peer, &self.local) => {}
            }
        }
    }

    /// What the peer proposes, and over what; why that cannot be had, where it is worth telling.
    async fn hear(
        &self,
        stream: TcpStream,
        secured: bool,
    ) -> Result<(Proposal<Stream>, Channel), Option<String>> {
        let limits = &self.local.limits;
        let stream = match &self.local.tls {
            Some(tls) if secured => {
                let accepted = tls.accept(stream, seconds(limits.artim_s)).await;
                accepted.map_err(|error| Some(error.to_string()))?
            }
            // Nothing listens there without TLS to answer with.
            _ if secured => return Err(None),
            _ => Stream::Plain(stream),
        };
        let channel = stream.channel();
        match receive_request(stream, limits).await {
            Ok(proposal) => Ok((proposal, channel)),
            Err(AssociationError::Lost(_)) => Err(None),
            Err(error) => Err(Some(error.to_string())),
        }
    }

    /// Serves an association to its end; gives back the reports that are still to be brought.
    async fn converse<S: Transport>(
        &self,
        proposal: Proposal<S>,
        calling: (AeTitle, Peer),
        quota: Arc<Quota>,
    ) -> Vec<Report> {
        let actor = calling.0.as_str().to_owned();
        let negotiate = |proposed: &_| accept::negotiate(proposed, &calling.1);
        let association = match proposal.accept(negotiate).await {
            Ok(association) => association,
            Err(error) => {
                self.note_refusal(actor, error.to_string()).await;
                return Vec::new();
            }
        };
        let agreed = format!("{} presentation contexts", association.contexts().len());
        count::ASSOCIATIONS_ACCEPTED.add(1);
        let _open = count::ASSOCIATIONS_OPEN.enter();
        self.note("association-accepted", actor.clone(), agreed).await;
        let session = Session::new(
            association,
            calling,
            quota,
            (self.local.clone(), self.peers.clone()),
            self.archive.clone(),
        );
        let (ending, unreported) = session.run(self.shutdown.clone()).await;
        let event = match ending {
            Ending::Released => "association-released",
            Ending::ShutDown | Ending::Faulty(_) | Ending::Failed(_) => "association-aborted",
        };
        self.note(event, actor, ending.as_text()).await;
        unreported
    }

    /// Known, called by the right name, at home where it calls from, and secured as it has to be?
    async fn judge<S: Transport>(
        &self,
        proposal: &Proposal<S>,
        from: IpAddr,
        channel: &Channel,
    ) -> Result<(AeTitle, Peer), Rejection> {
        if let Some(rejection) = proposal.provider_rejection() {
            return Err(rejection);
        }
        if AeTitle::parse(proposal.called_ae_title()).as_ref() != Ok(&self.local.title) {
            return Err(Rejection::CalledAeTitle);
        }
        let calling =
            AeTitle::parse(proposal.calling_ae_title()).map_err(|_| Rejection::CallingAeTitle)?;
        for (title, peer) in self.peers.iter() {
            if *title == calling && is_at(peer, from).await {
                match channel.admits(peer) {
                    Ok(()) => return Ok((calling, peer.clone())),
                    Err(why) => tracing::warn!(peer = peer.name, why, "a peer is refused"),
                }
            }
        }
        Err(Rejection::CallingAeTitle)
    }

    async fn refuse<S: Transport>(&self, proposal: Proposal<S>, from: IpAddr, why: Rejection) {
        // The title that was received may be anything; who it was is said by the address.
        self.note_refusal(from.to_string(), why.as_str().to_owned()).await;
        if let Err(error) = proposal.reject(why).await {
            tracing::debug!(%error, "A-ASSOCIATE-RJ not delivered");
        }
    }

    /// One line for a caller's first refusal; what follows within a minute is counted.
    async fn note_refusal(&self, actor: String, why: String) {
        let line = self.refusals().note(Instant::now(), actor, why);
        self.write_refusals(line.into_iter().collect()).await;
    }

    /// Writes out the counts whose minute is over, or all.
    async fn note_refusals(&self, now: Option<Instant>) {
        let lines = self.refusals().ended(now);
        self.write_refusals(lines).await;
    }

    async fn write_refusals(&self, lines: Vec<Line>) {
        for (actor, outcome) in lines {
            self.note("association-refused", actor, outcome).await;
        }
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, event: &str, actor: String, outcome: String) {
        if event == "association-refused" {
            count::ASSOCIATIONS_REFUSED.add(1);
        }
        tracing::info!(event, actor, outcome);
        let at = Timestamp::now();
        let line = AuditEvent { at, event: event.to_owned(), actor, object: None, outcome };
        audit(&self.archive, vec![line]).await;
    }

    /// A panic in one association is noted, and has failed that one only.
    async fn note_failure(&self, done: Result<(), JoinError>) {
        if let Err(error) = done
            && error.is_panic()
        {
            tracing::error!("an association's task panicked");
            let outcome = "the association's task panicked".to_owned();
            self.note("association-aborted", "grayd".to_owned(), outcome).await;
        }
    }
}

/// Appends lines to the audit trail; a failure to do so is an error for the operator.
pub(crate) async fn audit(archive: &Arc<dyn Archive>, events: Vec<AuditEvent>) {
    if events.is_empty() {
        return;
    }
    let archive = archive.clone();
    let written = spawn_blocking(move || events.into_iter().try_for_each(|e| archive.audit(e)));
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "audit line lost"),
        Err(error) => tracing::error!(%error, "audit line lost"),
    }
}

/// Whether the peer's configured host is, or resolves to, this address.
async fn is_at(peer: &Peer, address: IpAddr) -> bool {
    if let Ok(configured) = peer.host.parse::<IpAddr>() {
        return configured.to_canonical() == address;
    }
    match timeout(RESOLVE, lookup_host((peer.host.as_str(), peer.port))).await {
        Ok(Ok(mut found)) => found.any(|known| known.ip().to_canonical() == address),
        Ok(Err(error)) => {
            tracing::warn!(peer = peer.name, %error, "the peer's host does not resolve");
            false
        }
        Err(_) => {
            tracing::warn!(peer = peer.name, "the peer's host does not resolve in time");
            false
        }
    }
}

/// Options that save time (no Nagle) or find out that a peer has gone; an association without
/// them is still correct, so failing to set one is only logged.
pub(super) fn configure(stream: &TcpStream, unacknowledged_s: u32) {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    let set = stream.set_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| {
        socket.set_tcp_user_timeout(Some(Duration::from_secs(u64::from(unacknowledged_s))))
    });
    #[cfg(not(target_os = "linux"))]
    let _ = unacknowledged_s;
    if let Err(error) = set {
        tracing::debug!(%error, "socket option not set");
    }
}
