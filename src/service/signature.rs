//! A name under a result, given on the pages: of the text of `results.json`, by its hash. Another result of the
//! same cycle is unsigned again.

use super::job::results_note;
use crate::archive::{Archive, ArchiveError};
use crate::config::credentials::sha256_hex;
use crate::report::SignedResult;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub cycle: u32,
    pub by: String,
    pub at: Timestamp,
    /// Of the text of `results.json`.
    pub sha256: String,
}

/// Note of the archive that holds the signature of a cycle's result.
pub fn note_name(course: &str, cycle: u32) -> String {
    format!("signature/{course}/{cycle}")
}

/// The signature of this very text, where there is one.
pub fn of_text(
    archive: &dyn Archive,
    course: &str,
    cycle: u32,
    text: &str,
) -> Result<Option<Signature>, ArchiveError> {
    let note = archive.note(&note_name(course, cycle))?;
    let signature: Option<Signature> = note.and_then(|note| serde_json::from_str(&note).ok());
    Ok(signature.filter(|signature| signature.sha256 == sha256_hex(text.as_bytes())))
}

/// Signatures of the newest results of these cycles, for a later cycle's report.
pub fn of_cycles(
    archive: &dyn Archive,
    course: &str,
    cycles: impl Iterator<Item = u32>,
) -> Result<Vec<SignedResult>, ArchiveError> {
    let mut signed = Vec::new();
    for cycle in cycles {
        let Some(text) = archive.note(&results_note(course, cycle))? else { continue };
        let signature = of_text(archive, course, cycle, &text)?;
        signed.extend(signature.map(|one| SignedResult { cycle, by: one.by, at: one.at }));
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::LocalArchive;
    use crate::config::NodeConfig;
    use jiff::tz::TimeZone;

    #[test]
    fn only_the_newest_result_of_a_cycle_is_signed_and_another_text_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut storage = NodeConfig::default().storage;
        storage.directory = folder.path().to_owned();
        let archive = LocalArchive::open(&storage, TimeZone::UTC).unwrap();
        let at: Timestamp = "2026-02-10T08:30:00Z".parse().unwrap();
        let sign = |cycle: u32, text: &str| {
            let sha256 = sha256_hex(text.as_bytes());
            let one = Signature { cycle, by: "physicist".into(), at, sha256 };
            let note = serde_json::to_string(&one).unwrap();
            archive.put_note(&note_name("c", cycle), &note).unwrap();
        };
        let of = |cycles: std::ops::Range<u32>| of_cycles(&archive, "c", cycles).unwrap();
        archive.put_note(&results_note("c", 1), "first").unwrap();
        archive.put_note(&results_note("c", 2), "second").unwrap();
        sign(1, "first");
        sign(2, "another");
        let signed = SignedResult { cycle: 1, by: "physicist".into(), at };
        assert_eq!(of(1..4), std::slice::from_ref(&signed));
        // A revision is unsigned until somebody looks at it.
        archive.put_note(&results_note("c", 1), "revised").unwrap();
        assert_eq!(of(1..4), []);
        assert!(of_text(&archive, "c", 1, "first").unwrap().is_some());
    }
}
