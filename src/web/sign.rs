//! A physicist puts a name under a result: until then it is a proposal. What is signed is the text of
//! `results.json`, by its hash; another result under the same cycle is unsigned again.

use super::access::{Identity, OwnForm};
use super::api::{CycleQuery, known_course, newest_results};
use super::{Failure, Shared, ask};
use crate::archive::AuditEvent;
use crate::config::credentials::sha256_hex;
use crate::service::signature::{Signature, note_name, of_text};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Form {
    /// urlencoded forms hand numbers as text.
    cycle: String,
    sha256: String,
}

/// `POST /courses/{course}/sign`
pub(super) async fn sign(
    State(web): State<Shared>,
    who: Identity,
    Path(course): Path<String>,
    OwnForm(form): OwnForm<Form>,
) -> Result<Response, Failure> {
    let state = known_course(&web, &course)?;
    let course = state.course.clone();
    let wanted: Option<u32> = form.cycle.parse().ok();
    let changed =
        || Failure(StatusCode::CONFLICT, "the result is another one now; look again".into());
    let wanted = wanted.ok_or_else(changed)?;
    let found = ask(&web, move |service| newest_results(service, &state, Some(wanted))).await?;
    let (cycle, text) = found.ok_or_else(changed)?;
    let sha256 = sha256_hex(text.as_bytes());
    if sha256 != form.sha256 {
        return Err(changed());
    }
    let signature = Signature { cycle, by: who.name, at: Timestamp::now(), sha256 };
    let event = AuditEvent {
        at: signature.at,
        event: "result-signed".into(),
        actor: signature.by.clone(),
        object: Some(format!("{course} cycle {cycle}")),
        outcome: signature.sha256.clone(),
    };
    let name = note_name(&course, cycle);
    ask(&web, move |service| {
        let note = serde_json::to_string(&signature).unwrap_or_default();
        // The trail first: what cannot be audited is not signed.
        service.archive.audit(event)?;
        service.archive.put_note(&name, &note)
    })
    .await?;
    Ok(Redirect::to(&format!("/courses/{course}?cycle={cycle}")).into_response())
}

/// `GET /api/courses/{course}/signature`: null while the result is a proposal.
pub(super) async fn signature(
    State(web): State<Shared>,
    Path(course): Path<String>,
    Query(query): Query<CycleQuery>,
) -> Result<Json<Option<Signature>>, Failure> {
    let state = known_course(&web, &course)?;
    let found = ask(&web, move |service| {
        let Some((cycle, text)) = newest_results(service, &state, query.cycle)? else {
            return Ok(None);
        };
        of_text(service.archive.as_ref(), &state.course, cycle, &text)
    });
    Ok(Json(found.await?))
}
