//! QIDO-RS (PS3.18 10.6): what a request asks, as matches by attribute, and the answer in the DICOM JSON
//! model.

use super::accept::ranges;
use super::found::find;
use super::retrieve::not_acceptable;
use super::root;
use crate::dicom::Uid;
use crate::web::access::{Identity, record_access};
use crate::web::{Failure, Shared, ask};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use serde::Deserialize;
use serde_json::Value;

/// Most matches of one answer; who wants more asks with `offset`.
const LIMIT_MAX: usize = 5_000;
/// Most parameters of one request, and longest value.
const PARAMETERS_MAX: usize = 64;
const VALUE_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Study,
    Series,
    Instance,
}

/// A path that may name a study and a series.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Within {
    #[serde(default)]
    pub(super) study: Option<Uid>,
    #[serde(default)]
    pub(super) series: Option<Uid>,
}

/// What is asked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Search {
    pub(super) matches: Vec<(Tag, String)>,
    pub(super) limit: usize,
    pub(super) offset: usize,
    /// Something was asked that is answered without it.
    warning: Option<&'static str>,
}

fn bad(what: String) -> Failure {
    Failure(StatusCode::BAD_REQUEST, what)
}

/// An attribute by its number or its keyword.
fn attribute(name: &str) -> Option<Tag> {
    super::bulk::parse_tag(name)
        .or_else(|| StandardDataDictionary.by_name(name).map(|entry| entry.tag_range().inner()))
}

impl Search {
    fn parse(parameters: Vec<(String, String)>) -> Result<Self, Failure> {
        if parameters.len() > PARAMETERS_MAX {
            return Err(bad(format!("more than {PARAMETERS_MAX} parameters")));
        }
        let mut this = Self { limit: LIMIT_MAX, ..Self::default() };
        let count = |name: &str, value: &str| {
            value.parse::<usize>().map_err(|_| bad(format!("{name} is a whole number, 0 or more")))
        };
        for (name, value) in parameters {
            if value.len() > VALUE_MAX {
                return Err(bad("a value is longer than 16 KiB".into()));
            }
            match name.as_str() {
                "limit" => this.limit = count("limit", &value)?.min(LIMIT_MAX),
                "offset" => this.offset = count("offset", &value)?,
                // All that is known is given, so that including more changes nothing.
                "includefield" | "accept" => {}
                "fuzzymatching" if value == "true" => {
                    this.warning = Some("fuzzymatching is not supported; names match literally");
                }
                "fuzzymatching" => {}
                other => {
                    match attribute(other) {
                        Some(tag) => this.matches.push((tag, value)),
                        None => return Err(bad(
                            "a parameter is neither an attribute nor an option; see PS3.18 8.3.4"
                                .into(),
                        )),
                    }
                }
            }
        }
        Ok(this)
    }
}

pub(super) async fn studies(
    state: State<Shared>,
    who: Identity,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, Within::default(), query, headers, Level::Study).await
}

pub(super) async fn series(
    state: State<Shared>,
    who: Identity,
    Path(within): Path<Within>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, within, query, headers, Level::Series).await
}

pub(super) async fn instances(
    state: State<Shared>,
    who: Identity,
    Path(within): Path<Within>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, within, query, headers, Level::Instance).await
}

async fn search(
    State(web): State<Shared>,
    who: Identity,
    within: Within,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    level: Level,
) -> Result<Response, Failure> {
    let accepted = parameters.iter().find(|(name, _)| name == "accept");
    let json = ["application/dicom+json", "application/json"];
    let wanted = ranges(&headers, accepted.map(|(_, value)| value.as_str()));
    if !wanted.iter().any(|range| json.iter().any(|media| range.suits(media))) {
        return Err(not_acceptable(json[0]));
    }
    let search = Search::parse(parameters)?;
    let study = within.study.as_ref().map(ToString::to_string);
    record_access(&web, &who, "query", study).await?;
    let (warning, root) = (search.warning, root(&headers, &web));
    let found = ask(&web, move |service| find(&*service.archive, level, &within, &search)).await?;
    let answers: Vec<Value> = found.into_iter().map(|row| row.answer(level, &root)).collect();
    let mut response = axum::Json(answers).into_response();
    let media = HeaderValue::from_static("application/dicom+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    if let Some(Ok(warning)) = warning.map(|text| format!("299 grayd \"{text}\"").parse()) {
        response.headers_mut().insert(header::WARNING, warning);
    }
    Ok(response)
}
