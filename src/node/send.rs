//! The other direction: C-ECHO and C-STORE as SCU (PS3.4 annexes A and B).
//!
//! One association carries a batch. A file is sent byte for byte in its own transfer syntax where
//! the peer takes it; it is rewritten between explicit and implicit little endian, and from a lossless
//! compression to either.

mod client;
mod outgoing;

pub(super) use client::{Client, is_answer};
pub use outgoing::Outgoing;

use super::accept::NATIVE;
use super::ae_title::AeTitleError;
use super::association::{Association, AssociationError, Context, Transport};
use super::command::{Command, status};
use super::local::LocalAe;
use super::settings::Peer;
use super::tls::TlsError;
use crate::dicom::Uid;
use dicom_dictionary_std::uids::{IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION};
use dicom_ul::pdu::{PDataValueType, PresentationContextProposed};
use std::path::PathBuf;

/// Presentation context identifiers are odd and one byte wide.
const MAX_CONTEXTS: usize = 128;

/// Why nothing could be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(
        "cannot connect to {peer} at {host}:{port}: {reason}; check peers in the configuration"
    )]
    Connect { peer: String, host: String, port: u16, reason: String },
    #[error("{peer}: {source}")]
    Tls { peer: String, source: TlsError },
    #[error("{peer}: {source}")]
    Association { peer: String, source: AssociationError },
    #[error("peer {peer}: {source}")]
    AeTitle { peer: String, source: AeTitleError },
    #[error("{path} cannot be sent: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{peer} does not accept Verification")]
    NoVerification { peer: String },
    #[error("{peer} answered C-ECHO with status {status:04X}")]
    Echo { peer: String, status: u16 },
}

/// What became of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The peer has it: success, a warning (Bxxx), or it had it already (0111).
    Stored { status: u16 },
    /// The peer answered with a failure.
    Refused { status: u16, comment: Option<String> },
    /// The peer accepts neither the SOP class nor any transfer syntax that we can offer.
    NotAccepted,
    /// The association or the file failed before the peer confirmed; nothing is known.
    Interrupted { reason: String },
}

/// Checks that the peer answers at all.
pub async fn echo(peer: &Peer, local: &LocalAe) -> Result<(), SendError> {
    let proposed = vec![context(1, VERIFICATION, &[IMPLICIT_VR_LITTLE_ENDIAN])];
    let mut client = Client::connect(peer, local, proposed, &[]).await?;
    let failed = |source| SendError::Association { peer: peer.name.clone(), source };
    if client.association.contexts().is_empty() {
        client.release(&peer.name).await;
        return Err(SendError::NoVerification { peer: peer.name.clone() });
    }
    let verification = Uid::parse(VERIFICATION).expect("the dictionary's UIDs are UIDs");
    let request = Command::echo_request(1, verification);
    client.command(1, &request).await.map_err(failed)?;
    let answer = match client.response(1, &request).await {
        Ok(answer) => answer,
        Err(error) => {
            client.association.abort().await;
            return Err(failed(error));
        }
    };
    client.release(&peer.name).await;
    match answer.status {
        Some(status::SUCCESS) => Ok(()),
        other => Err(SendError::Echo { peer: peer.name.clone(), status: other.unwrap_or(0xFFFF) }),
    }
}

/// Sends Part 10 files in the given order over one association; one outcome a file, same order.
pub async fn store(
    peer: &Peer,
    local: &LocalAe,
    files: &[PathBuf],
) -> Result<Vec<(Uid, SendOutcome)>, SendError> {
    let mut batch = Vec::with_capacity(files.len());
    for file in files {
        batch.push(Outgoing::open(file).await?);
    }
    store_batch(peer, local, &batch).await
}

/// As [`store`], of files that have been opened. Kinds that do not fit into the presentation
/// contexts of one association go over further ones.
pub async fn store_batch(
    peer: &Peer,
    local: &LocalAe,
    batch: &[Outgoing],
) -> Result<Vec<(Uid, SendOutcome)>, SendError> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut rest = batch;
    while !rest.is_empty() {
        let (proposed, fit) = propose(rest.iter().map(|f| (&f.sop_class, &f.transfer_syntax)));
        let (now, later) = rest.split_at(fit);
        match store_together(peer, local, now, proposed).await {
            Ok(done) => outcomes.extend(done),
            Err(error) if outcomes.is_empty() => return Err(error),
            // What went before stands; the others are as if the association had broken.
            Err(error) => {
                let reason = error.to_string();
                let broken = || SendOutcome::Interrupted { reason: reason.clone() };
                outcomes.extend(rest.iter().map(|file| (file.sop_instance.clone(), broken())));
                return Ok(outcomes);
            }
        }
        rest = later;
    }
    Ok(outcomes)
}

/// Sends what fits on one association.
async fn store_together(
    peer: &Peer,
    local: &LocalAe,
    batch: &[Outgoing],
    proposed: Vec<PresentationContextProposed>,
) -> Result<Vec<(Uid, SendOutcome)>, SendError> {
    let mut client = Client::connect(peer, local, proposed, &[]).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut broken: Option<String> = None;
    for (number, file) in batch.iter().enumerate() {
        let outcome = match &broken {
            Some(reason) => SendOutcome::Interrupted { reason: reason.clone() },
            None => match client.store_one(message_id(number), file, None).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    let reason = error.to_string();
                    broken = Some(reason.clone());
                    SendOutcome::Interrupted { reason }
                }
            },
        };
        outcomes.push((file.sop_instance.clone(), outcome));
    }
    match broken {
        None => client.release(&peer.name).await,
        Some(_) => client.association.abort().await,
    }
    Ok(outcomes)
}

/// Message identifiers only have to differ among messages that are under way; ours are one.
pub(super) fn message_id(number: usize) -> u16 {
    u16::try_from(number % usize::from(u16::MAX)).unwrap_or(0) + 1
}

pub(super) fn context(id: u8, sop_class: &str, syntaxes: &[&str]) -> PresentationContextProposed {
    PresentationContextProposed {
        id,
        abstract_syntax: sop_class.to_owned(),
        transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).to_owned()).collect(),
    }
}

/// For each SOP class: a context for each syntax that files have, and one for what they could be
/// rewritten to, so that the peer's choice among alternatives never costs us the file's own. Gives
/// also how many files from the first on they serve: all, or those before the first that would
/// need one context too many.
pub(super) fn propose<'f>(
    files: impl Iterator<Item = (&'f Uid, &'f Uid)>,
) -> (Vec<PresentationContextProposed>, usize) {
    let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut fit = 0;
    for (sop_class, transfer_syntax) in files {
        let own = transfer_syntax.as_str();
        let alternatives = outgoing::can_be_native(own).then(|| NATIVE.to_vec());
        let before = wanted.len();
        for syntaxes in [vec![own]].into_iter().chain(alternatives) {
            let context = (sop_class.as_str(), syntaxes);
            if !wanted.contains(&context) {
                wanted.push(context);
            }
        }
        if wanted.len() > MAX_CONTEXTS {
            wanted.truncate(before);
            break;
        }
        fit += 1;
    }
    let ids = (1..=u8::MAX).step_by(2);
    (ids.zip(&wanted).map(|(id, (class, syntaxes))| context(id, class, syntaxes)).collect(), fit)
}

/// The accepted context that suits a file best, of those that `usable` lets pass: its own syntax,
/// else one to rewrite it to.
pub(super) fn context_for<S: Transport>(
    association: &Association<S>,
    file: &Outgoing,
    usable: impl Fn(&Context) -> bool,
) -> Option<(u8, String)> {
    let class = file.sop_class.as_str();
    let fits = |(_, c): &(&u8, &Context)| c.abstract_syntax == class && usable(c);
    let of_class = || association.contexts().iter().filter(fits);
    let own = file.transfer_syntax.as_str();
    let found = of_class()
        .find(|(_, c)| c.transfer_syntax == own)
        .or_else(|| of_class().find(|(_, c)| file.can_become(&c.transfer_syntax)));
    found.map(|(id, context)| (*id, context.transfer_syntax.clone()))
}

/// Sends a C-STORE request with its data set. The inner error is the file's: nothing was sent.
pub(super) async fn put<S: Transport>(
    association: &mut Association<S>,
    context: u8,
    syntax: &str,
    request: &Command,
    file: &Outgoing,
) -> Result<Result<(), String>, AssociationError> {
    let mut data = match file.data_set(syntax).await {
        Ok(data) => data,
        Err(error) => return Ok(Err(error.to_string())),
    };
    association.send(context, PDataValueType::Command, &request.encode()).await?;
    let fragment = association.fragment_bytes();
    loop {
        let Ok((bytes, is_last)) = data.next(fragment).await else {
            // Half a data set is out; only an abort takes it back.
            return Err(AssociationError::Lost("the file could not be read on".to_owned()));
        };
        association.send_fragment(context, PDataValueType::Data, bytes, is_last).await?;
        if is_last {
            return Ok(Ok(()));
        }
    }
}

/// What a C-STORE response says (PS3.4 section B.2.3).
pub(super) fn judge(response: Command) -> SendOutcome {
    let status = response.status.unwrap_or(status::PROCESSING_FAILURE);
    match status {
        status::SUCCESS | status::DUPLICATE_SOP_INSTANCE | 0xB000..=0xBFFF => {
            SendOutcome::Stored { status }
        }
        _ => SendOutcome::Refused { status, comment: response.comment },
    }
}
