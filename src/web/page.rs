//! The pages: what a person sees.

use super::access::{Identity, Right, record_access};
use super::api::{self, CycleQuery, JobRow};
use super::plot::{Axes, chart};
use super::{Failure, Shared, ask};
use crate::archive::{ArchiveError, Delivery, InstanceFilter, JobState};
use crate::config::credentials::sha256_hex;
use crate::dicom::{InstanceHeader, Uid, visible};
use crate::report::RESEARCH_MARK;
use crate::report::number::four_digits;
use crate::report::plot::{activity_lines, volume_lines};
use crate::report::warnings::{Grouped, grouped};
use crate::service::job::SOFTWARE;
use crate::service::{Service, signature};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use dicom_dictionary_std::uids;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context, escape_formatter};
use serde::Serialize;

/// How many jobs and deliveries the first page shows.
const RECENT: usize = 20;

/// Templates are part of the program.
pub(super) fn environment() -> Environment<'static> {
    let mut pages = Environment::new();
    // A result of another version may lack a part: shown as a dash, not as a broken page.
    pages.set_undefined_behavior(UndefinedBehavior::Chainable);
    for (name, text) in [
        ("frame.html", include_str!("templates/frame.html")),
        ("home.html", include_str!("templates/home.html")),
        ("course.html", include_str!("templates/course.html")),
        ("failure.html", include_str!("templates/failure.html")),
        ("login.html", include_str!("templates/login.html")),
    ] {
        pages.add_template(name, text).expect("templates are checked by a test");
    }
    // Received text cannot turn the text around it about; markup is escaped as ever.
    pages.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => escape_formatter(out, state, &Value::from(visible(text).as_ref())),
        None => escape_formatter(out, state, value),
    });
    pages.add_filter("number", number);
    pages.add_filter("instant", instant);
    pages.add_filter("bytes", |bytes: u64| match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    });
    pages.add_filter("percent", |value: Value| match f64::try_from(value) {
        Ok(value) => format!("{:.0} %", value * 100.0),
        Err(_) => "–".to_owned(),
    });
    pages.add_global("research_mark", RESEARCH_MARK);
    pages.add_global("software", SOFTWARE);
    pages
}

/// Four significant digits; what could not be had is a dash.
fn number(value: Value) -> String {
    f64::try_from(value).map_or_else(|_| "–".to_owned(), four_digits)
}

/// `2026-03-02T09:15:00Z` as people read it, UTC.
fn instant(value: Value) -> String {
    let text = value.to_string();
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => text,
    }
}

fn render(web: &Shared, status: StatusCode, name: &str, context: Value) -> Response {
    let page = web.pages.get_template(name).and_then(|template| template.render(context));
    match page {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, name, "a page cannot be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered\n").into_response()
        }
    }
}

/// What every page says of who looks at it.
fn framed(who: &Identity, context: Value) -> Value {
    context! { user => value(&who.name), csrf => value(&who.csrf), ..context }
}

/// The log-in, and why the last attempt failed.
pub(super) fn login(web: &Shared, status: StatusCode, next: &str, why: Option<&str>) -> Response {
    render(web, status, "login.html", context! { next => value(next), why => value(&why) })
}

fn value(of: &(impl Serialize + ?Sized)) -> Value {
    Value::from(Serde(of))
}

fn failure(web: &Shared, Failure(status, message): Failure) -> Response {
    render(
        web,
        status,
        "failure.html",
        context! { code => value(&status.as_u16()), message => value(&message) },
    )
}

pub(super) async fn not_found(State(web): State<Shared>) -> Response {
    failure(&web, Failure(StatusCode::NOT_FOUND, "there is no such page".into()))
}

pub(super) async fn style() -> Response {
    let text = include_str!("templates/style.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response()
}

/// Courses, what waits and why, jobs, deliveries.
pub(super) async fn home(State(web): State<Shared>, who: Identity) -> Response {
    let asked = ask(&web, |service| {
        let archive = &service.archive;
        let announcements = archive.announcements(RECENT as u32)?;
        Ok((api::job_rows(service)?, archive.deliveries(10_000)?, announcements))
    });
    let (jobs, deliveries, announcements) = match asked.await {
        Ok(answer) => answer,
        Err(fault) => return failure(&web, fault),
    };
    let found = web.service.board.get();
    let courses: Vec<Value> = found
        .decision
        .courses
        .iter()
        .map(|course| {
            let newest = jobs.iter().find(|job| job.course == course.course);
            context! { state => value(course), job => value(&newest) }
        })
        .collect();
    let page = context! {
        courses,
        waiting => value(&found.decision.waiting),
        plan_faults => value(&found.plan_faults.iter().map(ToString::to_string).collect::<Vec<_>>()),
        stale_plans => value(&found.stale_plans),
        looked => value(&found.looked),
        troubled => jobs.iter().filter(|job| needs_a_person(job)).count(),
        jobs => value(&jobs.iter().take(RECENT).collect::<Vec<_>>()),
        peers => value(&by_peer(&deliveries)),
        deliveries => value(&deliveries.iter().take(RECENT).collect::<Vec<_>>()),
        announcements => value(&announcements),
    };
    render(&web, StatusCode::OK, "home.html", framed(&who, page))
}

fn needs_a_person(job: &JobRow) -> bool {
    matches!(job.state, JobState::Parked | JobState::Failed)
}

#[derive(Debug, Serialize)]
struct PeerCount {
    peer: String,
    waiting: usize,
    delivered: usize,
    committed: usize,
    /// Parked, or not committed.
    parked: usize,
}

fn by_peer(deliveries: &[Delivery]) -> Vec<PeerCount> {
    use crate::archive::DeliveryState::{CommitmentFailed, Committed, Delivered, Parked, Waiting};
    let names: std::collections::BTreeSet<&str> =
        deliveries.iter().map(|delivery| delivery.peer.as_str()).collect();
    let count = |peer: &str, state| {
        deliveries.iter().filter(|d| d.peer == peer && d.state == state).count()
    };
    names
        .into_iter()
        .map(|peer| PeerCount {
            peer: peer.to_owned(),
            waiting: count(peer, Waiting),
            delivered: count(peer, Delivered),
            committed: count(peer, Committed),
            parked: count(peer, Parked) + count(peer, CommitmentFailed),
        })
        .collect()
}

/// One object of a result, for its link.
#[derive(Debug, Serialize)]
struct ObjectLink {
    uid: Uid,
    /// Address of a document that a browser shows.
    shown: Option<String>,
    modality: String,
    description: String,
    bytes: u64,
}

/// One course: result of a cycle, plots, objects, jobs.
pub(super) async fn course(
    State(web): State<Shared>,
    who: Identity,
    Path(course): Path<String>,
    Query(query): Query<CycleQuery>,
) -> Response {
    let state = match api::known_course(&web, &course) {
        Ok(state) => state,
        Err(fault) => return failure(&web, fault),
    };
    let owned = state.clone();
    let asked = ask(&web, move |service| {
        let result = api::newest_results(service, &owned, query.cycle)?;
        let mut jobs = api::job_rows(service)?;
        jobs.retain(|job| job.course == owned.course);
        let cycle = result.as_ref().map(|(cycle, _)| *cycle);
        let objects = objects(service, &jobs, cycle)?;
        let signature = match &result {
            Some((cycle, text)) => {
                signature::of_text(service.archive.as_ref(), &owned.course, *cycle, text)?
            }
            None => None,
        };
        Ok((result, jobs, objects, signature))
    });
    let answer = async {
        record_access(&web, &who, "result-accessed", Some(state.course.clone())).await?;
        asked.await
    };
    let (result, jobs, objects, signature) = match answer.await {
        Ok(answer) => answer,
        Err(fault) => return failure(&web, fault),
    };
    let waiting = web.service.board.get().decision.waiting;
    let of_course = |w: &&crate::intake::Waiting| w.course.as_deref() == Some(course.as_str());
    let cycle = result.as_ref().map(|(cycle, _)| *cycle).or(query.cycle);
    let sha256 = result.as_ref().map(|(_, text)| sha256_hex(text.as_bytes()));
    let result: Option<serde_json::Value> =
        result.and_then(|(_, text)| serde_json::from_str(&text).ok());
    let warnings = result.as_ref().map(grouped).unwrap_or_default();
    let page = context! {
        state => value(&state),
        cycle => value(&cycle),
        waiting => value(&waiting.iter().filter(of_course).collect::<Vec<_>>()),
        activity_plot => result.as_ref().and_then(activity_plot).map(Value::from_safe_string),
        volume_plot => result.as_ref().and_then(volume_plot).map(Value::from_safe_string),
        warnings => value(&warnings),
        notes => value(&result.as_ref().map(|result| notes(result, &warnings))),
        result => value(&result),
        signature => value(&signature),
        may_sign => who.may(Right::Sign) && who.csrf.is_some(),
        sha256 => value(&sha256),
        objects => value(&objects),
        jobs => value(&jobs),
    };
    render(&web, StatusCode::OK, "course.html", framed(&who, page))
}

/// For each region the numbers of the warnings that are about it, counted from 1.
fn notes(result: &serde_json::Value, warnings: &[Grouped]) -> Vec<Vec<usize>> {
    let about = |place: usize| {
        let numbered = warnings.iter().zip(1..);
        numbered.filter(|(w, _)| w.places.contains(&place)).map(|(_, number)| number).collect()
    };
    (0..result["regions"].as_array().map_or(0, Vec::len)).map(about).collect()
}

/// DICOMweb's address of an instance as a browser can show it.
fn rendered(header: &InstanceHeader) -> String {
    let InstanceHeader { study, series, sop_instance, .. } = header;
    format!("/dicom-web/studies/{study}/series/{series}/instances/{sop_instance}/rendered")
}

/// Objects of the newest finished job of the cycle.
fn objects(
    service: &Service,
    jobs: &[JobRow],
    cycle: Option<u32>,
) -> Result<Vec<ObjectLink>, ArchiveError> {
    let job = jobs.iter().find(|job| job.state == JobState::Done && job.cycle == cycle);
    let mut links = Vec::new();
    for uid in job.into_iter().flat_map(|job| &job.results) {
        let filter =
            InstanceFilter { sop_instance: Some(uid.clone()), ..InstanceFilter::default() };
        for instance in service.archive.instances(&filter)? {
            links.push(ObjectLink {
                uid: uid.clone(),
                shown: (instance.header.sop_class.as_str() == uids::ENCAPSULATED_PDF_STORAGE)
                    .then(|| rendered(&instance.header)),
                modality: instance.header.modality,
                description: instance.header.series_description.unwrap_or_default(),
                bytes: instance.bytes,
            });
        }
    }
    Ok(links)
}

/// Measured activities and the fitted curves, from the administration on.
fn activity_plot(result: &serde_json::Value) -> Option<String> {
    let axes = Axes {
        title: "Activity in each region over time",
        x: "hours after administration",
        y: "activity, MBq",
        y_logarithmic: true,
    };
    chart(&axes, &activity_lines(result))
}

/// Cumulative dose-volume histograms.
fn volume_plot(result: &serde_json::Value) -> Option<String> {
    let axes = Axes {
        title: "Dose-volume histogram of each region",
        x: "absorbed dose, Gy",
        y: "volume that gets at least that, %",
        y_logarithmic: false,
    };
    chart(&axes, &volume_lines(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound_and_numbers_have_four_digits() {
        environment();
        for (value, text) in [
            (Value::from(12.3456), "12.35"),
            (Value::from(1234.56), "1235"),
            (Value::from(0.0123), "0.01230"),
            (Value::from(1.0e9), "1.000e9"),
            (Value::from(0), "0"),
            (Value::from(()), "–"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(instant(Value::from("2026-03-02T09:15:00Z")), "2026-03-02 09:15 UTC");
    }
}
