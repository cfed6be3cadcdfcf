//! Services beside storage that a peer may ask for on its association: C-FIND, C-MOVE and C-GET
//! (PS3.4 annex C), storage commitment (annex J), whose reports to us come in here as well, Unified
//! Procedure Steps (annex CC).
//!
//! Each request comes whole, its data set bounded and behind the gate. While one is being served the
//! peer may only cancel it, confirm what it is sent for it, or release.

mod find;
mod retrieve;
mod worklist;

use super::accept;
use super::association::{Indication, Transport};
use super::command::{Command, MAX_COMMAND_BYTES, field, status};
use super::commitment::{self, Report};
use super::settings::Service;
use super::storage::{Ending, Session};
use crate::dicom::Uid;
use dicom_ul::pdu::{PDataValue, PDataValueType};
use std::collections::VecDeque;

impl<S: Transport> Session<S> {
    /// Serves a request whose data set has come.
    pub(super) async fn serve_request(
        &mut self,
        context: u8,
        command: &Command,
        data_set: Vec<u8>,
    ) -> Result<(), Ending> {
        let Some(syntax) = self.transfer_syntax(context) else {
            return self.answer(context, command, status::PROCESSING_FAILURE, None).await;
        };
        if accept::service(&self.abstract_syntax(context)) == Some(Service::Worklist) {
            return self.worklist(context, command, &data_set, &syntax).await;
        }
        match command.field {
            field::C_FIND_RQ => self.find(context, command, &data_set, &syntax).await,
            field::N_ACTION_RQ => self.promise(context, command, &data_set, &syntax).await,
            field::N_EVENT_REPORT_RQ => self.be_told(context, command, &data_set, &syntax).await,
            _ => self.retrieve(context, command, &data_set, &syntax).await,
        }
    }
}

/// Requests for commitment that one association may have open at once.
const MAX_OPEN_REQUESTS: usize = 16;

/// A report that was sent on the association that asked and is not confirmed yet.
pub(super) struct Unconfirmed {
    message_id: u16,
    pub report: Report,
}

impl<S: Transport> Session<S> {
    /// Takes a request for storage commitment; its report comes when everything has been read back.
    async fn promise(
        &mut self,
        context: u8,
        command: &Command,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<(), Ending> {
        if !self.caller.may(Service::Commit) {
            let comment = "peers.allow lacks commit for this peer".to_owned();
            return self.answer(context, command, status::NOT_AUTHORIZED, Some(comment)).await;
        }
        let request = match commitment::Request::parse(command, data_set, syntax) {
            Ok(_) if self.reports.len() >= MAX_OPEN_REQUESTS => {
                Err((status::RESOURCE_LIMITATION, "too many requests are open"))
            }
            parsed => parsed,
        };
        match request {
            Ok(request) => {
                let archive = self.archive.clone();
                self.reports.spawn_blocking(move || (context, request.check(&*archive)));
                self.answer(context, command, status::SUCCESS, None).await
            }
            Err((status, comment)) => {
                self.answer(context, command, status, Some(comment.to_owned())).await
            }
        }
    }

    /// Takes in the report of a peer that was asked for its commitment.
    async fn be_told(
        &mut self,
        context: u8,
        command: &Command,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<(), Ending> {
        let (archive, caller, limits) = (&self.archive, &self.caller, &self.local.limits);
        let taken =
            commitment::take_report(archive, caller, limits, command, data_set, syntax).await;
        self.answer(context, command, taken.0, taken.1).await
    }

    /// Sends a report on the association that asked for it.
    pub(super) async fn report(&mut self, context: u8, report: Report) -> Result<(), Ending> {
        self.note("storage-commitment", report.as_text()).await;
        self.message_ids = self.message_ids.wrapping_add(1);
        let message_id = self.message_ids;
        let command = report.command(message_id).encode();
        let syntax = self.transfer_syntax(context);
        let data = syntax.map(|syntax| report.data_set(self.local.title.as_str(), &syntax));
        // From here on it is brought over another association if this one ends too early.
        self.unconfirmed = Some(Unconfirmed { message_id, report });
        if let Some(data) = data {
            self.association.send(context, PDataValueType::Command, &command).await?;
            self.association.send(context, PDataValueType::Data, &data).await?;
        }
        Ok(())
    }

    /// The peer's answer to a report: whatever it says, it has it.
    pub(super) fn confirm_report(&mut self, response: &Command) -> Result<(), Ending> {
        match self.unconfirmed.take_if(|sent| sent.message_id == response.message_id) {
            Some(_) => Ok(()),
            None => Err(Ending::Faulty("a response that nothing was asked for")),
        }
    }
}

/// What comes from the peer while a request of its is being served.
struct Interim {
    /// The request's message.
    message_id: u16,
    command: Vec<u8>,
    cancelled: bool,
    responses: VecDeque<Command>,
}

impl Interim {
    fn of(request: &Command) -> Self {
        Self {
            message_id: request.message_id,
            command: Vec::new(),
            cancelled: false,
            responses: VecDeque::new(),
        }
    }

    fn take(&mut self, indication: Indication) -> Result<(), Ending> {
        match indication {
            Indication::Data(values) => values.into_iter().try_for_each(|v| self.take_value(v)),
            Indication::Release => Err(Ending::Released),
        }
    }

    fn take_value(&mut self, value: PDataValue) -> Result<(), Ending> {
        if value.value_type != PDataValueType::Command
            || self.command.len() + value.data.len() > MAX_COMMAND_BYTES
        {
            return Err(Ending::Faulty("data while a request of the same peer is served"));
        }
        self.command.extend_from_slice(&value.data);
        if !value.is_last {
            return Ok(());
        }
        let command = Command::decode(&std::mem::take(&mut self.command))
            .map_err(|_| Ending::Faulty("malformed command set"))?;
        match command.field {
            field::C_CANCEL_RQ => self.cancelled |= command.message_id == self.message_id,
            field::C_STORE_RSP if !command.has_data_set => self.responses.push_back(command),
            // A report whose confirmation is passed over here is brought once more, which does no harm.
            field::N_EVENT_REPORT_RSP if !command.has_data_set => {}
            _ => return Err(Ending::Faulty("a request while another is served")),
        }
        Ok(())
    }
}
