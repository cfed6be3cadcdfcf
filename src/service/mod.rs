//! The node as a whole: archive, associations, deliveries, intake, workers and pages, started
//! together and drained together.
//!
//! Each part runs as a task that this module owns; what must survive is in the archive, so any
//! part may be killed at any moment.

pub mod integrity;
pub mod intake;
pub mod job;
pub mod priors;
pub mod retention;
pub mod runner;
mod scrub;
pub mod signature;
pub mod store;
mod syslog;
pub mod worker;
mod worklist;

use crate::archive::{Archive, AuditEvent};
use crate::config::plan::PlanPatient;
use crate::config::{Fault, Loaded};
use crate::intake::{Decision, Waiting};
use crate::node::settings::Peer;
use crate::node::{Listeners, LocalAe};
use jiff::Timestamp;
use priors::PriorsWanted;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// What all parts share.
pub struct Service {
    pub archive: Arc<dyn Archive>,
    pub loaded: Loaded,
    /// The program of a worker process and its arguments: this binary with `work`.
    pub worker: Vec<OsString>,
    /// Below it each attempt gets a folder of its own.
    pub scratch: PathBuf,
    pub board: Board,
    /// Something may have changed for intake.
    pub(crate) look: Notify,
    /// A job may be waiting for a worker.
    pub(crate) jobs: Notify,
    /// How far running jobs are, by their numbers.
    pub(crate) progress: Mutex<BTreeMap<i64, job::Progress>>,
    /// Instances were deleted: what intake knows of the archive is to be read anew.
    pub(crate) forget: AtomicBool,
}

/// What intake last found, and which priors are missing, for pages; everything else they ask the
/// archive.
#[derive(Debug, Default)]
pub struct Board {
    found: RwLock<Found>,
    priors_missing: RwLock<Vec<Waiting>>,
}

#[derive(Debug, Clone, Default)]
pub struct Found {
    /// When intake last looked; `None` before the first look.
    pub looked: Option<Timestamp>,
    pub decision: Decision,
    pub plan_faults: Vec<Fault>,
    /// Files of plans whose older version is in force.
    pub stale_plans: Vec<String>,
    /// Whose courses are open; `None` while a plan has faults, since it may be anybody's.
    pub patients_with_plans: Option<Vec<PlanPatient>>,
    /// What plans in force want of peers.
    pub priors: Vec<PriorsWanted>,
}

impl Board {
    pub fn get(&self) -> Found {
        // A panic while the lock was held cannot leave a half-written value: it is replaced whole.
        let mut found = self.found.read().unwrap_or_else(PoisonError::into_inner).clone();
        let missing = self.priors_missing.read().unwrap_or_else(PoisonError::into_inner);
        found.decision.waiting.extend(missing.iter().cloned());
        found
    }

    pub(crate) fn set(&self, found: Found) {
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    pub(crate) fn set_priors(&self, missing: Vec<Waiting>) {
        *self.priors_missing.write().unwrap_or_else(PoisonError::into_inner) = missing;
    }
}

/// What keeps the service from running.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("cannot listen on {address} ({section}.listen): {source}")]
    Listen { section: &'static str, address: String, source: std::io::Error },
    #[error("node: {0}")]
    Local(String),
    #[error("storage cannot be opened: {0}")]
    Archive(#[from] crate::archive::ArchiveError),
    #[error("{what} ended: {source}")]
    Ended { what: &'static str, source: std::io::Error },
    #[error("folder for workers {path} cannot be made: {source}", path = .path.display())]
    Scratch { path: PathBuf, source: std::io::Error },
}

impl Service {
    pub fn new(
        loaded: Loaded,
        archive: Arc<dyn Archive>,
        worker: Vec<OsString>,
    ) -> Result<Arc<Self>, ServiceError> {
        let scratch = loaded.config.storage.directory.join("work");
        // What an earlier run left there belongs to attempts that nobody waits for.
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ServiceError::Scratch { path: scratch, source: error });
            }
            _ => {}
        }
        std::fs::create_dir_all(&scratch)
            .map_err(|source| ServiceError::Scratch { path: scratch.clone(), source })?;
        Ok(Arc::new(Self {
            archive,
            loaded,
            worker,
            scratch,
            board: Board::default(),
            look: Notify::new(),
            jobs: Notify::new(),
            progress: Mutex::default(),
            forget: AtomicBool::new(false),
        }))
    }

    /// How far running jobs are.
    pub(crate) fn progress(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, job::Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells intake that something came; it also looks by itself from time to time.
    pub fn something_came(&self) {
        self.look.notify_one();
    }
}

/// Where the node listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    pub dicom: SocketAddr,
    /// For associations over TLS, where that is configured.
    pub dicom_tls: Option<SocketAddr>,
    pub web: SocketAddr,
}

/// Runs everything until `shutdown`, then drains: open associations and running jobs get their
/// time. `ready` is told the addresses once associations are accepted.
pub async fn run(
    service: Arc<Service>,
    shutdown: watch::Receiver<bool>,
    ready: impl FnOnce(Ready),
) -> Result<(), ServiceError> {
    let config = &service.loaded.config;
    let dicom = listen("node", &config.node.listen).await?;
    let secured = match &config.node.tls {
        Some(tls) => Some(listen("node.tls", &tls.listen).await?),
        None => None,
    };
    let web = listen("web", &config.web.listen).await?;
    let dicom_tls = secured.as_ref().map(|(_, address)| *address);
    let addresses = Ready { dicom: dicom.1, dicom_tls, web: web.1 };
    let local = Arc::new(LocalAe::open(&config.node).map_err(ServiceError::Local)?);
    let peers: Arc<[Peer]> = config.peers.clone().into();
    let archive = || service.archive.clone();

    let mut parts: JoinSet<(&'static str, std::io::Result<()>)> = JoinSet::new();
    let listeners = Listeners { plain: dicom.0, secured: secured.map(|(listener, _)| listener) };
    let serving =
        crate::node::serve(listeners, local.clone(), peers.clone(), archive(), shutdown.clone());
    parts.spawn(async { ("node", serving.await) });
    let fetching = priors::run(service.clone(), local.clone(), shutdown.clone());
    parts.spawn(async {
        ("priors", {
            fetching.await;
            Ok(())
        })
    });
    let delivering = crate::node::delivery::run(archive(), peers, local, shutdown.clone());
    parts.spawn(async { ("delivery", delivering.await) });
    let viewer = match &config.web.viewer {
        Some(viewer) => Some(listen("web.viewer", &viewer.listen).await?),
        None => None,
    };
    if let Some((_, address)) = &viewer {
        tracing::info!(%address, "the viewer is served");
    }
    let viewer = viewer.map(|(listener, _)| listener);
    let showing = crate::web::serve(web.0, viewer, service.clone(), shutdown.clone());
    parts.spawn(async { ("web", showing.await) });
    let looking = intake::run(service.clone(), shutdown.clone());
    parts.spawn(async {
        ("intake", {
            looking.await;
            Ok(())
        })
    });
    let scrubbing = scrub::run(service.clone(), shutdown.clone());
    parts.spawn(async {
        ("scrub", {
            scrubbing.await;
            Ok(())
        })
    });
    let retaining = retention::run(service.clone(), shutdown.clone());
    parts.spawn(async {
        ("retention", {
            retaining.await;
            Ok(())
        })
    });
    let telling = syslog::run(service.clone(), shutdown.clone());
    parts.spawn(async {
        ("syslog", {
            telling.await;
            Ok(())
        })
    });
    let performing = worklist::run(service.clone(), shutdown.clone());
    parts.spawn(async {
        ("worklist", {
            performing.await;
            Ok(())
        })
    });
    for number in 0..config.compute.workers {
        let running = runner::run(service.clone(), number, shutdown.clone());
        parts.spawn(async {
            ("runner", {
                running.await;
                Ok(())
            })
        });
    }
    note(&service, "application-started").await;
    ready(addresses);
    let ended = supervise(parts, &shutdown).await;
    note(&service, "application-stopped").await;
    ended
}

/// A line of the audit trail about the node itself (PS3.15 A.5.3.1).
async fn note(service: &Arc<Service>, event: &str) {
    let line = AuditEvent {
        at: Timestamp::now(),
        event: event.to_owned(),
        actor: "grayd".to_owned(),
        object: None,
        outcome: job::SOFTWARE.to_owned(),
    };
    crate::node::audit(&service.archive, vec![line]).await;
}

async fn listen(
    section: &'static str,
    address: &str,
) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |source| ServiceError::Listen { section, address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// A part that ends before it was told to takes the node down with it: a restart is cleaner than
/// a node that answers the scanner and computes nothing.
async fn supervise(
    mut parts: JoinSet<(&'static str, std::io::Result<()>)>,
    shutdown: &watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    while let Some(ended) = parts.join_next().await {
        let (what, result) = ended.unwrap_or_else(|error| ("a part", Err(error.into())));
        match result {
            Err(source) => return Err(ServiceError::Ended { what, source }),
            Ok(()) if !*shutdown.borrow() => {
                let source = std::io::Error::other("it was not told to");
                return Err(ServiceError::Ended { what, source });
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Completes once `shutdown` is true or its sender is gone.
pub async fn until_shutdown(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone: the program is ending.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
