//! An archive in memory that keeps the same promises to its callers as the real one, and can be
//! told to fail.

use grayd::archive::*;
use grayd::dicom::{InstanceHeader, PatientIdentity, Uid};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, (Arrival, Vec<u8>)>>,
    /// Instances that have been begun and neither committed nor dropped.
    open: AtomicUsize,
    /// Something of this archive is not as it was.
    changed: Notify,
}

#[derive(Default)]
pub struct MemoryArchive {
    shared: Arc<Shared>,
    pub audit: Mutex<Vec<AuditEvent>>,
    pub deliveries: Mutex<Vec<Delivery>>,
    pub ends: Mutex<Vec<(i64, DeliveryEnd)>>,
    pub paths: Mutex<BTreeMap<Uid, PathBuf>>,
    /// The next arrivals that are answered "out of space".
    pub full: AtomicI64,
    /// The next commits that panic.
    pub panics: AtomicI64,
}

fn take_one(counter: &AtomicI64) -> bool {
    counter.fetch_sub(1, Ordering::SeqCst) > 0
}

impl MemoryArchive {
    pub fn object(&self, sop_instance: &str) -> Option<Vec<u8>> {
        let objects = self.shared.objects.lock().expect("no test panics in here");
        objects.get(sop_instance).map(|(_, bytes)| bytes.clone())
    }

    pub fn arrival(&self, sop_instance: &str) -> Option<Arrival> {
        let objects = self.shared.objects.lock().expect("no test panics in here");
        objects.get(sop_instance).map(|(arrival, _)| arrival.clone())
    }

    pub fn count(&self) -> usize {
        self.shared.objects.lock().expect("no test panics in here").len()
    }

    /// Waits until nothing half-received is left; how many objects there are then.
    pub async fn settled(&self) -> usize {
        self.wait_open(0).await;
        self.count()
    }

    /// Waits until so many instances are half-received.
    pub async fn wait_open(&self, count: usize) {
        self.wait_until(|archive| archive.shared.open.load(Ordering::SeqCst) == count).await;
    }

    pub fn audited(&self, event: &str) -> Vec<AuditEvent> {
        let lines = self.audit.lock().expect("no test panics in here");
        lines.iter().filter(|line| line.event == event).cloned().collect()
    }
}

struct MemoryIncoming {
    shared: Arc<Shared>,
    arrival: Arrival,
    bytes: Vec<u8>,
    panics: bool,
}

impl Drop for MemoryIncoming {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }
}

impl Incoming for MemoryIncoming {
    fn write(&mut self, data: &[u8]) -> Result<(), ArchiveError> {
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Receipt, ArchiveError> {
        assert!(!self.panics, "told to panic");
        let key = self.arrival.sop_instance.as_str();
        let announced = super::ui(key);
        if !self.bytes.windows(announced.len()).any(|w| w == announced) {
            return Err(ArchiveError::Mismatch("SOP Instance UID (0008,0018)".to_owned()));
        }
        let instance = Box::new(instance_of(&self.arrival, self.bytes.len()));
        let mut objects = self.shared.objects.lock().expect("no test panics in here");
        match objects.get(key) {
            Some((_, kept)) if *kept == self.bytes => Ok(Receipt::Duplicate(instance)),
            Some(_) => Ok(Receipt::Conflict { kept: instance, quarantined_sha256: String::new() }),
            None => {
                let object = (self.arrival.clone(), self.bytes.clone());
                objects.insert(key.to_owned(), object);
                Ok(Receipt::Stored(instance))
            }
        }
    }
}

fn instance_of(arrival: &Arrival, bytes: usize) -> Instance {
    let uid = |text: &str| Uid::parse(text).expect("a UID");
    Instance {
        header: InstanceHeader {
            sop_class: arrival.sop_class.clone(),
            sop_instance: arrival.sop_instance.clone(),
            transfer_syntax: arrival.transfer_syntax.clone(),
            study: uid("1.2.3.1"),
            series: uid("1.2.3.1.1"),
            patient: PatientIdentity::default(),
            modality: "CT".to_owned(),
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
            series_tags: BTreeMap::new(),
        },
        sha256: String::new(),
        bytes: bytes as u64,
        received: Timestamp::UNIX_EPOCH,
        source: arrival.calling_ae.clone(),
    }
}

impl Archive for MemoryArchive {
    fn instance_limit_bytes(&self) -> u64 {
        64 << 20
    }

    fn receive(&self, arrival: Arrival) -> Result<Box<dyn Incoming>, ArchiveError> {
        if take_one(&self.full) {
            return Err(ArchiveError::OutOfSpace { free_bytes: 1, reserve_bytes: 2 });
        }
        self.shared.open.fetch_add(1, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
        Ok(Box::new(MemoryIncoming {
            shared: self.shared.clone(),
            arrival,
            bytes: Vec::new(),
            panics: take_one(&self.panics),
        }))
    }

    fn path(&self, sop_instance: &Uid) -> Result<PathBuf, ArchiveError> {
        let paths = self.paths.lock().expect("no test panics in here");
        paths.get(sop_instance).cloned().ok_or(ArchiveError::NotFound("instance"))
    }

    fn verify(&self, _: &Uid) -> Result<bool, ArchiveError> {
        Ok(true)
    }

    fn deliver(&self, _: &[Uid], _: &str) -> Result<(), ArchiveError> {
        unreachable!("nothing is segmented elsewhere in these tests")
    }

    fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, ArchiveError> {
        let deliveries = self.deliveries.lock().expect("no test panics in here");
        let due = deliveries
            .iter()
            .filter(|d| d.state == DeliveryState::Waiting && d.next_attempt <= now)
            .take(limit as usize);
        Ok(due.cloned().collect())
    }

    fn finish_delivery(&self, id: i64, end: DeliveryEnd) -> Result<(), ArchiveError> {
        let mut deliveries = self.deliveries.lock().expect("no test panics in here");
        let delivery = deliveries.iter_mut().find(|d| d.id == id).expect("a known delivery");
        delivery.attempts += 1;
        match &end {
            DeliveryEnd::Delivered => delivery.state = DeliveryState::Delivered,
            DeliveryEnd::Retry { at, .. } => delivery.next_attempt = *at,
            DeliveryEnd::Parked { .. } => delivery.state = DeliveryState::Parked,
        }
        self.ends.lock().expect("no test panics in here").push((id, end));
        self.shared.changed.notify_waiters();
        Ok(())
    }

    fn audit(&self, event: AuditEvent) -> Result<(), ArchiveError> {
        self.audit.lock().expect("no test panics in here").push(event);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    fn deliveries(&self, _: u32) -> Result<Vec<Delivery>, ArchiveError> {
        Ok(self.deliveries.lock().expect("no test panics in here").clone())
    }

    // What the node never asks for.
    fn delete(&self, _: &Uid, _: &[Uid], _: &str) -> Result<u64, ArchiveError> {
        Err(ArchiveError::NotFound("disk in this test"))
    }
    fn space(&self) -> Result<Space, ArchiveError> {
        Err(ArchiveError::NotFound("disk in this test"))
    }
    fn scrub(&self, _: Option<&Uid>, _: u32) -> Result<Scrubbed, ArchiveError> {
        Err(ArchiveError::NotFound("disk in this test"))
    }
    fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, ArchiveError> {
        let objects = self.shared.objects.lock().expect("no test panics in here");
        let all = objects.values().map(|(arrival, bytes)| instance_of(arrival, bytes.len()));
        let wanted = |instance: &Instance| {
            let uid = filter.sop_instance.as_ref();
            uid.is_none_or(|uid| *uid == instance.header.sop_instance)
        };
        Ok(all.filter(wanted).collect())
    }
    fn enqueue(&self, _: &str, _: &str, _: &str) -> Result<(i64, bool), ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn lease(&self, _: &str, _: u32) -> Result<Option<Job>, ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn heartbeat(&self, _: i64, _: &str, _: u32) -> Result<bool, ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn finish(&self, _: i64, _: &str, _: JobEnd, _: u32) -> Result<(), ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn jobs(&self, _: u32) -> Result<Vec<Job>, ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn jobs_of(&self, _: &str, _: u32) -> Result<Vec<Job>, ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn job_results(&self, _: i64) -> Result<Vec<Uid>, ArchiveError> {
        Err(ArchiveError::NotFound("queue in this test"))
    }
    fn due_commitments(
        &self,
        _: &str,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<Delivery>, ArchiveError> {
        Err(ArchiveError::NotFound("commitments in this test"))
    }
    fn in_transaction(&self, _: &Uid) -> Result<Vec<Delivery>, ArchiveError> {
        Err(ArchiveError::NotFound("commitments in this test"))
    }
    fn step_commitments(&self, _: &[(i64, CommitmentStep)]) -> Result<(), ArchiveError> {
        Err(ArchiveError::NotFound("commitments in this test"))
    }
    fn due_announcements(&self, _: Timestamp, _: u32) -> Result<Vec<Announcement>, ArchiveError> {
        Ok(Vec::new())
    }
    fn announced(&self, _: &Announcement) -> Result<Vec<Uid>, ArchiveError> {
        Err(ArchiveError::NotFound("announcements in this test"))
    }
    fn finish_announcement(&self, _: i64, _: DeliveryEnd) -> Result<(), ArchiveError> {
        Err(ArchiveError::NotFound("announcements in this test"))
    }
    fn announcements(&self, _: u32) -> Result<Vec<Announcement>, ArchiveError> {
        Err(ArchiveError::NotFound("announcements in this test"))
    }
    fn audit_trail(&self, _: u32) -> Result<Vec<AuditEvent>, ArchiveError> {
        Ok(self.audit.lock().expect("no test panics in here").clone())
    }
    fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<(i64, AuditEvent)>, ArchiveError> {
        let lines = self.audit.lock().expect("no test panics in here").clone();
        let numbered = (1..).zip(lines).filter(|(number, _)| *number > after);
        Ok(numbered.take(limit as usize).collect())
    }
    fn put_note(&self, _: &str, _: &str) -> Result<(), ArchiveError> {
        Err(ArchiveError::NotFound("notes in this test"))
    }
    fn note(&self, _: &str) -> Result<Option<String>, ArchiveError> {
        Err(ArchiveError::NotFound("notes in this test"))
    }
}

impl MemoryArchive {
    /// Waits until `is_so` of this archive.
    pub async fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_so(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(super::HANG, wait).await.expect("it comes to be so");
    }
}
