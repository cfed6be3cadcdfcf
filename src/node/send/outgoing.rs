//! A Part 10 file to be sent: what its meta information says, and its data set in pieces.

use super::SendError;
use crate::dicom::Uid;
use crate::node::accept::NATIVE;
use dicom_dictionary_std::uids;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::meta::FileMetaTable;
use dicom_pixeldata::Transcode;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::task::spawn_blocking;

/// Preamble, `DICM`, and the element that holds the group's length (PS3.10 section 7.1).
const PREAMBLE_BYTES: usize = 128;
const UP_TO_GROUP_LENGTH_BYTES: usize = PREAMBLE_BYTES + 4 + 12;
/// Largest file meta information that is read; ours takes some 400 bytes.
const MAX_META_BYTES: u32 = 65_536;

/// A file and what is needed to propose and announce it.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub path: PathBuf,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// Offset of the data set in the file, and its length, bytes.
    data_set: (u64, u64),
}

impl Outgoing {
    /// Reads the file meta information, nothing more.
    pub async fn open(path: &Path) -> Result<Self, SendError> {
        let owned = path.to_owned();
        let opened = spawn_blocking(move || Self::read_meta(owned)).await;
        let unreadable = |reason: String| SendError::Unreadable { path: path.to_owned(), reason };
        opened.map_err(|error| unreadable(error.to_string()))?.map_err(unreadable)
    }

    fn read_meta(path: PathBuf) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let mut file = std::fs::File::open(&path).map_err(text)?;
        let mut head = vec![0; UP_TO_GROUP_LENGTH_BYTES];
        file.read_exact(&mut head).map_err(text)?;
        let mut length = [0; 4];
        length.copy_from_slice(&head[UP_TO_GROUP_LENGTH_BYTES - 4..]);
        let length = u32::from_le_bytes(length);
        if length > MAX_META_BYTES {
            return Err("its file meta information is too long".to_owned());
        }
        let at = UP_TO_GROUP_LENGTH_BYTES as u64 + u64::from(length);
        (&mut file).take(u64::from(length)).read_to_end(&mut head).map_err(text)?;
        let meta = FileMetaTable::from_reader(&head[PREAMBLE_BYTES..])
            .map_err(|_| "its file meta information is malformed".to_owned())?;
        let end = file.seek(SeekFrom::End(0)).map_err(text)?;
        let left = end.checked_sub(at).ok_or("it ends within its file meta information")?;
        let uid = |value: &str, what| Uid::parse(value).map_err(|e| format!("{what}: {e}"));
        Ok(Self {
            sop_class: uid(&meta.media_storage_sop_class_uid, "SOP class (0002,0002)")?,
            sop_instance: uid(&meta.media_storage_sop_instance_uid, "instance (0002,0003)")?,
            transfer_syntax: uid(meta.transfer_syntax(), "transfer syntax (0002,0010)")?,
            data_set: (at, left),
            path,
        })
    }

    /// Whether the data set can be written in this syntax: its own, or a native one.
    pub(super) fn can_become(&self, syntax: &str) -> bool {
        let own = self.transfer_syntax.as_str();
        syntax == own || (NATIVE.contains(&syntax) && can_be_native(own))
    }

    /// The data set in `syntax`, to be read in pieces.
    pub(super) async fn data_set(&self, syntax: &str) -> io::Result<DataSet> {
        if syntax == self.transfer_syntax.as_str() {
            let mut file = tokio::fs::File::open(&self.path).await?;
            file.seek(SeekFrom::Start(self.data_set.0)).await?;
            return Ok(DataSet::File { file, left: self.data_set.1 });
        }
        let (path, syntax) = (self.path.clone(), syntax.to_owned());
        let rewritten = spawn_blocking(move || rewrite(&path, &syntax)).await;
        Ok(DataSet::Memory { bytes: rewritten.map_err(io::Error::other)??, sent: 0 })
    }
}

/// Compressions that the registry's own codecs undo bit by bit.
const DECODED: [&str; 4] =
    [uids::RLE_LOSSLESS, uids::JPEG_LOSSLESS_SV1, uids::JPEG_LOSSLESS, uids::JPEG2000_LOSSLESS];

/// Whether what is in this syntax can be written in a native one.
pub(super) fn can_be_native(syntax: &str) -> bool {
    NATIVE.contains(&syntax) || DECODED.contains(&syntax)
}

/// The whole data set in a native syntax. The archive's gate has bounded what is parsed.
fn rewrite(path: &Path, syntax: &str) -> io::Result<Vec<u8>> {
    let target = TransferSyntaxRegistry
        .get(syntax)
        .ok_or_else(|| io::Error::other("transfer syntax is not in the registry"))?;
    let mut object = dicom_object::open_file(path).map_err(io::Error::other)?;
    if !NATIVE.contains(&object.meta().transfer_syntax()) {
        object.transcode(target).map_err(io::Error::other)?;
    }
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, target).map_err(io::Error::other)?;
    Ok(bytes)
}

/// A data set on its way out.
pub(super) enum DataSet {
    File { file: tokio::fs::File, left: u64 },
    Memory { bytes: Vec<u8>, sent: usize },
}

impl DataSet {
    /// The next at most `max` bytes, and whether they are the last.
    pub(super) async fn next(&mut self, max: usize) -> io::Result<(Vec<u8>, bool)> {
        match self {
            Self::File { file, left } => {
                let count = usize::try_from(*left).unwrap_or(max).min(max);
                let mut piece = vec![0; count];
                file.read_exact(&mut piece).await?;
                *left -= count as u64;
                Ok((piece, *left == 0))
            }
            Self::Memory { bytes, sent } => {
                let end = bytes.len().min(*sent + max);
                let piece = bytes[*sent..end].to_vec();
                *sent = end;
                Ok((piece, end == bytes.len()))
            }
        }
    }
}
