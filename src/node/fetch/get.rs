//! C-GET as SCU: objects come over the association that asks, in contexts in which we take the role
//! of SCP.

use super::find::identifier;
use super::{FetchError, Lacking, MAX_NAMED, Wanted, ended};
use crate::archive::{Archive, Arrival, Expected};
use crate::dicom::{PatientIdentity, Uid};
use crate::node::accept;
use crate::node::association::{AssociationError, seconds};
use crate::node::command::{Command, field, status};
use crate::node::identifier;
use crate::node::local::LocalAe;
use crate::node::send::{self, Client, is_answer};
use crate::node::settings::{Peer, Service};
use crate::node::storage::spool::{Failure, Spool};
use crate::node::storage::tally::Tally;
use crate::node::tls::Stream;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MODEL: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET;

/// What one request to retrieve names: level and keys.
pub(super) type Keys = (&'static str, Vec<(Tag, VR, String)>);

/// Fetches what is lacking, over one association.
pub(super) async fn get(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    local: &LocalAe,
    wanted: &Wanted,
    lacking: &[Lacking],
) -> Result<(), FetchError> {
    let mut getter = Getter::connect(archive, peer, local, wanted).await?;
    let mut got = Ok(());
    for series in lacking {
        for keys in requests(series) {
            got = getter.retrieve(series, keys).await;
            if got.is_err() {
                break;
            }
        }
        if got.is_err() {
            break;
        }
    }
    let Getter { client, mut tally, .. } = getter;
    tally.write_out().await;
    match &got {
        // A status of the peer's leaves the association as it was.
        Ok(()) | Err(FetchError::Refused { .. }) => client.release(&peer.name).await,
        Err(_) => client.association.abort().await,
    }
    got
}

/// A series that is wholly lacking is asked for by its UID, another by those of its instances.
pub(super) fn requests(lacking: &Lacking) -> Vec<Keys> {
    let above = vec![
        (tags::STUDY_INSTANCE_UID, VR::UI, lacking.study.to_string()),
        (tags::SERIES_INSTANCE_UID, VR::UI, lacking.series.to_string()),
    ];
    if lacking.whole {
        return vec![("SERIES", above)];
    }
    let uids: Vec<&str> = lacking.instances.iter().map(Uid::as_str).collect();
    let request = |uids: &[&str]| {
        let named = (tags::SOP_INSTANCE_UID, VR::UI, uids.join("\\"));
        ("IMAGE", [above.clone(), vec![named]].concat())
    };
    uids.chunks(MAX_NAMED).map(request).collect()
}

struct Getter {
    client: Client<Stream>,
    syntax: Uid,
    archive: Arc<dyn Archive>,
    tally: Tally,
    patient: PatientIdentity,
    calling: String,
    messages: usize,
    patience: Duration,
    /// For one fragment of a data set.
    pace: Duration,
}

impl Getter {
    async fn connect(
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        local: &LocalAe,
        wanted: &Wanted,
    ) -> Result<Self, FetchError> {
        let storage: Vec<&str> = accept::OFFERS
            .iter()
            .filter(|offer| offer.service == Some(Service::Store))
            .map(|offer| offer.sop_class)
            .collect();
        let mut proposed = vec![send::context(1, MODEL, accept::NATIVE)];
        for (id, class) in (3..=u8::MAX).step_by(2).zip(&storage) {
            let syntaxes = accept::transfer_syntaxes(class).unwrap_or(accept::NATIVE);
            proposed.push(send::context(id, class, syntaxes));
        }
        let client = Client::connect(peer, local, proposed, &storage).await?;
        let Some(syntax) = client.agreed(1) else {
            client.release(&peer.name).await;
            let what =
                "retrieval by C-GET (Study Root); set it up there, or choose `retrieve: move`";
            return Err(FetchError::NotOffered(what));
        };
        let limits = &local.limits;
        Ok(Self {
            patience: seconds(limits.idle_s).max(client.answer),
            pace: seconds(limits.pdu_s),
            client,
            syntax,
            archive: archive.clone(),
            tally: Tally::new(peer.ae_title.clone(), archive.clone()),
            patient: wanted.patient.clone(),
            calling: peer.ae_title.clone(),
            messages: 0,
        })
    }

    async fn retrieve(&mut self, lacking: &Lacking, (level, keys): Keys) -> Result<(), FetchError> {
        let model = Uid::parse(MODEL).expect("the dictionary's UIDs are UIDs");
        let request = Command::request(field::C_GET_RQ, send::message_id(self.messages), model);
        self.messages += 1;
        let data = identifier::encode(&identifier(level, &keys), &self.syntax);
        self.client.request(1, &request, &data).await?;
        let mut left = lacking.instances.clone();
        loop {
            let Some((context, command)) = self.client.next_command(self.patience).await? else {
                return Err(FetchError::Unreadable("a release amid a retrieval"));
            };
            if command.field == field::C_STORE_RQ && command.has_data_set {
                self.take(context, &command, &lacking.study, &mut left).await?;
                self.tally.write_out_if_long().await;
                continue;
            }
            if context != 1 || !is_answer(&command, &request) {
                return Err(FetchError::Unreadable("an answer to something else"));
            }
            if command.has_data_set {
                self.client.data_set(context).await?;
            }
            if ended("C-GET", &command)? {
                return Ok(());
            }
        }
    }

    /// One object, by the same door as everybody's.
    async fn take(
        &mut self,
        context: u8,
        command: &Command,
        study: &Uid,
        left: &mut BTreeSet<Uid>,
    ) -> Result<(), AssociationError> {
        let mut sink = self.open(context, command, study, left);
        let mut received = 0u64;
        loop {
            let (piece, is_last) = self.client.next_data(context, self.pace).await?;
            received = received.saturating_add(piece.len() as u64);
            if received > self.archive.instance_limit_bytes() {
                return Err(AssociationError::Violation("an instance larger than allowed"));
            }
            sink = match sink {
                Ok(mut spool) => spool.write(&piece).await.map(|()| spool),
                refused => refused,
            };
            if is_last {
                break;
            }
        }
        let stored = match sink {
            Ok(spool) => spool.commit().await,
            Err(failure) => Err(failure),
        };
        let (status, comment) = match stored {
            Ok(receipt) => self.tally.received(receipt),
            Err(failure) => {
                self.tally.refused(failure.status);
                (failure.status, Some(failure.comment))
            }
        };
        self.client.command(context, &command.response(status, comment)).await
    }

    fn open(
        &self,
        context: u8,
        command: &Command,
        study: &Uid,
        left: &mut BTreeSet<Uid>,
    ) -> Result<Spool, Failure> {
        let refuse = |status, comment| Err(Failure::new(status, comment));
        let agreed = self.client.association.contexts().get(&context);
        let (Some(sop_class), Some(sop_instance), Some(agreed)) =
            (command.sop_class.clone(), command.sop_instance.clone(), agreed)
        else {
            return refuse(status::INVALID_SOP_INSTANCE, "no SOP class or instance is named");
        };
        if sop_class.as_str() != agreed.abstract_syntax {
            let comment = "SOP class is not that of the presentation context";
            return refuse(status::SOP_CLASS_NOT_SUPPORTED, comment);
        }
        let Ok(transfer_syntax) = Uid::parse(&agreed.transfer_syntax) else {
            return refuse(status::PROCESSING_FAILURE, "no transfer syntax agreed");
        };
        if !left.remove(&sop_instance) {
            return refuse(status::NOT_AUTHORIZED, "this instance was not asked for");
        }
        let calling_ae = self.calling.clone();
        let arrival = Arrival { sop_class, sop_instance, transfer_syntax, calling_ae };
        let expected = Expected { study: Some(study.clone()), patient: Some(self.patient.clone()) };
        Ok(Spool::open_expecting(self.archive.clone(), arrival, expected))
    }
}
