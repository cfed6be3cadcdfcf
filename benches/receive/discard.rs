//! An archive that keeps nothing: what is left is the cost of the protocol.

use grayd::archive::*;
use grayd::dicom::{InstanceHeader, PatientIdentity, Uid};
use jiff::Timestamp;
use std::path::PathBuf;

pub struct Discard;

struct Discarding {
    arrival: Arrival,
    bytes: u64,
}

impl Incoming for Discarding {
    fn write(&mut self, data: &[u8]) -> Result<(), ArchiveError> {
        self.bytes += data.len() as u64;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Receipt, ArchiveError> {
        let Arrival { sop_class, sop_instance, transfer_syntax, calling_ae } = self.arrival;
        let header = InstanceHeader {
            study: sop_instance.clone(),
            series: sop_instance.clone(),
            sop_class,
            sop_instance,
            transfer_syntax,
            patient: PatientIdentity::default(),
            modality: String::new(),
            image_type: Vec::new(),
            series_description: None,
            series_number: None,
            instance_number: None,
            accession_number: None,
            study_date: None,
            frame_of_reference: None,
            acquired: None,
            frames: 1,
            rows: None,
            columns: None,
            declared_slices: None,
            declared_time_slices: None,
            slice_position_mm: None,
            manufacturer: None,
            model: None,
            station_name: None,
            radionuclide: None,
            referenced_series: Vec::new(),
            series_tags: Default::default(),
        };
        Ok(Receipt::Stored(Box::new(Instance {
            header,
            sha256: String::new(),
            bytes: self.bytes,
            received: Timestamp::now(),
            source: calling_ae,
        })))
    }
}

fn nothing<T>() -> Result<T, ArchiveError> {
    Err(ArchiveError::NotFound("such thing"))
}

impl Archive for Discard {
    fn instance_limit_bytes(&self) -> u64 {
        u64::MAX
    }
    fn receive(&self, arrival: Arrival) -> Result<Box<dyn Incoming>, ArchiveError> {
        Ok(Box::new(Discarding { arrival, bytes: 0 }))
    }
    fn audit(&self, _: AuditEvent) -> Result<(), ArchiveError> {
        Ok(())
    }
    fn instances(&self, _: &InstanceFilter) -> Result<Vec<Instance>, ArchiveError> {
        nothing()
    }
    fn path(&self, _: &Uid) -> Result<PathBuf, ArchiveError> {
        nothing()
    }
    fn delete(&self, _: &Uid, _: &[Uid], _: &str) -> Result<u64, ArchiveError> {
        nothing()
    }
    fn space(&self) -> Result<Space, ArchiveError> {
        nothing()
    }
    fn scrub(&self, _: Option<&Uid>, _: u32) -> Result<Scrubbed, ArchiveError> {
        nothing()
    }
    fn verify(&self, _: &Uid) -> Result<bool, ArchiveError> {
        nothing()
    }
    fn enqueue(&self, _: &str, _: &str, _: &str) -> Result<(i64, bool), ArchiveError> {
        nothing()
    }
    fn lease(&self, _: &str, _: u32) -> Result<Option<Job>, ArchiveError> {
        nothing()
    }
    fn heartbeat(&self, _: i64, _: &str, _: u32) -> Result<bool, ArchiveError> {
        nothing()
    }
    fn finish(&self, _: i64, _: &str, _: JobEnd, _: u32) -> Result<(), ArchiveError> {
        nothing()
    }
    fn jobs(&self, _: u32) -> Result<Vec<Job>, ArchiveError> {
        nothing()
    }
    fn jobs_of(&self, _: &str, _: u32) -> Result<Vec<Job>, ArchiveError> {
        nothing()
    }
    fn job_results(&self, _: i64) -> Result<Vec<Uid>, ArchiveError> {
        nothing()
    }
    fn deliver(&self, _: &[Uid], _: &str) -> Result<(), ArchiveError> {
        Ok(())
    }
    fn due_deliveries(&self, _: Timestamp, _: u32) -> Result<Vec<Delivery>, ArchiveError> {
        nothing()
    }
    fn finish_delivery(&self, _: i64, _: DeliveryEnd) -> Result<(), ArchiveError> {
        nothing()
    }
    fn deliveries(&self, _: u32) -> Result<Vec<Delivery>, ArchiveError> {
        nothing()
    }
    fn due_commitments(
        &self,
        _: &str,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<Delivery>, ArchiveError> {
        nothing()
    }
    fn in_transaction(&self, _: &Uid) -> Result<Vec<Delivery>, ArchiveError> {
        nothing()
    }
    fn step_commitments(&self, _: &[(i64, CommitmentStep)]) -> Result<(), ArchiveError> {
        nothing()
    }
    fn due_announcements(&self, _: Timestamp, _: u32) -> Result<Vec<Announcement>, ArchiveError> {
        nothing()
    }
    fn announced(&self, _: &Announcement) -> Result<Vec<Uid>, ArchiveError> {
        nothing()
    }
    fn finish_announcement(&self, _: i64, _: DeliveryEnd) -> Result<(), ArchiveError> {
        nothing()
    }
    fn announcements(&self, _: u32) -> Result<Vec<Announcement>, ArchiveError> {
        nothing()
    }
    fn audit_trail(&self, _: u32) -> Result<Vec<AuditEvent>, ArchiveError> {
        nothing()
    }
    fn audit_after(&self, _: i64, _: u32) -> Result<Vec<(i64, AuditEvent)>, ArchiveError> {
        nothing()
    }
    fn put_note(&self, _: &str, _: &str) -> Result<(), ArchiveError> {
        nothing()
    }
    fn note(&self, _: &str) -> Result<Option<String>, ArchiveError> {
        nothing()
    }
}
