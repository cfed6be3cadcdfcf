//! Compressed frames are decoded in a process of their own, bounded in memory and time: a codec that a
//! hostile stream breaks takes one answer with it, never the node.

use super::file::ObjectFile;
use super::frames::{Fragments, Layout};
use crate::dicom::read::pixels;
use crate::web::Failure;
use dicom_core::value::PixelFragmentSequence;
use dicom_core::value::fragments::Fragments as Encoded;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_pixeldata::PixelDecoder;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

/// Address space of a decoder, and seconds of processor that it gets for its frames.
const MEMORY_BYTES: u64 = 3 << 30;
const CPU_S: u64 = 60;

/// What a decoder reads from its standard input, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    path: PathBuf,
    /// 0-based.
    frames: Vec<u32>,
}

/// Ends the decoder when its answer is no longer wanted.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes the decoded frames one after the other, each of `layout.frame_bytes()`.
pub(super) fn decode(
    file: &ObjectFile,
    layout: &Layout,
    frames: Vec<u32>,
    to: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let wanted = layout.frame_bytes().saturating_mul(frames.len() as u64);
    let mut order = serde_json::to_vec(&Order { path: file.path.clone(), frames })?;
    order.push(b'\n');
    let child = Command::new(std::env::current_exe()?)
        .arg("frames")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut running = Running(child);
    let mut input = running.0.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    input.write_all(&order)?;
    drop(input);
    let output = running.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let decoded = io::copy(&mut output.take(wanted), to)?;
    if decoded == wanted { Ok(()) } else { Err(io::Error::other("a frame could not be decoded")) }
}

/// The decoder's side: `grayd frames`.
pub fn work() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let bound = |value| Rlimit { current: Some(value), maximum: Some(value) };
    for (resource, value) in
        [(Resource::As, MEMORY_BYTES), (Resource::Cpu, CPU_S), (Resource::Core, 0)]
    {
        setrlimit(resource, bound(value)).map_err(|e| failed(&e))?;
    }
    let order: Order = serde_json::from_reader(io::stdin().lock()).map_err(|e| failed(&e))?;
    let mut file = ObjectFile::open(&order.path).map_err(|Failure(_, reason)| reason)?;
    let description = file.description().map_err(|Failure(_, reason)| reason)?;
    let layout = file.layout(&description).map_err(|Failure(_, reason)| reason)?;
    let fragments = Fragments::read(&file).map_err(|e| failed(&e))?;
    let mut output = io::stdout().lock();
    for frame in order.frames {
        let items =
            fragments.of_frame(frame, layout.frames).map_err(|Failure(_, reason)| reason)?;
        let mut code = Vec::new();
        for (at, length) in items {
            file.copy(*at, *length, &mut code).map_err(|e| failed(&e))?;
        }
        let pixels = one_frame(&file, &description, code)?;
        if pixels.len() as u64 != layout.frame_bytes() {
            return Err("the code has another size than the header".into());
        }
        output.write_all(&pixels).map_err(|e| failed(&e))?;
    }
    output.flush().map_err(|e| failed(&e))
}

/// Decodes one frame as an image of its own: lossless ones of one sample by the readers that doses are
/// computed with, all others by dicom-pixeldata.
fn one_frame(
    file: &ObjectFile,
    description: &InMemDicomObject,
    code: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let mut single = InMemDicomObject::new_empty();
    for tag in [
        tags::SAMPLES_PER_PIXEL,
        tags::PHOTOMETRIC_INTERPRETATION,
        tags::PLANAR_CONFIGURATION,
        tags::ROWS,
        tags::COLUMNS,
        tags::BITS_ALLOCATED,
        tags::BITS_STORED,
        tags::HIGH_BIT,
        tags::PIXEL_REPRESENTATION,
    ] {
        if let Some(element) = description.get(tag) {
            single.put(element.clone());
        }
    }
    single.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from("1")));
    let sequence: PixelFragmentSequence<Vec<u8>> = vec![Encoded::new(code, 0)].into();
    single.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid("1.2.3")
        .media_storage_sop_instance_uid("1.2.3")
        .transfer_syntax(file.syntax.as_str())
        .build()
        .map_err(|error| error.to_string())?;
    let object = single.with_exact_meta(meta);
    match pixels::decode(&object) {
        Ok(pixels) => Ok(pixels.into_bytes()),
        Err(_) => {
            let decoded = object.decode_pixel_data().map_err(|error| error.to_string())?;
            Ok(decoded.into_data())
        }
    }
}
