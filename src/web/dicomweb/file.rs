//! One object on disk: its description parsed, its pixels left where they are.

use super::frames::Layout;
use crate::dicom::Uid;
use crate::dicom::gate::{self, GateReport, TransferSyntaxKind};
use crate::web::Failure;
use axum::http::StatusCode;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most bytes and elements outside the pixel data that are parsed for one answer.
const MAX_DESCRIPTION_BYTES: u64 = 128 * 1024 * 1024;
const MAX_DESCRIPTION_ELEMENTS: u32 = 1_500_000;

/// A Part 10 file of the archive that has passed the gate again.
pub(super) struct ObjectFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) syntax: Uid,
    pub(super) kind: TransferSyntaxKind,
    pub(super) report: GateReport,
    /// Where the data set begins in the file.
    start: u64,
}

fn broken(reason: impl std::fmt::Display) -> Failure {
    Failure(StatusCode::INTERNAL_SERVER_ERROR, format!("the object cannot be read: {reason}"))
}

impl ObjectFile {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut file = File::open(path).map_err(broken)?;
        let (syntax, report) = gate::check_file(&mut file).map_err(broken)?;
        let kind = TransferSyntaxKind::of(&syntax).ok_or_else(|| broken("transfer syntax"))?;
        let end = file.seek(SeekFrom::End(0)).map_err(broken)?;
        let start = end - report.bytes;
        Ok(Self { path: path.to_owned(), file, syntax, kind, report, start })
    }

    /// Where the value of the pixel data begins in the file: native values, or the offset table.
    pub(super) fn pixels_at(&self) -> Option<u64> {
        Some(self.start + self.report.pixel_data?.offset)
    }

    /// Bytes of the data set before the element of its pixel data.
    fn description_bytes(&self) -> u64 {
        let head = if self.kind == TransferSyntaxKind::ImplicitLittle { 8 } else { 12 };
        self.report.pixel_data.map_or(self.report.bytes, |pixels| pixels.offset - head)
    }

    /// Everything before the pixel data.
    pub(super) fn description(&mut self) -> Result<InMemDicomObject, Failure> {
        self.parse(0, self.description_bytes())
    }

    /// What follows the pixel data from offset `at` of the file: padding, signatures.
    pub(super) fn after(&mut self, at: u64) -> Result<InMemDicomObject, Failure> {
        let from = at.saturating_sub(self.start);
        self.parse(from, self.report.bytes.saturating_sub(from))
    }

    fn parse(&mut self, from: u64, bytes: u64) -> Result<InMemDicomObject, Failure> {
        if bytes > MAX_DESCRIPTION_BYTES || self.report.elements > MAX_DESCRIPTION_ELEMENTS {
            let reason = "the object's description is too large; retrieve it as application/dicom";
            return Err(Failure(StatusCode::NOT_ACCEPTABLE, reason.into()));
        }
        let syntax = TransferSyntaxRegistry
            .get(self.syntax.as_str())
            .ok_or_else(|| broken("unknown transfer syntax"))?;
        self.file.seek(SeekFrom::Start(self.start + from)).map_err(broken)?;
        let reader = BufReader::new((&self.file).take(bytes));
        InMemDicomObject::read_dataset_with_ts(reader, syntax).map_err(broken)
    }

    /// How the frames lie; refused for an object without pixels.
    pub(super) fn layout(&self, description: &InMemDicomObject) -> Result<Layout, Failure> {
        Layout::of(self, description)
            .ok_or_else(|| Failure(StatusCode::NOT_FOUND, "the object has no pixel data".into()))
    }

    /// Copies `length` bytes of the file from `at`.
    pub(super) fn copy(
        &self,
        at: u64,
        length: u64,
        to: &mut (impl io::Write + ?Sized),
    ) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(at))?;
        let copied = io::copy(&mut (&self.file).take(length), to)?;
        if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
