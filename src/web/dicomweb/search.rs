//! QIDO-RS (PS3.18 10.6): a request becomes the same question to the archive as one by C-FIND.

use super::accept::ranges;
use super::found::answer;
use super::retrieve::not_acceptable;
use super::root;
use crate::archive::Query as Question;
use crate::archive::query::{Attribute, Condition, Key, Matching, QueryLevel};
use crate::dicom::Uid;
use crate::web::access::{Identity, record_access};
use crate::web::{Failure, Shared, ask};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_core::Tag;
use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use serde::Deserialize;
use serde_json::Value;

/// Most matches of one answer; who wants more asks with `offset`.
const LIMIT_MAX: usize = 5_000;
/// Most parameters of one request, and longest value.
const PARAMETERS_MAX: usize = 64;
const VALUE_MAX: usize = 16 * 1024;

/// A path that may name a study and a series.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Within {
    #[serde(default)]
    study: Option<Uid>,
    #[serde(default)]
    series: Option<Uid>,
}

impl Within {
    fn conditions(&self) -> impl Iterator<Item = Condition> {
        let named = [
            (Attribute::StudyInstanceUid, &self.study),
            (Attribute::SeriesInstanceUid, &self.series),
        ];
        named.into_iter().filter_map(|(attribute, uid)| {
            let wanted = [uid.as_ref()?.to_string()].into();
            Some(Condition { attribute, matching: Matching::OneOf(wanted) })
        })
    }
}

/// What is asked.
#[derive(Debug, Default, PartialEq)]
struct Search {
    conditions: Vec<Condition>,
    limit: usize,
    offset: usize,
    /// What was asked that is answered without it.
    warnings: Vec<&'static str>,
}

fn bad(what: String) -> Failure {
    Failure(StatusCode::BAD_REQUEST, what)
}

/// What is known to be standard but is not in the index.
const NOT_MATCHED: &str = "an attribute to match is not supported and was passed over";
const NOT_FUZZY: &str = "fuzzymatching is not supported; names match literally";
/// PS3.18 section 8.3.4.4.
const MORE: &str = "there are more results; ask for them with offset";

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
                "fuzzymatching" if value == "true" => this.warn(NOT_FUZZY),
                "fuzzymatching" => {}
                other => {
                    let tag = attribute(other).ok_or_else(|| {
                        bad("a parameter is neither an attribute nor an option; see PS3.18 8.3.4"
                            .into())
                    })?;
                    match Key::of(tag) {
                        Some(key) => this.conditions.extend(condition(key, &value)?),
                        None => this.warn(NOT_MATCHED),
                    }
                }
            }
        }
        Ok(this)
    }

    fn warn(&mut self, warning: &'static str) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// As in a C-FIND, but that lists may be parted by commas (PS3.18 section 8.3.4.1).
fn condition(key: &Key, value: &str) -> Result<Option<Condition>, Failure> {
    let is_list = key.vr == VR::UI || key.tag == tags::MODALITIES_IN_STUDY;
    let value = if is_list { value.replace(',', "\\") } else { value.to_owned() };
    key.condition(&value).map_err(|why| bad(why.to_owned()))
}

pub(super) async fn studies(
    state: State<Shared>,
    who: Identity,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, Within::default(), query, headers, QueryLevel::Study).await
}

pub(super) async fn series(
    state: State<Shared>,
    who: Identity,
    Path(within): Path<Within>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, within, query, headers, QueryLevel::Series).await
}

pub(super) async fn instances(
    state: State<Shared>,
    who: Identity,
    Path(within): Path<Within>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    search(state, who, within, query, headers, QueryLevel::Instance).await
}

async fn search(
    State(web): State<Shared>,
    who: Identity,
    within: Within,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    level: QueryLevel,
) -> Result<Response, Failure> {
    let accepted = parameters.iter().find(|(name, _)| name == "accept");
    let json = ["application/dicom+json", "application/json"];
    let wanted = ranges(&headers, accepted.map(|(_, value)| value.as_str()));
    if !wanted.iter().any(|range| json.iter().any(|media| range.suits(media))) {
        return Err(not_acceptable(json[0]));
    }
    let mut search = Search::parse(parameters)?;
    let study = within.study.as_ref().map(ToString::to_string);
    record_access(&web, &who, "query", study).await?;
    let root = root(&headers, &web);
    search.conditions.extend(within.conditions());
    // One more than is given shows that there are more.
    let end = search.offset.saturating_add(search.limit);
    let limit = end.saturating_add(1);
    let question = Question { level, conditions: std::mem::take(&mut search.conditions), limit };
    let found = ask(&web, move |service| service.archive.query(&question)).await?;
    if found.len() > end && search.limit == LIMIT_MAX {
        search.warn(MORE);
    }
    let given = found.iter().skip(search.offset).take(search.limit);
    let answers: Vec<Value> = given.map(|found| answer(found, level, &root)).collect();
    let mut response = axum::Json(answers).into_response();
    let media = HeaderValue::from_static("application/dicom+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    for warning in search.warnings {
        if let Ok(warning) = format!("299 grayd \"{warning}\"").parse() {
            response.headers_mut().append(header::WARNING, warning);
        }
    }
    Ok(response)
}
