//! The API: what the pages show, for scripts.

use super::access::{Identity, record_access};
use super::{Failure, Shared, ask};
use crate::archive::{Announcement, ArchiveError, AuditEvent, Delivery, Job};
use crate::dicom::Uid;
use crate::intake::{CourseState, Waiting};
use crate::report::Completeness;
use crate::service::Service;
use crate::service::job::{JobSpec, results_note};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most rows of one list.
const ROWS: u32 = 1_000;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: intake has looked at least once and the index answers.
pub(super) async fn readyz(State(web): State<Shared>) -> Response {
    let index = ask(&web, |service| service.archive.jobs(1).map(drop)).await;
    match (index, web.service.board.get().looked) {
        (Ok(()), Some(_)) => "ready\n".into_response(),
        (Ok(()), None) => {
            (StatusCode::SERVICE_UNAVAILABLE, "intake has not looked yet\n").into_response()
        }
        (Err(failure), _) => failure.into_response(),
    }
}

/// A course as `/api/courses` lists it: `id` is what its other addresses are made with.
#[derive(serde::Serialize)]
pub(super) struct Course {
    id: String,
    #[serde(flatten)]
    state: CourseState,
}

pub(super) async fn courses(State(web): State<Shared>) -> Json<Vec<Course>> {
    let courses = web.service.board.get().decision.courses;
    Json(courses.into_iter().map(|state| Course { id: state.course.clone(), state }).collect())
}

pub(super) async fn waiting(State(web): State<Shared>) -> Json<Vec<Waiting>> {
    Json(web.service.board.get().decision.waiting)
}

/// Faults of plans, and which files' older version is in force.
pub(super) async fn plans(State(web): State<Shared>) -> Json<serde_json::Value> {
    let found = web.service.board.get();
    Json(serde_json::json!({ "faults": found.plan_faults, "stale": found.stale_plans }))
}

/// A job without its specification, which holds the plan.
#[derive(Debug, Serialize)]
pub(super) struct JobRow {
    pub(super) id: i64,
    pub(super) course: String,
    pub(super) cycle: Option<u32>,
    pub(super) completeness: Option<Completeness>,
    pub(super) state: crate::archive::JobState,
    pub(super) attempts: u32,
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) results: Vec<Uid>,
}

pub(super) fn job_rows(service: &Service) -> Result<Vec<JobRow>, ArchiveError> {
    let row = |job: Job| {
        let spec: Option<JobSpec> = serde_json::from_str(&job.spec).ok();
        Ok(JobRow {
            results: service.archive.job_results(job.id)?,
            id: job.id,
            course: job.course,
            cycle: spec.as_ref().map(|spec| spec.work.cycle),
            completeness: spec.map(|spec| spec.work.completeness),
            state: job.state,
            attempts: job.attempts,
            reason: job.reason,
            created: job.created,
            changed: job.changed,
        })
    };
    service.archive.jobs(ROWS)?.into_iter().map(row).collect()
}

pub(super) async fn jobs(State(web): State<Shared>) -> Result<Json<Vec<JobRow>>, Failure> {
    Ok(Json(ask(&web, job_rows).await?))
}

pub(super) async fn deliveries(State(web): State<Shared>) -> Result<Json<Vec<Delivery>>, Failure> {
    Ok(Json(ask(&web, |service| service.archive.deliveries(ROWS)).await?))
}

pub(super) async fn announcements(
    State(web): State<Shared>,
) -> Result<Json<Vec<Announcement>>, Failure> {
    Ok(Json(ask(&web, |service| service.archive.announcements(ROWS)).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct CycleQuery {
    pub(super) cycle: Option<u32>,
}

/// `results.json` of a cycle (the newest that has one), as the computation wrote it.
pub(super) async fn results(
    State(web): State<Shared>,
    who: Identity,
    Path(course): Path<String>,
    Query(query): Query<CycleQuery>,
) -> Result<Response, Failure> {
    let state = known_course(&web, &course)?;
    record_access(&web, &who, "result-accessed", Some(state.course.clone())).await?;
    let found = ask(&web, move |service| newest_results(service, &state, query.cycle)).await?;
    let Some((_, text)) = found else {
        return Err(Failure(StatusCode::NOT_FOUND, "no result yet for this course".into()));
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

pub(super) fn known_course(web: &Shared, course: &str) -> Result<CourseState, Failure> {
    let courses = web.service.board.get().decision.courses;
    courses
        .into_iter()
        .find(|state| state.course == course)
        .ok_or_else(|| Failure(StatusCode::NOT_FOUND, "no such course".into()))
}

/// Cycle and text of the wanted result, or of the last cycle that has one.
pub(super) fn newest_results(
    service: &Service,
    state: &CourseState,
    wanted: Option<u32>,
) -> Result<Option<(u32, String)>, ArchiveError> {
    let cycles = state.cycles.iter().rev().map(|cycle| cycle.number);
    for number in cycles.filter(|number| wanted.is_none_or(|wanted| wanted == *number)) {
        if let Some(text) = service.archive.note(&results_note(&state.course, number))? {
            return Ok(Some((number, text)));
        }
    }
    Ok(None)
}

/// The newest lines of the audit trail.
pub(super) async fn audit(State(web): State<Shared>) -> Result<Json<Vec<AuditEvent>>, Failure> {
    Ok(Json(ask(&web, |service| service.archive.audit_trail(ROWS)).await?))
}

/// What can be asked here, OpenAPI 3.1.
pub(super) async fn openapi(State(web): State<Shared>) -> Json<serde_json::Value> {
    Json(web.description.get().cloned().unwrap_or_default())
}

/// One object as a Part 10 file.
pub(super) async fn object(
    State(web): State<Shared>,
    who: Identity,
    Path(uid): Path<String>,
) -> Result<Response, Failure> {
    let not_found = || Failure(StatusCode::NOT_FOUND, "no such object".into());
    let uid = Uid::parse(&uid).map_err(|_| not_found())?;
    let name = format!("attachment; filename=\"{uid}.dcm\"");
    record_access(&web, &who, "instances-accessed", Some(uid.to_string())).await?;
    let path = ask(&web, move |service| service.archive.path(&uid)).await?;
    let file = tokio::fs::File::open(path).await.map_err(|_| not_found())?;
    let body = Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 1 << 16));
    let headers = [
        (header::CONTENT_TYPE, "application/dicom".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, body).into_response())
}
