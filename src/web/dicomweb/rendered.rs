//! `/rendered` and `/thumbnail` (PS3.18 8.3.5 and 10.4.1.1.3): images as PNG or JPEG, encapsulated
//! documents as they are.

use super::accept::{Range, ranges};
use super::bulk::Bulk;
use super::file::ObjectFile;
use super::frames::listed;
use super::picture::{Picture, VIEWPORT_MAX, Window, draw};
use super::retrieve::{FramesAddress, not_acceptable, open_one};
use super::{Address, below, body};
use crate::archive::Instance;
use crate::web::access::Identity;
use crate::web::{Failure, Shared};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::Deserialize;

/// Longer side of a thumbnail, pixels.
const THUMBNAIL: u32 = 200;
const QUALITY: u8 = 90;
const PDF: &str = "application/pdf";

/// PS3.18 8.3.5.1.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Rendering {
    accept: Option<String>,
    /// `centre,width,function`
    window: Option<String>,
    /// `width,height`
    viewport: Option<String>,
    quality: Option<String>,
}

fn bad(what: &str) -> Failure {
    Failure(StatusCode::BAD_REQUEST, what.to_owned())
}

impl Rendering {
    fn window(&self) -> Result<Option<Window>, Failure> {
        let Some(text) = &self.window else { return Ok(None) };
        let wrong =
            || bad("window is `centre,width` or `centre,width,linear` or `...,linear-exact`");
        let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
        let (centre, width, exact) = match pieces[..] {
            [centre, width] => (centre, width, false),
            [centre, width, "linear" | "LINEAR"] => (centre, width, false),
            [centre, width, "linear-exact" | "LINEAR_EXACT"] => (centre, width, true),
            _ => return Err(wrong()),
        };
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        Window::of(number(centre)?, number(width)?, exact).map(Some).ok_or_else(wrong)
    }

    fn viewport(&self) -> Result<Option<(u32, u32)>, Failure> {
        let Some(text) = &self.viewport else { return Ok(None) };
        let wrong = || bad("viewport is `width,height` in pixels, each at most 8192");
        let sides: Vec<u32> = text
            .split(',')
            .take(2)
            .filter_map(|side| side.trim().parse().ok())
            .filter(|side| (1..=VIEWPORT_MAX).contains(side))
            .collect();
        if let [width, height] = sides[..] { Ok(Some((width, height))) } else { Err(wrong()) }
    }

    fn quality(&self) -> Result<u8, Failure> {
        let Some(text) = &self.quality else { return Ok(QUALITY) };
        let quality = text.parse().ok().filter(|quality| (1..=100).contains(quality));
        quality.ok_or_else(|| bad("quality is a number from 1 to 100"))
    }
}

/// JPEG first, as PS3.18 8.7.4 has it.
fn media(ranges: &[Range]) -> Result<&'static str, Failure> {
    let offers = ["image/jpeg", "image/png"];
    let liked = ranges.iter().find_map(|range| offers.into_iter().find(|offer| range.suits(offer)));
    liked.ok_or_else(|| not_acceptable("image/jpeg or image/png"))
}

async fn answer(
    web: &Shared,
    media: &'static str,
    quality: u8,
    picture: impl FnOnce() -> Result<Picture, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    // Drawing needs a thread and memory as retrieving does: the same places are shared.
    let place = body::place(&web.streams).await?;
    let drawn = tokio::task::spawn_blocking(move || {
        let _place = place;
        let picture = picture()?;
        if media == "image/png" { picture.png() } else { picture.jpeg(quality) }
    });
    let failed = |_| Failure(StatusCode::INTERNAL_SERVER_ERROR, "the picture failed".into());
    let bytes = drawn.await.map_err(failed)??;
    Ok(([(header::CONTENT_TYPE, media)], bytes).into_response())
}

async fn picture(
    web: &Shared,
    file: ObjectFile,
    object: InMemDicomObject,
    frame: u32,
    rendering: &Rendering,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let media = media(&ranges(headers, rendering.accept.as_deref()))?;
    let (window, viewport) = (rendering.window()?, rendering.viewport()?);
    let quality = rendering.quality()?;
    answer(web, media, quality, move || {
        let picture = draw(&file, &object, frame, window)?;
        Ok(match viewport {
            Some((width, height)) => picture.within(width, height),
            None => picture,
        })
    })
    .await
}

/// One frame of one instance.
pub(super) async fn frame(
    State(web): State<Shared>,
    who: Identity,
    Path(FramesAddress { address, frames }): Path<FramesAddress>,
    Query(rendering): Query<Rendering>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (file, object) = open_one(&web, &who, &address).await?;
    let frames = listed(&frames, &file.layout(&object)?)?;
    let [frame] = frames[..] else {
        return Err(bad("one frame is rendered at a time; name one"));
    };
    picture(&web, file, object, frame, &rendering, &headers).await
}

/// A document as it is, or the middle frame of the middle image.
pub(super) async fn rendered(
    State(web): State<Shared>,
    who: Identity,
    Path(address): Path<Address>,
    Query(rendering): Query<Rendering>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = below(&web, &who, &address).await?;
    let (file, object) = open_one(&web, &who, &middle(&found)).await?;
    if object.get(tags::ENCAPSULATED_DOCUMENT).is_some() {
        return document(file, &object, &ranges(&headers, rendering.accept.as_deref())).await;
    }
    let frame = (file.layout(&object)?.frames - 1) / 2;
    picture(&web, file, object, frame, &rendering, &headers).await
}

/// The same, small.
pub(super) async fn thumbnail(
    state: State<Shared>,
    who: Identity,
    address: Path<Address>,
    Query(rendering): Query<Rendering>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let viewport = rendering.viewport.clone().or(Some(format!("{THUMBNAIL},{THUMBNAIL}")));
    rendered(state, who, address, Query(Rendering { viewport, ..rendering }), headers).await
}

/// The instance that stands for all: of those with pixels the one in the middle.
fn middle(found: &[Instance]) -> Address {
    let drawn: Vec<&Instance> = found.iter().filter(|i| i.header.rows.is_some()).collect();
    let chosen = drawn.get(drawn.len() / 2).copied().unwrap_or(&found[found.len() / 2]);
    Address {
        study: chosen.header.study.clone(),
        series: Some(chosen.header.series.clone()),
        instance: Some(chosen.header.sop_instance.clone()),
    }
}

async fn document(
    file: ObjectFile,
    object: &InMemDicomObject,
    ranges: &[Range],
) -> Result<Response, Failure> {
    let kind = object.get(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT).and_then(|e| e.to_str().ok());
    if kind.is_none_or(|kind| kind.trim_matches([' ', '\0']) != PDF) {
        return Err(not_acceptable("application/dicom: only PDF documents are rendered"));
    }
    if !ranges.iter().any(|range| range.suits(PDF)) {
        return Err(not_acceptable(PDF));
    }
    let length = object
        .get(tags::ENCAPSULATED_DOCUMENT_LENGTH)
        .and_then(|element| element.to_int::<usize>().ok());
    let tag = super::json::tag_name(tags::ENCAPSULATED_DOCUMENT);
    let found = tokio::task::spawn_blocking(move || Bulk::find(file, &tag)).await;
    let failed = |_| Failure(StatusCode::INTERNAL_SERVER_ERROR, "the document failed".into());
    let Bulk::Value(mut bytes) = found.map_err(failed)?? else {
        return Err(not_acceptable("application/dicom"));
    };
    // Without the byte that makes the value even.
    bytes.truncate(length.unwrap_or(bytes.len()));
    Ok(([(header::CONTENT_TYPE, PDF)], bytes).into_response())
}
