//! What an association transferred, for the audit trail: one line a study, as PS3.15 A.5.3.7
//! ("DICOM Instances Transferred") has it. Which instance came when and from whom is in the
//! archive's index; one audit transaction an instance would double the cost of receiving.

use crate::archive::{Archive, AuditEvent, Receipt};
use crate::dicom::Uid;
use crate::node::command::status;
use crate::node::serve::audit;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Studies after which lines are written before the association ends.
const MAX_STUDIES: usize = 64;

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    stored: u64,
    duplicate: u64,
    conflict: u64,
}

pub(in crate::node) struct Tally {
    actor: String,
    archive: Arc<dyn Archive>,
    by_study: BTreeMap<Uid, Counts>,
    refused_by_status: BTreeMap<u16, u64>,
}

impl Tally {
    pub(in crate::node) fn new(actor: String, archive: Arc<dyn Archive>) -> Self {
        Self { actor, archive, by_study: BTreeMap::new(), refused_by_status: BTreeMap::new() }
    }

    /// Counts a receipt and gives the status and comment that it means for the sender.
    pub(in crate::node) fn received(&mut self, receipt: Receipt) -> (u16, Option<String>) {
        let instance = match &receipt {
            Receipt::Stored(instance) | Receipt::Duplicate(instance) => instance,
            Receipt::Conflict { kept, .. } => kept,
        };
        let counts = self.by_study.entry(instance.header.study.clone()).or_default();
        match receipt {
            Receipt::Stored(_) => {
                counts.stored += 1;
                (status::SUCCESS, None)
            }
            Receipt::Duplicate(_) => {
                counts.duplicate += 1;
                (status::SUCCESS, None)
            }
            Receipt::Conflict { .. } => {
                counts.conflict += 1;
                let comment = "other content is kept under this SOP Instance UID";
                (status::DUPLICATE_SOP_INSTANCE, Some(comment.to_owned()))
            }
        }
    }

    pub(in crate::node) fn refused(&mut self, status: u16) {
        *self.refused_by_status.entry(status).or_default() += 1;
    }

    /// Keeps the tally of an association that sends study after study bounded.
    pub(in crate::node) async fn write_out_if_long(&mut self) {
        if self.by_study.len() >= MAX_STUDIES {
            self.write_out().await;
        }
    }

    pub(in crate::node) async fn write_out(&mut self) {
        let mut events = Vec::new();
        for (study, counts) in std::mem::take(&mut self.by_study) {
            let Counts { stored, duplicate, conflict } = counts;
            let outcome = format!("stored {stored}, duplicate {duplicate}, conflict {conflict}");
            events.push(self.event("instances-stored", Some(study.to_string()), outcome));
        }
        for (status, count) in std::mem::take(&mut self.refused_by_status) {
            let outcome = format!("status {status:04X} given {count} times");
            events.push(self.event("instances-refused", None, outcome));
        }
        audit(&self.archive, events).await;
    }

    fn event(&self, event: &str, object: Option<String>, outcome: String) -> AuditEvent {
        AuditEvent {
            at: Timestamp::now(),
            event: event.to_owned(),
            actor: self.actor.clone(),
            object,
            outcome,
        }
    }
}
