//! A worker's files into the archive, by the same door as everybody's.

use crate::archive::{Archive, Arrival, Receipt};
use crate::dicom::Uid;
use dicom_object::meta::FileMetaTable;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// AE title under which the node stores its own results.
pub const OWN_AE: &str = "grayd";

/// Bytes that are handed over at once.
const CHUNK: usize = 1 << 18;

/// The most that the file meta information of our own files can take, bytes.
const META_MAX: u64 = 1 << 16;

/// Stores one Part 10 file; the UID it has there. The same object again is fine.
pub fn store_file(archive: &dyn Archive, path: &Path) -> Result<Uid, String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        format!("result {} {what}: {why}", path.file_name().unwrap_or_default().to_string_lossy())
    };
    let file = File::open(path).map_err(|e| failed("cannot be opened", &e))?;
    let mut file = BufReader::with_capacity(CHUNK, file);
    let arrival = read_meta(&mut file).map_err(|e| failed("is not understood", &e))?;
    let uid = arrival.sop_instance.clone();
    let mut incoming = archive.receive(arrival).map_err(|e| failed("is not taken", &e))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk).map_err(|e| failed("cannot be read", &e))?;
        if count == 0 {
            break;
        }
        incoming.write(&chunk[..count]).map_err(|e| failed("is not taken", &e))?;
    }
    match incoming.commit().map_err(|e| failed("is not taken", &e))? {
        Receipt::Stored(_) | Receipt::Duplicate(_) => Ok(uid),
        // UIDs are derived from everything that steers a result: other bytes are a fault of ours.
        Receipt::Conflict { .. } => {
            Err(failed("differs", &"an object with this UID and other content is in the archive"))
        }
    }
}

fn read_meta(file: &mut impl Read) -> Result<Arrival, String> {
    let mut preamble = [0; 128];
    file.read_exact(&mut preamble).map_err(|error| error.to_string())?;
    // The reader takes whole elements only, so what follows the meta group stays in `file`.
    let meta = FileMetaTable::from_reader(file.take(META_MAX)).map_err(|e| e.to_string())?;
    let uid = |text: &str| Uid::parse(text).map_err(|error| error.to_string());
    Ok(Arrival {
        sop_class: uid(meta.media_storage_sop_class_uid())?,
        sop_instance: uid(meta.media_storage_sop_instance_uid())?,
        transfer_syntax: uid(meta.transfer_syntax())?,
        calling_ae: OWN_AE.to_owned(),
    })
}
