//! What a job is, from intake through the queue to the worker process.

use crate::config::destination::Destination;
use crate::config::plan::Table;
use crate::config::{CameraSettings, Fault, NodeConfig, Plan, Protocol, Protocols, SiteSettings};
use crate::dicom::Uid;
use crate::intake::Work;
use crate::pipeline::Request;
use crate::report::{DoseBits, ReportOptions, SignedResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Name and version of this program, part of every job's key.
pub const SOFTWARE: &str = concat!("grayd ", env!("CARGO_PKG_VERSION"));

/// A job as it stands in the queue: everything that steers the computation, no path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    pub software: String,
    pub work: Work,
    /// Name of the plan's file, for messages.
    pub plan_file: String,
    pub plan_text: String,
    /// The table beside the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_table: Option<Table>,
    pub protocol_text: String,
    pub cameras: Vec<CameraSettings>,
    /// IANA zone of times without an offset.
    pub time_zone: String,
    /// Bits per voxel of RT Dose.
    pub dose_bits: u8,
    /// An RT Structure Set beside the SEG.
    #[serde(default)]
    pub structure_set: bool,
    /// The reports for dose registries.
    #[serde(default)]
    pub dose_reports: bool,
    /// Results of cycles before that were signed on the pages when the job was made. For the report, so no part
    /// of the key: a signature computes nothing anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_results: Vec<SignedResult>,
}

/// What a worker reads from its standard input, one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    pub spec: JobSpec,
    /// Where each input can be read.
    pub files: BTreeMap<Uid, PathBuf>,
    /// Folder that results go to; it exists and is empty.
    pub output: PathBuf,
    /// SR of the result that this one supersedes.
    pub predecessor: Option<Uid>,
    /// `results.json` of the course's other cycles, for its ledger.
    #[serde(default)]
    pub earlier: Vec<serde_json::Value>,
    /// When the job was made; a second attempt writes the same bytes as the first would have.
    pub computed_at: Timestamp,
    /// Address space of the worker, MiB.
    pub memory_mb: u64,
}

/// One line of a worker's standard output, JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerLine {
    Progress(Progress),
    Done(Outcome),
    Parked { reason: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f64,
    /// What is being done: `dose`.
    pub stage: String,
}

/// What a computation left in its output folder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Names of the DICOM files, in the order they are to be sent.
    pub objects: Vec<String>,
    /// Name of `results.json`.
    pub results: String,
}

/// Why a worker has no results.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Needs a person; says what to supply.
    #[error("{0}")]
    Parked(String),
    /// May succeed another time.
    #[error("{0}")]
    Failed(String),
}

/// Exit status of a worker that parks its job.
pub const EXIT_PARKED: u8 = 3;

impl JobSpec {
    pub fn new(work: Work, plan: &Plan, protocol: &Protocol, config: &NodeConfig) -> Self {
        Self {
            software: SOFTWARE.to_owned(),
            work,
            plan_file: plan.file.clone(),
            plan_text: plan.text.clone(),
            plan_table: plan.table.clone(),
            protocol_text: protocol.text.clone(),
            cameras: config.cameras.clone(),
            time_zone: config.site.time_zone.clone(),
            dose_bits: config.results.dose_bits,
            structure_set: config.results.structure_set,
            dose_reports: config.results.send_to.iter().any(Destination::is_registry),
            signed_results: Vec::new(),
        }
    }

    /// Plan and protocol as typed values; the worker reads them as the node did.
    pub fn plan(&self) -> Result<(Plan, Protocol), Vec<Fault>> {
        let protocol = Protocol::read("protocol", &self.protocol_text, true)?;
        let protocols = Protocols::of(protocol.clone());
        let (file, table) = (&self.plan_file, self.plan_table.clone());
        Ok((Plan::with_table(file, &self.plan_text, table, &protocols)?, protocol))
    }

    /// What the pipeline is asked to do.
    pub fn request(
        &self,
        inputs: Vec<PathBuf>,
        predecessor: Option<Uid>,
        computed_at: Timestamp,
    ) -> Result<Request, Vec<Fault>> {
        let (plan, protocol) = self.plan()?;
        let dose_bits = if self.dose_bits == 16 { DoseBits::Sixteen } else { DoseBits::ThirtyTwo };
        Ok(Request {
            plan,
            protocol_version: protocol.version,
            cycle: self.work.cycle,
            completeness: self.work.completeness,
            predecessor,
            inputs,
            earlier: Vec::new(),
            notes: self.work.notes.clone(),
            signed_results: self.signed_results.clone(),
            cameras: self.cameras.clone(),
            zone: SiteSettings { time_zone: self.time_zone.clone() }.zone(),
            report: ReportOptions {
                dose_bits,
                structure_set: self.structure_set,
                dose_reports: self.dose_reports,
                ..ReportOptions::default()
            },
            computed_at,
        })
    }

    /// Same key, same result: course, cycle, inputs, everything that steers, software. What is
    /// said about other cycles in the plan is no part of it.
    pub fn key(&self, plan: &Plan) -> String {
        let cycle = plan.cycle(self.work.cycle);
        let steering = serde_json::json!({
            "software": self.software,
            "work": self.work,
            "patient": [plan.patient.id, plan.patient.issuer],
            "radiopharmaceutical": plan.radiopharmaceutical,
            "nuclide": plan.nuclide.to_string(),
            "facts": plan.patient_facts,
            "facts_on": plan.facts_on,
            "measured": plan.measured,
            "administered": cycle,
            "parameters": plan.parameters,
            "protocol": self.protocol_text,
            "cameras": self.cameras,
            "time_zone": self.time_zone,
            "dose_bits": self.dose_bits,
            "structure_set": self.structure_set,
            "dose_reports": self.dose_reports,
        });
        let digest = Sha256::digest(steering.to_string().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Note of the archive that holds `results.json` of a cycle's newest result.
pub fn results_note(course: &str, cycle: u32) -> String {
    format!("results/{course}/{cycle}")
}
