//! Associations in both roles, over any byte stream (PS3.8).
//!
//! [`state`] is the standard's table and decides what each event means; this module turns PDUs
//! and timeouts into its events and does what its actions say; [`wire`] frames PDUs. Every wait
//! has a limit of [`Limits`], and no bytes of a peer can make this code panic.
//!
//! Presentation contexts are agreed here; what is carried in them is not looked at.

pub mod acceptor;
mod items;
pub mod requestor;
pub mod state;
pub mod wire;

pub use acceptor::{Proposal, receive_request};
pub use requestor::request;
pub use wire::{Transport, WireError};

use super::settings::Limits;
use crate::archive::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, AbortRQSource, PDataValue, PDataValueType, Pdu,
    RequestorRoles, UserVariableItem,
};
use state::{Action, Event, Machine, State, Unforeseen};
use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use wire::{Patience, Wire};

/// Registered DICOM application context (PS3.7 annex A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Bytes of a presentation data value's length, context identifier and message control header.
const PDV_HEADER_BYTES: u32 = 6;

/// Bounds on the P-DATA-TF PDUs that we send, whatever the peer would take: larger ones gain
/// nothing, smaller ones would never come to an end.
const SEND_PDU_BYTES: std::ops::RangeInclusive<u32> = 64..=131_072;

/// How an association came to an end that was not a release.
#[derive(Debug, thiserror::Error)]
pub enum AssociationError {
    #[error("the peer rejected the association ({0}); check AE titles and the peer's allow-list")]
    Rejected(String),
    #[error("the peer aborted the association ({0})")]
    AbortedByPeer(String),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("aborted: timed out {0}")]
    Timeout(&'static str),
    #[error("aborted: the peer broke the protocol: {0}")]
    Violation(&'static str),
    #[error(transparent)]
    Unforeseen(#[from] Unforeseen),
}

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub abstract_syntax: String,
    pub transfer_syntax: String,
    /// Whether who requested the association may be the SCP here, by role selection
    /// (PS3.7 annex D.3.3.4).
    pub requestor_is_scp: bool,
}

/// What the peer wants.
#[derive(Debug)]
pub enum Indication {
    /// Fragments of messages.
    Data(Vec<PDataValue>),
    /// To release the association.
    Release,
}

/// One association on a stream.
#[derive(Debug)]
pub struct Association<S> {
    wire: Wire<S>,
    machine: Machine,
    limits: Limits,
    ends: Instant,
    contexts: BTreeMap<u8, Context>,
    send_pdu_bytes: u32,
}

impl<S: Transport> Association<S> {
    fn new(stream: S, limits: &Limits, requestor: bool) -> Self {
        Self {
            wire: Wire::new(stream, limits.max_pdu_bytes),
            machine: Machine::new(requestor),
            limits: limits.clone(),
            ends: Instant::now() + seconds(limits.association_s),
            contexts: BTreeMap::new(),
            send_pdu_bytes: *SEND_PDU_BYTES.end(),
        }
    }

    /// The accepted presentation contexts by identifier.
    pub fn contexts(&self) -> &BTreeMap<u8, Context> {
        &self.contexts
    }

    /// Waits for what the peer does next; its first byte has to come `within` this time. Safe to
    /// drop and call again while nothing has come.
    pub async fn next(&mut self, within: Duration) -> Result<Indication, AssociationError> {
        let patience =
            Patience { first_byte: within, whole: seconds(self.limits.pdu_s), end: self.ends };
        match self.receive(patience).await? {
            (Action::DT2 | Action::AR6, Pdu::PData { data }) => Ok(Indication::Data(data)),
            (Action::AR2, _) => Ok(Indication::Release),
            (action, _) => Err(self.give_up(action).await),
        }
    }

    /// What the peer has sent already, if it has sent anything; never waits.
    pub async fn next_if_there(&mut self) -> Result<Option<Indication>, AssociationError> {
        let mut next = std::pin::pin!(self.next(seconds(self.limits.association_s)));
        std::future::poll_fn(|context| {
            Poll::Ready(match next.as_mut().poll(context) {
                Poll::Ready(indication) => indication.map(Some),
                Poll::Pending => Ok(None),
            })
        })
        .await
    }

    /// Sends a whole command or data set as fragments that the peer can take.
    pub async fn send(
        &mut self,
        context: u8,
        value_type: PDataValueType,
        bytes: &[u8],
    ) -> Result<(), AssociationError> {
        let fragment = self.fragment_bytes();
        let mut rest = bytes;
        loop {
            let (head, tail) = rest.split_at(rest.len().min(fragment));
            self.send_fragment(context, value_type.clone(), head.to_vec(), tail.is_empty()).await?;
            if tail.is_empty() {
                return Ok(());
            }
            rest = tail;
        }
    }

    /// Largest fragment for `send_fragment`, bytes; even, as PS3.8 annex D asks for.
    pub fn fragment_bytes(&self) -> usize {
        ((self.send_pdu_bytes - PDV_HEADER_BYTES) & !1) as usize
    }

    /// Sends one fragment, at most `fragment_bytes` long, as one PDU.
    pub async fn send_fragment(
        &mut self,
        context: u8,
        value_type: PDataValueType,
        data: Vec<u8>,
        is_last: bool,
    ) -> Result<(), AssociationError> {
        self.machine.step(Event::DataRequest)?;
        let value = PDataValue { presentation_context_id: context, value_type, is_last, data };
        self.send_pdu(&Pdu::PData { data: vec![value] }).await
    }

    /// Releases the association; data that still comes is passed over. Handles a collision with
    /// the peer's own wish to release.
    pub async fn release(mut self) -> Result<(), AssociationError> {
        self.machine.step(Event::ReleaseRequest)?;
        self.send_pdu(&Pdu::ReleaseRQ).await?;
        let answer = seconds(self.limits.peer_answer_s);
        let patience = Patience {
            first_byte: answer,
            whole: answer,
            end: (Instant::now() + answer).min(self.ends),
        };
        loop {
            match self.receive(patience).await?.0 {
                Action::AR6 => {}
                Action::AR3 => {
                    self.wire.shutdown().await;
                    return Ok(());
                }
                // Collision. The requestor answers first and goes on waiting; the acceptor waits
                // for that answer, then gives its own.
                Action::AR8 if self.machine.state() == State::Sta9 => {
                    self.machine.step(Event::ReleaseResponse)?;
                    self.send_pdu(&Pdu::ReleaseRP).await?;
                }
                Action::AR8 => {}
                Action::AR10 => return self.confirm_release().await,
                action => return Err(self.give_up(action).await),
            }
        }
    }

    /// Answers the peer's release and waits for it to close.
    pub async fn confirm_release(mut self) -> Result<(), AssociationError> {
        self.machine.step(Event::ReleaseResponse)?;
        self.send_pdu(&Pdu::ReleaseRP).await?;
        self.wire.drain(Instant::now() + seconds(self.limits.artim_s)).await;
        Ok(())
    }

    /// Aborts for a reason of ours that is no fault of the peer's PDUs.
    pub async fn abort(mut self) {
        self.abort_with(AbortRQSource::ServiceUser).await;
    }

    /// Aborts since the peer's PDU carried a value that it may not.
    pub async fn abort_invalid(mut self, what: &'static str) -> AssociationError {
        self.abort_with(AbortRQSource::ServiceProvider(Reason::InvalidPduParameter)).await;
        AssociationError::Violation(what)
    }

    async fn abort_with(&mut self, source: AbortRQSource) {
        // Where the table foresees no abort there is nobody left to tell.
        if let Ok(Action::AA1) = self.machine.step(Event::AbortRequest) {
            self.say_abort(source).await;
        }
    }

    /// Sends A-ABORT, closes our half and waits, bounded by ARTIM, for the peer to close. What
    /// still comes is passed over (AA-6); a second abort (AA-7) would tell the peer nothing new.
    async fn say_abort(&mut self, source: AbortRQSource) {
        let within = seconds(self.limits.pdu_s);
        match self.wire.send(&Pdu::AbortRQ { source }, within).await {
            Ok(()) => {
                self.wire.shutdown().await;
                self.wire.drain(Instant::now() + seconds(self.limits.artim_s)).await;
            }
            Err(error) => tracing::debug!(%error, "A-ABORT not sent"),
        }
    }

    /// Receives one PDU and moves the machine. Errors have been acted upon when they are returned.
    async fn receive(&mut self, patience: Patience) -> Result<(Action, Pdu), AssociationError> {
        match self.wire.receive(patience).await {
            Ok(pdu) => {
                let action = match self.machine.step(event_of(&pdu)) {
                    Ok(action) => action,
                    Err(unforeseen) => {
                        self.say_abort(AbortRQSource::ServiceProvider(Reason::UnexpectedPdu)).await;
                        return Err(unforeseen.into());
                    }
                };
                if let (Action::AA2 | Action::AA3, Pdu::AbortRQ { source }) = (action, &pdu) {
                    return Err(AssociationError::AbortedByPeer(format!("{source:?}")));
                }
                Ok((action, pdu))
            }
            Err(WireError::Timeout(what)) => {
                self.time_out().await;
                Err(AssociationError::Timeout(what))
            }
            Err(WireError::Invalid { reason, what }) => {
                // AA-1 names the service user as the source; we name the provider, which found
                // the fault, because only then the reason is significant (PS3.8 section 9.3.8).
                self.machine.step(Event::InvalidPdu)?;
                self.say_abort(AbortRQSource::ServiceProvider(reason)).await;
                Err(AssociationError::Violation(what))
            }
            Err(lost @ (WireError::Closed | WireError::Io(_) | WireError::Encode(_))) => {
                self.machine.step(Event::TransportClosed)?;
                Err(AssociationError::Lost(lost.to_string()))
            }
        }
    }

    /// ARTIM closes without a word where no association is there yet; later a timeout aborts.
    async fn time_out(&mut self) {
        if self.machine.state() == State::Sta2 {
            // AA-2: the caller drops the stream.
            if let Err(unforeseen) = self.machine.step(Event::ArtimExpired) {
                tracing::error!(%unforeseen, "the state table lacks ARTIM");
            }
        } else {
            self.abort_with(AbortRQSource::ServiceUser).await;
        }
    }

    /// Ends an association on which the peer sent what does not belong there.
    async fn give_up(&mut self, action: Action) -> AssociationError {
        if matches!(action, Action::AA1 | Action::AA7 | Action::AA8) {
            self.say_abort(AbortRQSource::ServiceProvider(Reason::UnexpectedPdu)).await;
        }
        AssociationError::Violation("a PDU came that does not belong here")
    }

    async fn send_pdu(&mut self, pdu: &Pdu) -> Result<(), AssociationError> {
        let left = self.ends.saturating_duration_since(Instant::now());
        let within = seconds(self.limits.pdu_s).min(left);
        match self.wire.send(pdu, within).await {
            Ok(()) => Ok(()),
            Err(WireError::Timeout(what)) => {
                // Part of a PDU may be out: an A-ABORT would be read as the rest of it.
                Err(AssociationError::Timeout(what))
            }
            Err(error) => {
                self.machine.step(Event::TransportClosed)?;
                Err(AssociationError::Lost(error.to_string()))
            }
        }
    }
}

fn event_of(pdu: &Pdu) -> Event {
    match pdu {
        Pdu::AssociationRQ(_) => Event::RequestPdu,
        Pdu::AssociationAC(_) => Event::AcceptPdu,
        Pdu::AssociationRJ(_) => Event::RejectPdu,
        Pdu::PData { .. } => Event::DataPdu,
        Pdu::ReleaseRQ => Event::ReleaseRqPdu,
        Pdu::ReleaseRP => Event::ReleaseRpPdu,
        Pdu::AbortRQ { .. } => Event::AbortPdu,
        Pdu::Unknown { .. } => Event::InvalidPdu,
    }
}

pub(super) fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// What we say about ourselves in A-ASSOCIATE-RQ and -AC.
fn own_user_variables(limits: &Limits) -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(limits.max_pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
    ]
}

/// The variable field of the P-DATA-TF PDUs that we may send to this peer; 0 means no limit.
fn send_pdu_bytes(user_variables: &[UserVariableItem]) -> u32 {
    let theirs = user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(0) => Some(*SEND_PDU_BYTES.end()),
        UserVariableItem::MaxLength(bytes) => Some(*bytes),
        _ => None,
    });
    theirs.unwrap_or(*SEND_PDU_BYTES.end()).clamp(*SEND_PDU_BYTES.start(), *SEND_PDU_BYTES.end())
}

/// The roles of the requestor that were proposed or accepted for a SOP class, if any were.
fn roles(user_variables: &[UserVariableItem], sop_class: &str) -> Option<RequestorRoles> {
    user_variables.iter().find_map(|item| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles)
            if unpadded(class) == sop_class =>
        {
            Some(*roles)
        }
        _ => None,
    })
}

/// Text of a UID item without its padding.
fn unpadded(uid: &str) -> &str {
    uid.trim_end_matches(['\0', ' '])
}
