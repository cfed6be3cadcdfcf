//! Services beside storage that a peer may ask for on its association: C-FIND, C-MOVE and C-GET
//! (PS3.4 annex C).
//!
//! Each request comes whole, its data set bounded and behind the gate. While one is being served the
//! peer may only cancel it, confirm what it is sent for it, or release.

mod find;
mod retrieve;

use super::association::{Indication, Transport};
use super::command::{Command, MAX_COMMAND_BYTES, field};
use super::storage::{Ending, Session};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{PDataValue, PDataValueType};
use std::collections::VecDeque;

/// Whether this operation is one of the service with this SOP class.
pub(super) fn belongs(operation: u16, sop_class: &str) -> bool {
    match sop_class {
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND => operation == field::C_FIND_RQ,
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE => operation == field::C_MOVE_RQ,
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET => operation == field::C_GET_RQ,
        _ => false,
    }
}

impl<S: Transport> Session<S> {
    /// Serves a request whose data set has come.
    pub(super) async fn serve_request(
        &mut self,
        context: u8,
        command: &Command,
        data_set: Vec<u8>,
    ) -> Result<(), Ending> {
        match command.field {
            field::C_FIND_RQ => self.find(context, command, &data_set).await,
            _ => self.retrieve(context, command, &data_set).await,
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
            _ => return Err(Ending::Faulty("a request while another is served")),
        }
        Ok(())
    }
}
