//! C-FIND as SCP (PS3.4 section C.4.1): matches come from the archive's index in one piece, and go
//! out one by one until they are all out or the peer cancels.

use super::Interim;
use crate::archive::{ArchiveError, AuditEvent, Match};
use crate::dicom::Uid;
use crate::node::association::Transport;
use crate::node::command::{Command, status};
use crate::node::identifier::{Identifier, IdentifierError};
use crate::node::serve::audit;
use crate::node::storage::{Ending, Session};
use dicom_ul::pdu::PDataValueType;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

/// Matches that one query brings back at most; who needs more asks for less at a time.
const MAX_MATCHES: usize = 20_000;

impl<S: Transport> Session<S> {
    pub(super) async fn find(
        &mut self,
        context: u8,
        request: &Command,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<(), Ending> {
        let model = self.abstract_syntax(context);
        // One more than is sent shows that there are more.
        let identifier = match Identifier::parse(data_set, syntax, &model, MAX_MATCHES + 1) {
            Ok(identifier) => identifier,
            Err(IdentifierError { status, comment }) => {
                return self.answer(context, request, status, Some(comment.to_owned())).await;
            }
        };
        let found = match self.ask(&identifier).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "a query could not be answered");
                let status = error.dimse_status();
                return self.answer(context, request, status, Some(error.to_string())).await;
            }
        };
        let pending = match identifier.is_all_known() {
            true => status::PENDING,
            false => status::PENDING_WITHOUT_SOME_KEYS,
        };
        let own_ae = self.local.title.as_str().to_owned();
        let given = found.iter().take(MAX_MATCHES);
        let answers = given.map(|matched| identifier.answer(matched, &own_ae, syntax));
        let sent = self.send_matches(context, request, pending, answers).await;
        let (status, comment) = match &sent {
            Ok(true) if found.len() > MAX_MATCHES => (
                status::OUT_OF_RESOURCES,
                Some(format!("more than {MAX_MATCHES} matches; ask for less")),
            ),
            Ok(true) => (status::SUCCESS, None),
            Ok(false) | Err(_) => (status::CANCELLED, None),
        };
        let level = identifier.query.level;
        let outcome = format!("{level:?} level, {} matches, status {status:04X}", found.len());
        self.note("query", outcome).await;
        sent?;
        self.answer(context, request, status, comment).await
    }

    async fn ask(&self, identifier: &Identifier) -> Result<Vec<Match>, ArchiveError> {
        let (archive, query) = (self.archive.clone(), identifier.query.clone());
        let asked = spawn_blocking(move || archive.query(&query)).await;
        asked.unwrap_or_else(|error| {
            Err(ArchiveError::Index { step: "answer query", message: error.to_string() })
        })
    }

    /// Sends each answer as it is due; false where the peer cancelled.
    pub(super) async fn send_matches(
        &mut self,
        context: u8,
        request: &Command,
        pending: u16,
        answers: impl Iterator<Item = Vec<u8>>,
    ) -> Result<bool, Ending> {
        let response = Command { has_data_set: true, ..request.response(pending, None) }.encode();
        let mut interim = Interim::of(request);
        for data in answers {
            while let Some(indication) = self.association.next_if_there().await? {
                interim.take(indication)?;
            }
            if interim.cancelled {
                return Ok(false);
            }
            self.association.send(context, PDataValueType::Command, &response).await?;
            self.association.send(context, PDataValueType::Data, &data).await?;
        }
        Ok(true)
    }

    /// A line of the audit trail about what the peer asked for.
    pub(super) async fn note(&self, event: &str, outcome: String) {
        let actor = self.calling.clone();
        let event = event.to_owned();
        let line = AuditEvent { at: Timestamp::now(), event, actor, object: None, outcome };
        audit(&self.archive, vec![line]).await;
    }
}
