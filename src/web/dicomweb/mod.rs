//! DICOMweb (PS3.18): retrieve (WADO-RS), search (QIDO-RS) and store (STOW-RS), over the same archive and
//! through the same gate as associations.
//!
//! Whatever the size of an object, at most a few pieces of it are in memory: files stream from disk, frames
//! are cut out of them, compressed ones are opened in a process of their own (`decoder`).

mod accept;
mod body;
mod bulk;
mod decoder;
mod file;
mod found;
mod frames;
mod json;
mod multipart;
mod picture;
mod positions;
mod rendered;
mod retrieve;
mod search;
mod store;
mod transcode;

pub use decoder::work as decode_frames;

/// Marks requests to the viewer's own address.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForViewer;

use super::access::{Identity, Right, record_access};
use super::routes::Routes;
use super::{Failure, Shared, ask};
use crate::archive::{Instance, InstanceFilter};
use crate::dicom::Uid;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

/// Answers under way at once.
pub(in crate::web) use body::STREAMS;

/// What the path of a resource names.
#[derive(Debug, Clone, Deserialize)]
struct Address {
    study: Uid,
    #[serde(default)]
    series: Option<Uid>,
    #[serde(default)]
    instance: Option<Uid>,
}

impl Address {
    fn filter(&self) -> InstanceFilter {
        InstanceFilter {
            study: Some(self.study.clone()),
            series: self.series.clone(),
            sop_instance: self.instance.clone(),
            ..InstanceFilter::default()
        }
    }
}

/// Instances below an address, in the order of the archive; none is "not found". Who looks at a study is
/// in the audit trail.
async fn below(web: &Shared, who: &Identity, address: &Address) -> Result<Vec<Instance>, Failure> {
    let filter = address.filter();
    let found = ask(web, move |service| service.archive.instances(&filter)).await?;
    let study = Some(address.study.to_string());
    record_access(web, who, "instances-accessed", study).await?;
    if found.is_empty() {
        return Err(Failure(StatusCode::NOT_FOUND, "nothing is stored under this address".into()));
    }
    Ok(found)
}

/// `http://host/dicom-web`, as the client sees it: what addresses in answers begin with.
fn root(headers: &HeaderMap, web: &Shared) -> String {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.unwrap_or("localhost");
    let scheme = if web.is_encrypted(headers) { "https" } else { "http" };
    // Some clients leave the port out; a proxy may be asked at the usual one.
    match web.port.filter(|_| super::without_port(host) == host.to_lowercase()) {
        Some(port) => format!("{scheme}://{host}:{port}/dicom-web"),
        None => format!("{scheme}://{host}/dicom-web"),
    }
}

/// Address of an instance below the root.
fn address_of(root: &str, instance: &Instance) -> String {
    let header = &instance.header;
    let (study, series, sop) = (&header.study, &header.series, &header.sop_instance);
    format!("{root}/studies/{study}/series/{series}/instances/{sop}")
}

pub(super) fn routes(routes: Routes) -> Routes {
    const STUDY: &str = "/dicom-web/studies/{study}";
    const SERIES: &str = "/dicom-web/studies/{study}/series/{series}";
    const INSTANCE: &str = "/dicom-web/studies/{study}/series/{series}/instances/{instance}";
    let (read, store) = (Right::Read, Right::Store);
    let at = |level: &str, rest: &str| format!("{level}/{rest}");
    let mut routes = routes
        .get("/dicom-web/studies", read, "QIDO-RS: studies", search::studies)
        .get("/dicom-web/series", read, "QIDO-RS: series", search::series)
        .get("/dicom-web/instances", read, "QIDO-RS: instances", search::instances)
        .get(&at(STUDY, "series"), read, "QIDO-RS: series of a study", search::series)
        .get(&at(STUDY, "instances"), read, "QIDO-RS: instances of a study", search::instances)
        .get(&at(SERIES, "instances"), read, "QIDO-RS: instances of a series", search::instances)
        .post("/dicom-web/studies", store, "STOW-RS", store::any_study)
        .post(STUDY, store, "STOW-RS into one study", store::one_study);
    for level in [STUDY, SERIES, INSTANCE] {
        routes = routes
            .get(level, read, "WADO-RS: the instances", retrieve::instances)
            .get(&at(level, "metadata"), read, "WADO-RS: descriptions", retrieve::metadata)
            .get(&at(level, "rendered"), read, "WADO-RS: a picture", rendered::rendered)
            .get(&at(level, "thumbnail"), read, "WADO-RS: a small picture", rendered::thumbnail);
    }
    routes
        .get(&at(INSTANCE, "frames/{frames}"), read, "WADO-RS: frames", retrieve::frames)
        .get(&at(INSTANCE, "frames/{frames}/rendered"), read, "WADO-RS: a picture", rendered::frame)
        .get(&at(INSTANCE, "bulkdata/{*path}"), read, "WADO-RS: a long value", retrieve::bulk)
}
