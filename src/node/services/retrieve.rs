//! C-MOVE and C-GET as SCP (PS3.4 sections C.4.2 and C.4.3).
//!
//! C-MOVE sends to peers of the configuration only, over an association of its own; C-GET over the
//! association that asks, in the presentation contexts for which the peer took the role of SCP. An
//! instance goes out byte for byte where the receiver takes its transfer syntax, and is rewritten
//! or decompressed otherwise.

use super::Interim;
use crate::archive::{Archive, Match, Query};
use crate::dicom::Uid;
use crate::node::association::{AssociationError, Transport, seconds};
use crate::node::command::{Command, SubOperations, field, status};
use crate::node::identifier::{self, Identifier, IdentifierError};
use crate::node::send::{self, Client, Outgoing, SendOutcome};
use crate::node::settings::Peer;
use crate::node::storage::{Ending, Session};
use crate::node::tls::Stream;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::PDataValueType;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Sub-operations of one request: as many as its counters can tell of.
const MAX_SUB_OPERATIONS: usize = u16::MAX as usize;

/// One retrieval under way.
struct Progress {
    context: u8,
    interim: Interim,
    todo: usize,
    completed: u16,
    warning: u16,
    failed: Vec<Uid>,
}

impl Progress {
    fn count(&mut self, instance: &Uid, outcome: &SendOutcome) {
        match outcome {
            SendOutcome::Stored { status: 0xB000..=0xBFFF } => self.warning += 1,
            SendOutcome::Stored { .. } => self.completed += 1,
            SendOutcome::Refused { .. }
            | SendOutcome::NotAccepted
            | SendOutcome::Interrupted { .. } => self.failed.push(instance.clone()),
        }
    }

    fn done(&self) -> usize {
        usize::from(self.completed) + usize::from(self.warning) + self.failed.len()
    }

    fn counters(&self, with_remaining: bool) -> SubOperations {
        let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        SubOperations {
            remaining: with_remaining.then(|| short(self.todo - self.done())),
            completed: self.completed,
            failed: short(self.failed.len()),
            warning: self.warning,
        }
    }
}

impl<S: Transport> Session<S> {
    pub(super) async fn retrieve(
        &mut self,
        context: u8,
        request: &Command,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<(), Ending> {
        let found = match self.what_to_send(context, data_set, syntax).await {
            Ok(found) => found,
            Err((status, comment)) => {
                return self.answer(context, request, status, Some(comment)).await;
            }
        };
        let mut progress = Progress {
            context,
            interim: Interim::of(request),
            todo: found.len(),
            completed: 0,
            warning: 0,
            failed: Vec::new(),
        };
        if request.field == field::C_GET_RQ {
            self.send_here(request, &found, &mut progress).await?;
        } else {
            let title = request.destination.as_deref().unwrap_or_default();
            let peers = self.peers.clone();
            let Some((_, to)) = peers.iter().find(|(known, _)| known.as_str() == title) else {
                let comment = "the move destination is none of our peers".to_owned();
                return self
                    .answer(context, request, status::DESTINATION_UNKNOWN, Some(comment))
                    .await;
            };
            self.send_there(request, &found, to, &mut progress).await?;
        }
        self.conclude(request, progress).await
    }

    async fn what_to_send(
        &self,
        context: u8,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<Vec<Match>, (u16, String)> {
        let model = self.abstract_syntax(context);
        let query = Identifier::parse(data_set, syntax, &model, MAX_SUB_OPERATIONS + 1)
            .and_then(Identifier::into_retrieve)
            .map_err(|IdentifierError { status, comment }| (status, comment.to_owned()))?;
        let found = ask(self.archive.clone(), query).await?;
        if found.len() > MAX_SUB_OPERATIONS {
            let comment =
                format!("more than {MAX_SUB_OPERATIONS} instances; retrieve less at a time");
            return Err((status::NO_NUMBER_OF_MATCHES, comment));
        }
        Ok(found)
    }

    /// C-GET.
    async fn send_here(
        &mut self,
        request: &Command,
        found: &[Match],
        progress: &mut Progress,
    ) -> Result<(), Ending> {
        for (number, matched) in found.iter().enumerate() {
            self.hear(progress).await?;
            if progress.interim.cancelled {
                return Ok(());
            }
            let instance = &matched.header.sop_instance;
            let outcome = match open(self.archive.clone(), instance).await {
                Ok(file) => self.store_here(send::message_id(number), &file, progress).await?,
                Err(reason) => SendOutcome::Interrupted { reason },
            };
            progress.count(instance, &outcome);
            self.tell(request, progress).await?;
        }
        Ok(())
    }

    async fn store_here(
        &mut self,
        message_id: u16,
        file: &Outgoing,
        progress: &mut Progress,
    ) -> Result<SendOutcome, Ending> {
        let usable = |c: &crate::node::association::Context| c.requestor_is_scp;
        let Some((context, syntax)) = send::context_for(&self.association, file, usable) else {
            return Ok(SendOutcome::NotAccepted);
        };
        let (class, instance) = (file.sop_class.clone(), file.sop_instance.clone());
        let store = Command::store_request(message_id, class, instance);
        let sent = send::put(&mut self.association, context, &syntax, &store, file).await?;
        if let Err(reason) = sent {
            return Ok(SendOutcome::Interrupted { reason });
        }
        loop {
            if let Some(response) = progress.interim.responses.pop_front() {
                if response.message_id != message_id {
                    return Err(Ending::Faulty("a response to something else"));
                }
                return Ok(send::judge(response));
            }
            let within = seconds(self.local.limits.peer_answer_s);
            progress.interim.take(self.association.next(within).await?)?;
        }
    }

    /// C-MOVE. Where the destination cannot be had, or is lost, the rest has failed.
    async fn send_there(
        &mut self,
        request: &Command,
        found: &[Match],
        to: &Peer,
        progress: &mut Progress,
    ) -> Result<(), Ending> {
        let mut rest = found;
        while !rest.is_empty() && !progress.interim.cancelled {
            let kinds = rest.iter().map(|m| (&m.header.sop_class, &m.header.transfer_syntax));
            let (proposed, fit) = send::propose(kinds);
            let (now, later) = rest.split_at(fit);
            let mut client = match Client::connect(to, &self.local, proposed, &[]).await {
                Ok(client) => client,
                Err(error) => {
                    tracing::warn!(%error, "the destination of a C-MOVE cannot be had");
                    let lost = rest.iter().map(|m| m.header.sop_instance.clone());
                    progress.failed.extend(lost);
                    return Ok(());
                }
            };
            match self.send_over(&mut client, request, now, progress).await {
                Ok(Ok(())) => client.release(&to.name).await,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the destination of a C-MOVE was lost");
                    client.association.abort().await;
                    // What was under way when it was lost has not been confirmed.
                    let undone = found.iter().skip(progress.done());
                    progress.failed.extend(undone.map(|m| m.header.sop_instance.clone()));
                    return Ok(());
                }
                // Who asked is gone; what is under way elsewhere ends in order.
                Err(ending) => {
                    client.release(&to.name).await;
                    return Err(ending);
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// The inner error is that of the association to the destination.
    async fn send_over(
        &mut self,
        client: &mut Client<Stream>,
        request: &Command,
        now: &[Match],
        progress: &mut Progress,
    ) -> Result<Result<(), AssociationError>, Ending> {
        for (number, matched) in now.iter().enumerate() {
            self.hear(progress).await?;
            if progress.interim.cancelled {
                return Ok(Ok(()));
            }
            let instance = &matched.header.sop_instance;
            let originator = Some((self.calling.clone(), request.message_id));
            let outcome = match open(self.archive.clone(), instance).await {
                Ok(file) => {
                    match client.store_one(send::message_id(number), &file, originator).await {
                        Ok(outcome) => outcome,
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Err(reason) => SendOutcome::Interrupted { reason },
            };
            progress.count(instance, &outcome);
            self.tell(request, progress).await?;
        }
        Ok(Ok(()))
    }

    /// Takes in what the peer has said meanwhile.
    async fn hear(&mut self, progress: &mut Progress) -> Result<(), Ending> {
        while let Some(indication) = self.association.next_if_there().await? {
            progress.interim.take(indication)?;
        }
        Ok(())
    }

    /// Pending, while there is more to do.
    async fn tell(&mut self, request: &Command, progress: &Progress) -> Result<(), Ending> {
        if progress.done() == progress.todo {
            return Ok(());
        }
        let counters = Some(progress.counters(true));
        let response =
            Command { sub_operations: counters, ..request.response(status::PENDING, None) };
        let bytes = response.encode();
        Ok(self.association.send(progress.context, PDataValueType::Command, &bytes).await?)
    }

    /// The last response, with a list of what failed.
    async fn conclude(&mut self, request: &Command, progress: Progress) -> Result<(), Ending> {
        let cancelled = progress.interim.cancelled && progress.done() < progress.todo;
        let (status, comment) = match progress.failed.len() {
            _ if cancelled => (status::CANCELLED, None),
            0 => (status::SUCCESS, None),
            all if all == progress.todo => {
                (status::NO_SUB_OPERATIONS, Some("no instance could be sent".to_owned()))
            }
            _ => (status::SOME_FAILED, Some("some instances could not be sent".to_owned())),
        };
        let SubOperations { completed, failed, warning, .. } = progress.counters(false);
        let outcome = format!(
            "sent {completed}, with warning {warning}, failed {failed}, status {status:04X}"
        );
        self.note("instances-retrieved", outcome).await;
        let has_data_set = !progress.failed.is_empty();
        let response = Command {
            sub_operations: Some(progress.counters(cancelled)),
            has_data_set,
            ..request.response(status, comment)
        };
        let context = progress.context;
        self.association.send(context, PDataValueType::Command, &response.encode()).await?;
        if let Some(syntax) = self.transfer_syntax(context).filter(|_| has_data_set) {
            let data = failed_list(&progress.failed, &syntax);
            self.association.send(context, PDataValueType::Data, &data).await?;
        }
        Ok(())
    }
}

async fn ask(archive: Arc<dyn Archive>, query: Query) -> Result<Vec<Match>, (u16, String)> {
    match spawn_blocking(move || archive.query(&query)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err((status::NO_NUMBER_OF_MATCHES, error.to_string())),
        Err(error) => Err((status::UNABLE_TO_PROCESS, error.to_string())),
    }
}

async fn open(archive: Arc<dyn Archive>, instance: &Uid) -> Result<Outgoing, String> {
    let uid = instance.clone();
    let path = spawn_blocking(move || archive.path(&uid)).await;
    let path = path.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    Outgoing::open(&path).await.map_err(|error| error.to_string())
}

/// Failed SOP Instance UID List (0008,0058).
fn failed_list(failed: &[Uid], syntax: &Uid) -> Vec<u8> {
    let list: Vec<String> = failed.iter().map(ToString::to_string).collect();
    let value = PrimitiveValue::Strs(list.into());
    let element = DataElement::new(tags::FAILED_SOP_INSTANCE_UID_LIST, VR::UI, value);
    identifier::encode(&InMemDicomObject::from_element_iter([element]), syntax)
}
