//! An association on which we ask, whatever the service: requests out, and messages in as they come.

use super::{Outgoing, SendError, SendOutcome, context, context_for, judge, put};
use crate::dicom::Uid;
use crate::node::accept::NATIVE;
use crate::node::ae_title::AeTitle;
use crate::node::association::{
    self, Association, AssociationError, Indication, Transport, seconds,
};
use crate::node::command::{Command, MAX_COMMAND_BYTES, field};
use crate::node::identifier::MAX_IDENTIFIER_BYTES;
use crate::node::local::LocalAe;
use crate::node::serve::configure;
use crate::node::settings::Peer;
use crate::node::tls::{Stream, TlsError};
use dicom_ul::pdu::{PDataValue, PDataValueType, PresentationContextProposed};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(in crate::node) struct Client<S> {
    pub(in crate::node) association: Association<S>,
    /// For each answer.
    pub(in crate::node) answer: Duration,
    /// Fragments that came in one PDU with what was asked for.
    rest: VecDeque<PDataValue>,
}

fn violation<T>(what: &'static str) -> Result<T, AssociationError> {
    Err(AssociationError::Violation(what))
}

impl Client<Stream> {
    pub(in crate::node) async fn connect(
        peer: &Peer,
        local: &LocalAe,
        proposed: Vec<PresentationContextProposed>,
        as_scp_of: &[&str],
    ) -> Result<Self, SendError> {
        let LocalAe { title, limits, tls } = local;
        let called = AeTitle::parse(&peer.ae_title)
            .map_err(|source| SendError::AeTitle { peer: peer.name.clone(), source })?;
        let unreachable = |reason: String| SendError::Connect {
            peer: peer.name.clone(),
            host: peer.host.clone(),
            port: peer.port,
            reason,
        };
        let connect = TcpStream::connect((peer.host.as_str(), peer.port));
        let answer = seconds(limits.peer_answer_s);
        let stream = timeout(answer, connect)
            .await
            .map_err(|_| unreachable("no answer in time".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        configure(&stream, limits.pdu_s);
        let insecure = |source| SendError::Tls { peer: peer.name.clone(), source };
        let stream = match (peer.tls, tls) {
            (false, _) => Stream::Plain(stream),
            (true, None) => return Err(insecure(TlsError::NotConfigured)),
            (true, Some(tls)) => tls.connect(stream, peer, answer).await.map_err(insecure)?,
        };
        let association = association::request(stream, title, &called, proposed, as_scp_of, limits)
            .await
            .map_err(|source| SendError::Association { peer: peer.name.clone(), source })?;
        Ok(Self { association, answer, rest: VecDeque::new() })
    }

    /// Connects for one SOP class in context 1, and gives the transfer syntax agreed for it; `None`
    /// where the peer does not offer it.
    pub(in crate::node) async fn for_class(
        peer: &Peer,
        local: &LocalAe,
        class: &str,
        as_scp_of: &[&str],
    ) -> Result<Option<(Self, Uid)>, SendError> {
        let proposed = vec![context(1, class, NATIVE)];
        let client = Self::connect(peer, local, proposed, as_scp_of).await?;
        let Some(syntax) = client.agreed(1) else {
            client.release(&peer.name).await;
            return Ok(None);
        };
        Ok(Some((client, syntax)))
    }
}

impl<S: Transport> Client<S> {
    /// The transfer syntax of a context, if the peer has accepted it.
    pub(in crate::node) fn agreed(&self, context: u8) -> Option<Uid> {
        let agreed = self.association.contexts().get(&context)?;
        Uid::parse(&agreed.transfer_syntax).ok()
    }

    pub(in crate::node) async fn command(
        &mut self,
        context: u8,
        command: &Command,
    ) -> Result<(), AssociationError> {
        self.association.send(context, PDataValueType::Command, &command.encode()).await
    }

    /// A request with its data set.
    pub(in crate::node) async fn request(
        &mut self,
        context: u8,
        request: &Command,
        data_set: &[u8],
    ) -> Result<(), AssociationError> {
        self.command(context, request).await?;
        self.association.send(context, PDataValueType::Data, data_set).await
    }

    /// The next fragment; `None` where the peer wants to release the association.
    async fn fragment(&mut self, within: Duration) -> Result<Option<PDataValue>, AssociationError> {
        loop {
            if let Some(value) = self.rest.pop_front() {
                return Ok(Some(value));
            }
            match self.association.next(within).await? {
                Indication::Data(values) => self.rest.extend(values),
                Indication::Release => return Ok(None),
            }
        }
    }

    /// The next command set and its context; `None` where the peer wants to release the
    /// association.
    pub(in crate::node) async fn next_command(
        &mut self,
        within: Duration,
    ) -> Result<Option<(u8, Command)>, AssociationError> {
        let mut begun: Option<(u8, Vec<u8>)> = None;
        loop {
            let Some(value) = self.fragment(within).await? else {
                return match begun {
                    None => Ok(None),
                    Some(_) => violation("release within a message"),
                };
            };
            let context = value.presentation_context_id;
            let (at, mut bytes) = begun.unwrap_or((context, Vec::new()));
            if at != context
                || value.value_type != PDataValueType::Command
                || bytes.len() + value.data.len() > MAX_COMMAND_BYTES
            {
                return violation("a fragment that is no part of a command set");
            }
            bytes.extend_from_slice(&value.data);
            if !value.is_last {
                begun = Some((at, bytes));
                continue;
            }
            return match Command::decode(&bytes) {
                Ok(command) => Ok(Some((context, command))),
                Err(_) => violation("malformed command set"),
            };
        }
    }

    /// The next fragment of the data set that goes with a command, and whether it is the last.
    pub(in crate::node) async fn next_data(
        &mut self,
        context: u8,
        within: Duration,
    ) -> Result<(Vec<u8>, bool), AssociationError> {
        match self.fragment(within).await? {
            Some(value)
                if value.presentation_context_id == context
                    && value.value_type == PDataValueType::Data =>
            {
                Ok((value.data, value.is_last))
            }
            _ => violation("a fragment that is no part of the data set"),
        }
    }

    /// The whole data set that goes with a command.
    pub(in crate::node) async fn data_set(
        &mut self,
        context: u8,
    ) -> Result<Vec<u8>, AssociationError> {
        let mut bytes = Vec::new();
        loop {
            let (piece, is_last) = self.next_data(context, self.answer).await?;
            if bytes.len() + piece.len() > MAX_IDENTIFIER_BYTES {
                return violation("a data set longer than any of its kind");
            }
            bytes.extend_from_slice(&piece);
            if is_last {
                return Ok(bytes);
            }
        }
    }

    /// The response to `request`, which has to come within `peer_answer_s`. A data set that goes
    /// with it is passed over.
    pub(in crate::node) async fn response(
        &mut self,
        context: u8,
        request: &Command,
    ) -> Result<Command, AssociationError> {
        let Some((at, response)) = self.next_command(self.answer).await? else {
            return violation("release instead of a response");
        };
        if at != context || !is_answer(&response, request) {
            return violation("a response to something else");
        }
        if response.has_data_set {
            self.data_set(context).await?;
        }
        Ok(response)
    }

    /// Sends one instance. An error means that the association is of no more use.
    pub(in crate::node) async fn store_one(
        &mut self,
        message_id: u16,
        file: &Outgoing,
        originator: Option<(String, u16)>,
    ) -> Result<SendOutcome, AssociationError> {
        let Some((context, syntax)) = context_for(&self.association, file, |_| true) else {
            return Ok(SendOutcome::NotAccepted);
        };
        let (class, instance) = (file.sop_class.clone(), file.sop_instance.clone());
        let request = Command { originator, ..Command::store_request(message_id, class, instance) };
        if let Err(reason) = put(&mut self.association, context, &syntax, &request, file).await? {
            return Ok(SendOutcome::Interrupted { reason });
        }
        Ok(judge(self.response(context, &request).await?))
    }

    /// Every answer is in; a release that goes wrong changes nothing about them.
    pub(in crate::node) async fn release(self, peer: &str) {
        if let Err(error) = self.association.release().await {
            tracing::debug!(peer, %error, "release failed");
        }
    }
}

/// Whether a command is the response to `request`.
pub(in crate::node) fn is_answer(response: &Command, request: &Command) -> bool {
    response.field == request.field | field::RESPONSE && response.message_id == request.message_id
}
