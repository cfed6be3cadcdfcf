//! Query and retrieval as SCU (PS3.4 annex C): what a peer has of a patient, and the archive has not,
//! is found study by study and fetched series by series, by C-GET or by C-MOVE to ourselves.
//!
//! What a peer answers is not believed: a study of another patient ends the whole, and an object that
//! comes over C-GET has to be one that was asked for, of that study and of that patient. Every count is
//! bounded. Objects come in through the gate as everybody's do.

mod find;
mod get;
mod movement;

use super::association::AssociationError;
use super::blocking;
use super::command::{Command, status};
use super::local::LocalAe;
use super::send::SendError;
use super::serve::audit;
use super::settings::Peer;
use crate::archive::{Archive, AuditEvent, InstanceFilter};
use crate::config::Retrieve;
use crate::dicom::{PatientIdentity, Uid};
use find::Finder;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Studies, series and instances of one patient that are looked at; who has more narrows the window.
const MAX_STUDIES: usize = 200;
const MAX_SERIES: usize = 2_000;
const MAX_INSTANCES: usize = 20_000;
/// Instances that one request names, so that its identifier stays short.
const MAX_NAMED: usize = 500;

/// What is wanted of a peer.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub patient: PatientIdentity,
    pub modalities: Vec<String>,
    /// First and last Study Date (0008,0020).
    pub dates: (Date, Date),
    pub retrieve: Retrieve,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetched {
    /// Instances that the peer has and that are wanted.
    pub found: usize,
    /// Of those, what the archive lacked.
    pub lacking: usize,
    /// Of those, what is here now.
    pub came: usize,
}

/// Why nothing, or not everything, could be fetched. Never names a patient.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no peer `{0}` is configured; add it to `peers`, or correct `priors: from`")]
    UnknownPeer(String),
    #[error(transparent)]
    Connect(#[from] SendError),
    #[error("the association ended: {0}")]
    Association(#[from] AssociationError),
    /// What it lacks, and what to do about it.
    #[error("the peer does not offer {0}")]
    NotOffered(&'static str),
    #[error("the peer answered {service} with {status:04X} {comment}")]
    Refused { service: &'static str, status: u16, comment: String },
    #[error("the peer answered with what cannot be read: {0}")]
    Unreadable(&'static str),
    #[error(
        "the peer answered a question about one patient with a study of another; nothing is fetched \
         from it: its matching of Patient ID (0010,0020) is to be set right"
    )]
    WrongPatient,
    #[error("the peer has more than {max} {what}; narrow days_before or modalities")]
    TooMany { max: usize, what: &'static str },
    #[error("the archive: {0}")]
    Archive(#[from] crate::archive::ArchiveError),
}

impl FetchError {
    fn refused(service: &'static str, response: &Command) -> Self {
        Self::Refused {
            service,
            status: response.status.unwrap_or(status::PROCESSING_FAILURE),
            comment: response.comment.clone().unwrap_or_default(),
        }
    }
}

/// Whether a retrieval has ended with this response. What did not come is seen by what the archive
/// lacks then.
fn ended(service: &'static str, response: &Command) -> Result<bool, FetchError> {
    match response.status {
        Some(status::PENDING) => Ok(false),
        Some(status::SUCCESS | status::SOME_FAILED) => Ok(true),
        _ => Err(FetchError::refused(service, response)),
    }
}

/// A series that is not whole here.
struct Lacking {
    study: Uid,
    series: Uid,
    instances: BTreeSet<Uid>,
    /// Nothing of it is here: it is asked for by its own UID.
    whole: bool,
}

/// What the peer has of the patient and the archive has not comes here.
pub async fn fetch(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    local: &LocalAe,
    wanted: &Wanted,
) -> Result<Fetched, FetchError> {
    let (found, lacking) = look(archive, peer, local, wanted).await?;
    let mut fetched = Fetched { found, ..Fetched::default() };
    for series in &lacking {
        fetched.lacking += series.instances.len();
    }
    if !lacking.is_empty() {
        match wanted.retrieve {
            Retrieve::Get => get::get(archive, peer, local, wanted, &lacking).await?,
            Retrieve::Move => movement::bring(peer, local, &lacking).await?,
        }
    }
    for series in lacking {
        let still = lacking_of(archive, &series.series, series.instances.clone()).await?;
        fetched.came += series.instances.len() - still.len();
    }
    Ok(fetched)
}

/// How many instances there are that are wanted, and which series are not whole here.
async fn look(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    local: &LocalAe,
    wanted: &Wanted,
) -> Result<(usize, Vec<Lacking>), FetchError> {
    let mut finder = Finder::connect(peer, local).await?;
    let looked = finder.look(archive, wanted).await;
    finder.close(&peer.name, looked.is_ok()).await;
    let outcome = match &looked {
        Ok((found, lacking)) => format!("{found} instances, {} series to fetch", lacking.len()),
        Err(FetchError::WrongPatient) => "refused: a study of another patient".to_owned(),
        Err(_) => "failed".to_owned(),
    };
    let line = AuditEvent {
        at: Timestamp::now(),
        event: "query-made".to_owned(),
        actor: peer.name.clone(),
        object: None,
        outcome,
    };
    audit(archive, vec![line]).await;
    looked
}

/// Which of a series' instances the archive has not.
async fn lacking_of(
    archive: &Arc<dyn Archive>,
    series: &Uid,
    mut instances: BTreeSet<Uid>,
) -> Result<BTreeSet<Uid>, FetchError> {
    let filter = InstanceFilter { series: Some(series.clone()), ..InstanceFilter::default() };
    let here = blocking(archive, move |archive| archive.instances(&filter)).await?;
    for instance in here {
        instances.remove(&instance.header.sop_instance);
    }
    Ok(instances)
}
