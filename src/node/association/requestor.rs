//! The requestor: A-ASSOCIATE-RQ and what becomes of it.

use super::state::{Action, Event};
use super::wire::{Patience, Transport};
use super::{
    APPLICATION_CONTEXT, Association, AssociationError, Context, own_user_variables, roles,
    seconds, send_pdu_bytes, unpadded,
};
use crate::node::ae_title::AeTitle;
use crate::node::settings::Limits;
use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, Pdu, PresentationContextProposed,
    PresentationContextResultReason, RequestorRoles, UserVariableItem,
};
use tokio::time::Instant;

/// Requests an association on an open stream; the answer has to come within
/// `limits.peer_answer_s`. Contexts that the peer does not accept are simply not in
/// [`Association::contexts`]. Of the SOP classes `as_scp_of` we ask to be the SCP.
pub async fn request<S: Transport>(
    stream: S,
    calling: &AeTitle,
    called: &AeTitle,
    proposed: Vec<PresentationContextProposed>,
    as_scp_of: &[&str],
    limits: &Limits,
) -> Result<Association<S>, AssociationError> {
    let mut association = Association::new(stream, limits, true);
    association.machine.step(Event::AssociateRequest)?;
    association.machine.step(Event::TransportConfirmed)?;
    let mut user_variables = own_user_variables(limits);
    let scp = RequestorRoles { scu: false, scp: true };
    let role =
        |class: &&str| UserVariableItem::ScuScpRoleSelectionSubItem((*class).to_owned(), scp);
    user_variables.extend(as_scp_of.iter().map(role));
    let request = Pdu::AssociationRQ(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: calling.as_str().to_owned(),
        called_ae_title: called.as_str().to_owned(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: proposed.clone(),
        user_variables,
    });
    association.send_pdu(&request).await?;
    let answer = seconds(limits.peer_answer_s);
    let patience = Patience { first_byte: answer, whole: answer, end: Instant::now() + answer };
    match association.receive(patience).await? {
        (Action::AE3, Pdu::AssociationAC(answer)) => {
            if !adopt(&mut association, &proposed, &answer) {
                let what = "it accepted a presentation context that was not proposed";
                return Err(association.abort_invalid(what).await);
            }
            Ok(association)
        }
        (Action::AE4, Pdu::AssociationRJ(rejection)) => {
            Err(AssociationError::Rejected(format!("{:?}: {}", rejection.result, rejection.source)))
        }
        (action, _) => Err(association.give_up(action).await),
    }
}

/// Takes over what the peer accepted; false if that is not a part of what we proposed.
fn adopt<S>(
    association: &mut Association<S>,
    proposed: &[PresentationContextProposed],
    answer: &AssociationAC,
) -> bool {
    association.send_pdu_bytes = send_pdu_bytes(&answer.user_variables);
    for result in &answer.presentation_contexts {
        if result.reason != PresentationContextResultReason::Acceptance {
            continue;
        }
        let transfer_syntax = unpadded(&result.transfer_syntax);
        let Some(ours) = proposed.iter().find(|context| {
            context.id == result.id
                && context.transfer_syntaxes.iter().any(|s| s == transfer_syntax)
        }) else {
            return false;
        };
        let context = Context {
            abstract_syntax: ours.abstract_syntax.clone(),
            transfer_syntax: transfer_syntax.to_owned(),
            requestor_is_scp: roles(&answer.user_variables, &ours.abstract_syntax)
                .is_some_and(|roles| roles.scp),
        };
        association.contexts.insert(result.id, context);
    }
    true
}
