//! WADO-RS (PS3.18 10.4): instances, metadata, frames, bulk data.

use super::accept::{Range, ranges};
use super::bulk::Bulk;
use super::file::ObjectFile;
use super::frames::{Fragments, Layout, listed};
use super::multipart::{Parts, boundary};
use super::{
    Address, ForViewer, address_of, below, body, decoder, json, positions, root, transcode,
};
use crate::archive::Instance;
use crate::dicom::Uid;
use crate::web::access::Identity;
use crate::web::{Failure, Shared, ask};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_dictionary_std::uids;
use serde::Deserialize;
use std::io::{self, Write};
use std::path::PathBuf;

const DICOM: &str = "application/dicom";
const OCTETS: &str = "application/octet-stream";

/// PS3.18 8.3.3.1: what a header says can be said in the query.
#[derive(Debug, Deserialize)]
pub(super) struct AcceptQuery {
    accept: Option<String>,
}

pub(super) fn not_acceptable(offer: &str) -> Failure {
    Failure(StatusCode::NOT_ACCEPTABLE, format!("not on offer; ask for {offer}"))
}

/// Transfer syntax of what goes out.
#[derive(Debug, Clone, PartialEq)]
enum Syntax {
    /// As it is kept.
    Stored,
    Explicit,
    Exactly(Uid),
}

impl Syntax {
    fn of(range: &Range) -> Option<Self> {
        match range.transfer_syntax.as_deref() {
            Some("*") => Some(Self::Stored),
            None | Some(uids::EXPLICIT_VR_LITTLE_ENDIAN) => Some(Self::Explicit),
            Some(uid) => Some(Self::Exactly(Uid::parse(uid).ok()?)),
        }
    }

    /// Whether an object in syntax `stored` can be given so.
    fn suits(&self, stored: &Uid) -> bool {
        match self {
            Self::Stored => true,
            Self::Explicit => transcode::is_convertible(stored),
            Self::Exactly(wanted) => wanted == stored,
        }
    }

    /// Whether the bytes go out as they are kept.
    fn keeps(&self, stored: &Uid) -> bool {
        *self != Self::Explicit || stored.as_str() == uids::EXPLICIT_VR_LITTLE_ENDIAN
    }

    /// What the client is told.
    fn name<'u>(&self, stored: &'u Uid) -> &'u str {
        if self.keeps(stored) { stored.as_str() } else { uids::EXPLICIT_VR_LITTLE_ENDIAN }
    }
}

/// Paths of instances, in their order.
async fn paths(web: &Shared, instances: &[Instance]) -> Result<Vec<(PathBuf, Uid)>, Failure> {
    let wanted: Vec<(Uid, Uid)> = instances
        .iter()
        .map(|i| (i.header.sop_instance.clone(), i.header.transfer_syntax.clone()))
        .collect();
    ask(web, move |service| {
        let path = |(uid, syntax): (Uid, Uid)| Ok((service.archive.path(&uid)?, syntax));
        wanted.into_iter().map(path).collect()
    })
    .await
}

fn broken(Failure(_, reason): Failure) -> io::Error {
    io::Error::other(reason)
}

fn write_instance(
    path: &std::path::Path,
    stored: &Uid,
    syntax: &Syntax,
    to: &mut dyn Write,
) -> io::Result<()> {
    if syntax.keeps(stored) {
        return io::copy(&mut std::fs::File::open(path)?, to).map(drop);
    }
    transcode::explicit(&mut ObjectFile::open(path).map_err(broken)?, to)
}

/// All instances of a study, a series, or one.
pub(super) async fn instances(
    State(web): State<Shared>,
    who: Identity,
    Path(address): Path<Address>,
    Query(query): Query<AcceptQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = below(&web, &who, &address).await?;
    let choice = ranges(&headers, query.accept.as_deref()).into_iter().find_map(|range| {
        let syntax = Syntax::of(&range).filter(|_| range.suits(DICOM))?;
        let suits = found.iter().all(|i| syntax.suits(&i.header.transfer_syntax));
        suits.then(|| (syntax, range.media == DICOM))
    });
    let (syntax, single) = choice.ok_or_else(|| {
        not_acceptable("multipart/related; type=\"application/dicom\"; transfer-syntax=*")
    })?;
    let files = paths(&web, &found).await?;
    if single && files.len() == 1 {
        let (path, stored) = files.into_iter().next().ok_or_else(|| not_acceptable(DICOM))?;
        let media = format!("{DICOM}; transfer-syntax={}", syntax.name(&stored));
        let body = body::stream(&web, move |to| write_instance(&path, &stored, &syntax, to));
        return Ok(([(header::CONTENT_TYPE, media)], body.await?).into_response());
    }
    multipart(&web, DICOM, move |parts| {
        for (path, stored) in &files {
            let to = parts.begin(&format!("{DICOM}; transfer-syntax={}", syntax.name(stored)))?;
            write_instance(path, stored, &syntax, to)?;
        }
        Ok(())
    })
    .await
}

/// A `multipart/related` answer whose parts `write` makes.
async fn multipart(
    web: &Shared,
    part: &str,
    write: impl FnOnce(&mut Parts<'_>) -> io::Result<()> + Send + 'static,
) -> Result<Response, Failure> {
    let boundary = boundary();
    let media = format!("multipart/related; type=\"{part}\"; boundary={boundary}");
    let body = body::stream(web, move |to| {
        let mut parts = Parts::new(to, &boundary);
        write(&mut parts)?;
        parts.end()
    });
    Ok(([(header::CONTENT_TYPE, media)], body.await?).into_response())
}

/// Descriptions of all instances of a study, a series, or one, in the DICOM JSON model.
pub(super) async fn metadata(
    State(web): State<Shared>,
    who: Identity,
    viewer: Option<Extension<ForViewer>>,
    Path(address): Path<Address>,
    Query(query): Query<AcceptQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let json = ["application/dicom+json", "application/json"];
    let wanted = ranges(&headers, query.accept.as_deref())
        .iter()
        .any(|range| json.iter().any(|media| range.suits(media)));
    if !wanted {
        return Err(not_acceptable(json[0]));
    }
    let found = below(&web, &who, &address).await?;
    let root = root(&headers, &web);
    let addresses: Vec<String> = found.iter().map(|i| address_of(&root, i)).collect();
    let files = paths(&web, &found).await?;
    let body = body::stream(&web, move |to| {
        for (n, ((path, _), address)) in files.iter().zip(addresses).enumerate() {
            to.write_all(if n == 0 { b"[" } else { b"," })?;
            let mut description = describe(path, &address).map_err(broken)?;
            if viewer.is_some() {
                positions::restate(&mut description);
            }
            serde_json::to_writer(&mut *to, &description)?;
        }
        to.write_all(b"]")
    });
    Ok(([(header::CONTENT_TYPE, json[0])], body.await?).into_response())
}

fn describe(
    path: &std::path::Path,
    address: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let mut file = ObjectFile::open(path)?;
    let description = file.description()?;
    let pixels = file.report.pixel_data.map(|pixels| (pixels.tag, pixels_vr(&file)));
    json::describe(description, address, pixels)
        .map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// VR of the pixel data as the JSON model names it.
fn pixels_vr(file: &ObjectFile) -> &'static str {
    use dicom_dictionary_std::tags;
    match file.report.pixel_data {
        Some(pixels) if pixels.tag == tags::FLOAT_PIXEL_DATA => "OF",
        Some(pixels) if pixels.tag == tags::DOUBLE_FLOAT_PIXEL_DATA => "OD",
        Some(pixels) if pixels.fragments.is_some() => "OB",
        _ => "OW",
    }
}

/// What kind of compressed code a transfer syntax means (PS3.18 table 8.7.3-5).
fn media_of(syntax: &Uid) -> Option<&'static str> {
    let number = syntax.as_str().strip_prefix("1.2.840.10008.1.2.")?;
    Some(match number {
        "5" => "image/dicom-rle",
        "4.50" | "4.51" | "4.57" | "4.70" => "image/jpeg",
        "4.80" | "4.81" => "image/jls",
        "4.90" | "4.91" => "image/jp2",
        "4.92" | "4.93" => "image/jpx",
        "4.201" | "4.202" | "4.203" => "image/jphc",
        "4.110" | "4.111" | "4.112" => "image/jxl",
        _ => return None,
    })
}

/// How frames go out.
#[derive(Debug, Clone, PartialEq)]
struct FrameForm {
    /// Media type of a part, without parameters.
    media: &'static str,
    /// The code of compressed frames as it is kept.
    is_code: bool,
    is_multipart: bool,
}

fn frame_form(range: &Range, stored: &Uid, is_encapsulated: bool) -> Option<FrameForm> {
    let form = |media, is_code| FrameForm { media, is_code, is_multipart: range.media != OCTETS };
    let wanted = range.transfer_syntax.as_deref();
    if let Some(media) = media_of(stored)
        && is_encapsulated
        && range.suits(media)
        && range.content() != "*/*"
        && (range.any_syntax() || wanted.is_none_or(|wanted| wanted == stored.as_str()))
    {
        return Some(form(media, true));
    }
    if !range.suits(OCTETS) {
        return None;
    }
    match Syntax::of(range)? {
        // What viewers that read any syntax expect: the code, named by its transfer syntax.
        Syntax::Stored => Some(form(OCTETS, is_encapsulated)),
        Syntax::Exactly(wanted) if wanted == *stored => Some(form(OCTETS, is_encapsulated)),
        Syntax::Explicit if transcode::is_convertible(stored) => Some(form(OCTETS, false)),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct FramesAddress {
    #[serde(flatten)]
    pub(super) address: Address,
    pub(super) frames: String,
}

/// The one instance of an address, opened and described.
pub(super) async fn open_one(
    web: &Shared,
    who: &Identity,
    address: &Address,
) -> Result<(ObjectFile, dicom_object::InMemDicomObject), Failure> {
    let found = below(web, who, address).await?;
    let files = paths(web, &found).await?;
    let (path, _) = files.into_iter().next().ok_or_else(|| not_acceptable(DICOM))?;
    let opened = tokio::task::spawn_blocking(move || {
        let mut file = ObjectFile::open(&path)?;
        let description = file.description()?;
        Ok((file, description))
    });
    let failed = |_| Failure(StatusCode::INTERNAL_SERVER_ERROR, "the object cannot be read".into());
    opened.await.map_err(failed)?
}

/// Frames of one instance.
pub(super) async fn frames(
    State(web): State<Shared>,
    who: Identity,
    Path(FramesAddress { address, frames }): Path<FramesAddress>,
    Query(query): Query<AcceptQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (file, description) = open_one(&web, &who, &address).await?;
    let layout = file.layout(&description)?;
    let frames = listed(&frames, &layout)?;
    let is_encapsulated = file.report.pixel_data.is_some_and(|pixels| pixels.fragments.is_some());
    let form = ranges(&headers, query.accept.as_deref())
        .iter()
        .find_map(|range| frame_form(range, &file.syntax, is_encapsulated))
        .ok_or_else(|| {
            not_acceptable(
                "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*",
            )
        })?;
    let syntax = if form.is_code { file.syntax.as_str() } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
    let media = format!("{}; transfer-syntax={syntax}", form.media);
    let fragments = if is_encapsulated { Fragments::read(&file).ok() } else { None };
    if let Some(fragments) = &fragments {
        // Said now, not in the middle of the answer.
        frames.iter().try_for_each(|n| fragments.of_frame(*n, layout.frames).map(drop))?;
    }
    let source = Source { file, layout, fragments: fragments.unwrap_or_default(), form };
    if !source.form.is_multipart && frames.len() == 1 {
        let body = body::stream(&web, move |to| source.write(frames[0], to));
        return Ok(([(header::CONTENT_TYPE, media)], body.await?).into_response());
    }
    let part = source.form.media;
    multipart(&web, part, move |parts| {
        frames.iter().try_for_each(|frame| source.write(*frame, parts.begin(&media)?))
    })
    .await
}

/// Where frames come from and how they go out.
struct Source {
    file: ObjectFile,
    layout: Layout,
    fragments: Fragments,
    form: FrameForm,
}

impl Source {
    fn write(&self, frame: u32, to: &mut dyn Write) -> io::Result<()> {
        let is_encapsulated = !self.fragments.all().is_empty();
        if !is_encapsulated {
            return self.layout.copy_native(&self.file, frame, to);
        }
        if !self.form.is_code {
            return decoder::decode(&self.file, &self.layout, vec![frame], to);
        }
        let items = self.fragments.of_frame(frame, self.layout.frames).map_err(broken)?;
        items.iter().try_for_each(|(at, length)| self.file.copy(*at, *length, to))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BulkAddress {
    #[serde(flatten)]
    address: Address,
    path: String,
}

/// A long value, as it is kept.
pub(super) async fn bulk(
    State(web): State<Shared>,
    who: Identity,
    Path(BulkAddress { address, path }): Path<BulkAddress>,
    Query(query): Query<AcceptQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let choice = ranges(&headers, query.accept.as_deref()).into_iter().find(|r| r.suits(OCTETS));
    let range = choice.ok_or_else(|| not_acceptable(OCTETS))?;
    let (file, _) = open_one(&web, &who, &address).await?;
    let stored = file.syntax.clone();
    let bulk = tokio::task::spawn_blocking(move || Bulk::find(file, &path)).await;
    let failed = |_| Failure(StatusCode::INTERNAL_SERVER_ERROR, "the value cannot be read".into());
    let bulk = bulk.map_err(failed)??;
    if !range.is_multipart() {
        let body = body::stream(&web, move |to| bulk.write(to));
        return Ok(([(header::CONTENT_TYPE, OCTETS)], body.await?).into_response());
    }
    let syntax = match &bulk {
        Bulk::Pixels(file) if file.report.pixel_data.is_some_and(|p| p.fragments.is_some()) => {
            stored.to_string()
        }
        _ => uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
    };
    multipart(&web, OCTETS, move |parts| {
        bulk.write(parts.begin(&format!("{OCTETS}; transfer-syntax={syntax}"))?)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str, stored: &str) -> Option<FrameForm> {
        let stored = Uid::parse(stored).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let is_encapsulated = media_of(&stored).is_some();
        ranges(&headers, None).iter().find_map(|range| frame_form(range, &stored, is_encapsulated))
    }

    #[test]
    fn frames_are_given_as_the_client_can_read_them() {
        let jls = "1.2.840.10008.1.2.4.80";
        let related = |rest: &str| format!("multipart/related; type=\"{rest}\"");
        let octets = related(OCTETS);
        // Native unless said otherwise.
        let native = FrameForm { media: OCTETS, is_code: false, is_multipart: true };
        assert_eq!(form(&octets, jls), Some(native.clone()));
        assert_eq!(form("*/*", jls), Some(native.clone()));
        assert_eq!(form(&octets, uids::IMPLICIT_VR_LITTLE_ENDIAN), Some(native.clone()));
        // The code where any syntax, this one or its media type is taken.
        let code = |media| FrameForm { media, is_code: true, is_multipart: true };
        for accept in
            [format!("{octets}; transfer-syntax=*"), format!("{octets}; transfer-syntax={jls}")]
        {
            assert_eq!(form(&accept, jls), Some(code(OCTETS)), "{accept}");
        }
        assert_eq!(form(&related("image/jls"), jls), Some(code("image/jls")));
        // Another code is not what it is kept as.
        assert_eq!(form(&related("image/jp2"), jls), None);
        assert_eq!(form("text/html", jls), None);
        let single = form(OCTETS, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        assert!(!single.is_multipart);
    }

    #[test]
    fn who_names_no_transfer_syntax_gets_explicit_little_endian() {
        let stored = Uid::parse(uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let syntax = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, text.parse().unwrap());
            Syntax::of(&ranges(&headers, None)[0]).unwrap()
        };
        assert_eq!(syntax("application/dicom").name(&stored), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let any = syntax("application/dicom; transfer-syntax=*");
        assert_eq!(any.name(&stored), uids::IMPLICIT_VR_LITTLE_ENDIAN);
        assert!(
            !syntax("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80").suits(&stored)
        );
        let big = Uid::parse("1.2.840.10008.1.2.2").unwrap();
        assert!(!syntax("*/*").suits(&big) && any.suits(&big));
    }
}
