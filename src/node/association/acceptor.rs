//! The acceptor: from the transport's opening to A-ASSOCIATE-AC or -RJ.

use super::state::{Action, Event};
use super::wire::{Patience, Transport};
use super::{
    APPLICATION_CONTEXT, Association, AssociationError, Context, own_user_variables, roles,
    seconds, send_pdu_bytes, unpadded,
};
use crate::node::settings::Limits;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason,
    AssociationRJSource, AssociationRQ, Pdu, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Why a request is rejected; each has its result, source and reason (PS3.8 section 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    ProtocolVersion,
    ApplicationContext,
    CalledAeTitle,
    /// Also for a known title that calls from a host which is not its own.
    CallingAeTitle,
    /// Too many associations at once; the peer may try again.
    LocalLimit,
    /// Too many of this peer at once; it may try again.
    PeerLimit,
}

impl Rejection {
    /// What the audit trail says.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "protocol version not supported",
            Self::ApplicationContext => "application context not supported",
            Self::CalledAeTitle => "called AE title not recognized",
            Self::CallingAeTitle => "calling AE title or host not recognized",
            Self::LocalLimit => "local limit exceeded",
            Self::PeerLimit => "local limit exceeded (peers.limits.associations)",
        }
    }

    fn pdu(self) -> Pdu {
        use AssociationRJServiceUserReason as User;
        let source = match self {
            Self::ProtocolVersion => AssociationRJSource::ServiceProviderASCE(
                AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported,
            ),
            Self::ApplicationContext => {
                AssociationRJSource::ServiceUser(User::ApplicationContextNameNotSupported)
            }
            Self::CalledAeTitle => {
                AssociationRJSource::ServiceUser(User::CalledAETitleNotRecognized)
            }
            Self::CallingAeTitle => {
                AssociationRJSource::ServiceUser(User::CallingAETitleNotRecognized)
            }
            Self::LocalLimit | Self::PeerLimit => AssociationRJSource::ServiceProviderPresentation(
                AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
            ),
        };
        let result = match self {
            Self::LocalLimit | Self::PeerLimit => AssociationRJResult::Transient,
            Self::ProtocolVersion
            | Self::ApplicationContext
            | Self::CalledAeTitle
            | Self::CallingAeTitle => AssociationRJResult::Permanent,
        };
        Pdu::AssociationRJ(AssociationRJ { result, source })
    }
}

/// A received request that awaits our answer (Sta3).
#[derive(Debug)]
pub struct Proposal<S> {
    association: Association<S>,
    request: AssociationRQ,
}

/// Waits, at most ARTIM, for the A-ASSOCIATE-RQ of a peer that has just connected.
pub async fn receive_request<S: Transport>(
    stream: S,
    limits: &Limits,
) -> Result<Proposal<S>, AssociationError> {
    let mut association = Association::new(stream, limits, false);
    association.machine.step(Event::TransportIndicated)?;
    let artim = seconds(limits.artim_s);
    let patience = Patience { first_byte: artim, whole: artim, end: Instant::now() + artim };
    match association.receive(patience).await? {
        (Action::AE6, Pdu::AssociationRQ(request)) => Ok(Proposal { association, request }),
        (action, _) => Err(association.give_up(action).await),
    }
}

impl<S: Transport> Proposal<S> {
    /// Called AE title as received; compare it, show it only after validation.
    pub fn called_ae_title(&self) -> &str {
        &self.request.called_ae_title
    }

    /// Calling AE title as received; compare it, show it only after validation.
    pub fn calling_ae_title(&self) -> &str {
        &self.request.calling_ae_title
    }

    /// What the provider itself cannot accept, whoever calls.
    pub fn provider_rejection(&self) -> Option<Rejection> {
        if self.request.protocol_version & 1 == 0 {
            Some(Rejection::ProtocolVersion)
        } else if unpadded(&self.request.application_context_name) != APPLICATION_CONTEXT {
            Some(Rejection::ApplicationContext)
        } else {
            None
        }
    }

    /// Sends A-ASSOCIATE-RJ and waits, at most ARTIM, for the peer to close.
    pub async fn reject(mut self, rejection: Rejection) -> Result<(), AssociationError> {
        self.association.machine.step(Event::RejectResponse)?;
        self.association.send_pdu(&rejection.pdu()).await?;
        self.association.wire.shutdown().await;
        let until = Instant::now() + seconds(self.association.limits.artim_s);
        self.association.wire.drain(until).await;
        Ok(())
    }

    /// Accepts, with `negotiate`'s answer to each presentation context. Aborts instead where the
    /// contexts' identifiers are even or stand twice: no answer to them would be unambiguous.
    pub async fn accept(
        self,
        negotiate: impl Fn(&PresentationContextProposed) -> PresentationContextResult,
    ) -> Result<Association<S>, AssociationError> {
        let Self { mut association, request } = self;
        let mut ids = BTreeSet::new();
        if !request.presentation_contexts.iter().all(|c| c.id % 2 == 1 && ids.insert(c.id)) {
            return Err(association.abort_invalid("even or repeated context identifier").await);
        }
        let results: Vec<_> = request.presentation_contexts.iter().map(negotiate).collect();
        let mut selected: Vec<UserVariableItem> = Vec::new();
        for (proposed, result) in request.presentation_contexts.iter().zip(&results) {
            if result.reason == PresentationContextResultReason::Acceptance {
                let class = unpadded(&proposed.abstract_syntax);
                let roles = roles(&request.user_variables, class);
                let context = Context {
                    abstract_syntax: class.to_owned(),
                    transfer_syntax: result.transfer_syntax.clone(),
                    requestor_is_scp: roles.is_some_and(|roles| roles.scp),
                };
                // Whatever role is proposed can be played: C-GET and reports of commitment need it.
                let item = |r| UserVariableItem::ScuScpRoleSelectionSubItem(class.to_owned(), r);
                selected.extend(roles.map(item).filter(|item| !selected.contains(item)));
                association.contexts.insert(proposed.id, context);
            }
        }
        association.send_pdu_bytes = send_pdu_bytes(&request.user_variables);
        association.machine.step(Event::AcceptResponse)?;
        let answer = AssociationAC {
            protocol_version: 1,
            calling_ae_title: request.calling_ae_title,
            called_ae_title: request.called_ae_title,
            application_context_name: APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: results,
            user_variables: [own_user_variables(&association.limits), selected].concat(),
        };
        association.send_pdu(&Pdu::AssociationAC(answer)).await?;
        Ok(association)
    }
}
