//! STOW-RS (PS3.18 10.5): each part takes the way of a C-STORE, through the same gate into the same
//! archive, and is answered when it is durable, with the same status.

use super::multipart::{Event, Reader};
use super::root;
use crate::archive::{Archive, Arrival, AuditEvent, Expected, Receipt};
use crate::dicom::Uid;
use crate::dicom::gate::{FileMeta, MAX_FILE_META_BYTES, file_meta};
use crate::node::{Spool, StoreFailure};
use crate::web::access::Identity;
use crate::web::{Failure, Shared, ask};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// AE title that instances from the web are kept under.
const SOURCE: &str = "DICOMWEB";
/// Longest silence of a sender.
const STALL: Duration = Duration::from_secs(30);
/// Most parts of one request.
const PARTS_MAX: usize = 10_000;

/// Failure reasons of PS3.18 table 10.5.3-1.
const CANNOT_UNDERSTAND: u16 = 0xC000;
const DUPLICATE: u16 = 0x0111;

/// `POST /studies`
pub(super) async fn any_study(
    State(web): State<Shared>,
    who: Identity,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    store(&web, &who, None, &headers, body).await
}

#[derive(Debug, Deserialize)]
pub(super) struct StudyAddress {
    study: Uid,
}

/// `POST /studies/{study}`: what belongs to another study is refused.
pub(super) async fn one_study(
    State(web): State<Shared>,
    who: Identity,
    Path(StudyAddress { study }): Path<StudyAddress>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    store(&web, &who, Some(study), &headers, body).await
}

async fn store(
    web: &Shared,
    who: &Identity,
    study: Option<Uid>,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Response, Failure> {
    let mut reader = Reader::new(&boundary_of(headers)?).ok_or_else(unsupported)?;
    let _place = super::body::place(&web.streams).await?;
    let mut storing =
        Storing { archive: web.service.archive.clone(), study, part: Part::None, done: Vec::new() };
    while let Some(bytes) = next(&mut body).await? {
        let events = reader.push(&bytes).map_err(malformed)?;
        for event in events {
            storing.take(event).await?;
        }
    }
    // A cut body loses what was not whole; what was whole before is stored and told of again.
    reader.finish().map_err(malformed)?;
    if storing.done.is_empty() {
        return Err(Failure(StatusCode::BAD_REQUEST, "the body holds no part".into()));
    }
    web.service.something_came();
    record(web, who, &storing.done).await?;
    Ok(answer(&storing.done, &root(headers, web)))
}

/// One line of the audit trail for each study stored to, as for an association.
async fn record(web: &Shared, who: &Identity, done: &[Done]) -> Result<(), Failure> {
    let mut studies: BTreeMap<String, usize> = BTreeMap::new();
    for one in done {
        if let Done::Stored { address: (study, _), .. } = one {
            *studies.entry(study.to_string()).or_default() += 1;
        }
    }
    let refused = done.len() - studies.values().sum::<usize>();
    let event = |event: &str, object: Option<String>, outcome: String| AuditEvent {
        at: jiff::Timestamp::now(),
        event: event.into(),
        actor: who.name.clone(),
        object,
        outcome,
    };
    let mut events: Vec<AuditEvent> = studies
        .into_iter()
        .map(|(study, n)| event("instances-stored", Some(study), format!("{n} over STOW-RS")))
        .collect();
    if refused > 0 {
        events.push(event("instances-refused", None, format!("{refused} over STOW-RS")));
    }
    ask(web, move |service| events.into_iter().try_for_each(|event| service.archive.audit(event)))
        .await
}

fn malformed(error: super::multipart::Malformed) -> Failure {
    Failure(StatusCode::BAD_REQUEST, error.to_string())
}

fn unsupported() -> Failure {
    let wanted = "send multipart/related; type=\"application/dicom\"; boundary=...";
    Failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted.into())
}

fn boundary_of(headers: &HeaderMap) -> Result<String, Failure> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(unsupported)?;
    let mut pieces = text.split(';').map(str::trim);
    let media = pieces.next().unwrap_or_default();
    let parameter = |wanted: &str| {
        text.split(';').filter_map(|piece| piece.split_once('=')).find_map(|(name, value)| {
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        })
    };
    let kind = parameter("type").unwrap_or_else(|| "application/dicom".into());
    if !media.eq_ignore_ascii_case("multipart/related")
        || !kind.eq_ignore_ascii_case("application/dicom")
    {
        return Err(unsupported());
    }
    parameter("boundary").ok_or_else(unsupported)
}

/// The next bytes of the request; whoever stays silent too long is let go.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = tokio::time::timeout(STALL, frame).await.map_err(|_| {
            Failure(StatusCode::REQUEST_TIMEOUT, "nothing came for 30 s; send again".into())
        })?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Failure(StatusCode::BAD_REQUEST, "the body was cut off".into()));
            }
            Some(Ok(frame)) => {
                // Trailers are of no interest.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// What became of one part.
enum Done {
    Stored { class: Uid, instance: Uid, address: (Uid, Uid) },
    Failed { named: Option<(Uid, Uid)>, reason: u16, comment: String },
}

/// The part that is coming in.
enum Part {
    None,
    /// Preamble and meta information, until they are whole.
    Meta(Vec<u8>),
    DataSet {
        class: Uid,
        instance: Uid,
        spool: Spool,
    },
    /// Refused; the rest of it is passed over.
    Refused(Done),
}

struct Storing {
    archive: Arc<dyn Archive>,
    study: Option<Uid>,
    part: Part,
    done: Vec<Done>,
}

impl Storing {
    async fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Begin { content_type } => {
                if self.done.len() >= PARTS_MAX {
                    let reason = "more than 10000 parts; send them in several requests";
                    return Err(Failure(StatusCode::PAYLOAD_TOO_LARGE, reason.into()));
                }
                let is_dicom = content_type.split(';').next().unwrap_or_default().trim();
                self.part = if matches!(is_dicom, "" | "application/dicom") {
                    Part::Meta(Vec::new())
                } else {
                    Part::Refused(refused(
                        None,
                        CANNOT_UNDERSTAND,
                        "the part is not application/dicom",
                    ))
                };
            }
            Event::Data(data) => {
                self.part = match std::mem::replace(&mut self.part, Part::None) {
                    Part::Meta(mut head) => {
                        head.extend_from_slice(&data);
                        self.begin(head).await
                    }
                    Part::DataSet { class, instance, spool } => {
                        write(class, instance, spool, &data).await
                    }
                    other => other,
                };
            }
            Event::End => {
                let done = self.end().await;
                self.done.push(done);
            }
        }
        Ok(())
    }

    /// Opens the archive once the meta information is whole.
    async fn begin(&self, head: Vec<u8>) -> Part {
        let meta = match file_meta(&head) {
            Ok(Some(meta)) => meta,
            Ok(None) if head.len() <= MAX_FILE_META_BYTES => return Part::Meta(head),
            Ok(None) => {
                return Part::Refused(refused(None, CANNOT_UNDERSTAND, "no data set follows"));
            }
            Err(error) => {
                return Part::Refused(refused(None, CANNOT_UNDERSTAND, &error.to_string()));
            }
        };
        let FileMeta { sop_class, sop_instance, transfer_syntax, bytes } = meta;
        let (Some(class), Some(instance)) = (sop_class, sop_instance) else {
            let reason = "the meta information names no SOP class and instance";
            return Part::Refused(refused(None, CANNOT_UNDERSTAND, reason));
        };
        let arrival = Arrival {
            sop_class: class.clone(),
            sop_instance: instance.clone(),
            transfer_syntax,
            calling_ae: SOURCE.into(),
        };
        let archive = self.archive.clone();
        let spool = match self.study.clone() {
            Some(study) => {
                let expected = Expected { study: Some(study), ..Expected::default() };
                Spool::open_expecting(archive, arrival, expected)
            }
            None => Spool::open(archive, arrival),
        };
        write(class, instance, spool, head.get(bytes..).unwrap_or_default()).await
    }

    async fn end(&mut self) -> Done {
        match std::mem::replace(&mut self.part, Part::None) {
            Part::Refused(done) => done,
            Part::None | Part::Meta(_) => {
                refused(None, CANNOT_UNDERSTAND, "the part is no DICOM file")
            }
            Part::DataSet { class, instance, spool } => match spool.commit().await {
                Ok(Receipt::Stored(kept) | Receipt::Duplicate(kept)) => {
                    let address = (kept.header.study, kept.header.series);
                    Done::Stored { class, instance, address }
                }
                Ok(Receipt::Conflict { .. }) => {
                    let reason = "other content is kept under this SOP Instance UID";
                    refused(Some((class, instance)), DUPLICATE, reason)
                }
                Err(StoreFailure { status, comment, .. }) => {
                    refused(Some((class, instance)), status, &comment)
                }
            },
        }
    }
}

fn refused(named: Option<(Uid, Uid)>, reason: u16, comment: &str) -> Done {
    Done::Failed { named, reason, comment: comment.to_owned() }
}

async fn write(class: Uid, instance: Uid, mut spool: Spool, data: &[u8]) -> Part {
    match spool.write(data).await {
        Ok(()) => Part::DataSet { class, instance, spool },
        Err(StoreFailure { status, comment, .. }) => {
            Part::Refused(refused(Some((class, instance)), status, &comment))
        }
    }
}

/// PS3.18 10.5.3: what is stored, what is not and why, in the DICOM JSON model.
fn answer(done: &[Done], root: &str) -> Response {
    let text = |vr: &str, value: &str| json!({ "vr": vr, "Value": [value] });
    let (mut stored, mut failed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for one in done {
        match one {
            Done::Stored { class, instance, address: (study, series) } => stored.push(json!({
                "00081150": text("UI", class.as_str()),
                "00081155": text("UI", instance.as_str()),
                "00081190": text("UR", &format!("{root}/studies/{study}/series/{series}/instances/{instance}")),
            })),
            Done::Failed { named, reason, comment } => {
                let mut item = json!({
                    "00081197": { "vr": "US", "Value": [reason] },
                    "00000902": text("LO", &comment.chars().take(64).collect::<String>()),
                });
                match named {
                    Some((class, instance)) => {
                        item["00081150"] = text("UI", class.as_str());
                        item["00081155"] = text("UI", instance.as_str());
                        failed.push(item);
                    }
                    None => others.push(item),
                }
            }
        }
    }
    let status = match (stored.is_empty(), failed.len() + others.len()) {
        (_, 0) => StatusCode::OK,
        (false, _) => StatusCode::ACCEPTED,
        (true, _) => StatusCode::CONFLICT,
    };
    let mut set = serde_json::Map::new();
    for (tag, items) in [("00081198", failed), ("00081199", stored), ("0008119A", others)] {
        if !items.is_empty() {
            set.insert(tag.into(), json!({ "vr": "SQ", "Value": items }));
        }
    }
    let media = [(header::CONTENT_TYPE, "application/dicom+json")];
    (status, media, Json(Value::Object(set)).into_response().into_body()).into_response()
}
