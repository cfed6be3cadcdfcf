//! From instances in the archive to work: which series is complete, which course, cycle and time
//! point it is, what can be computed and what waits for what.
//!
//! No socket, file or clock: [`decide`] looks at everything the archive holds, the plans and an
//! instant, and says everything anew. The same instances give the same decision, in whatever
//! order they came; a later instance changes a job's key and so makes a new revision.

mod companion;
mod completion;
mod cycle;
mod series;

pub use series::{Series, SeriesKind};

use crate::archive::Instance;
use crate::config::Plan;
use crate::dicom::Uid;
use crate::quantity::Warning;
use crate::report::Completeness;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What peers sent; the node's own results are none of it.
    pub instances: &'a [Instance],
    pub plans: &'a [Plan],
    pub now: Timestamp,
    /// Quiet time after which a series counts as complete, s.
    pub settle_seconds: u32,
}

/// Everything that follows from a [`View`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// One of every course, in the order of plans.
    pub courses: Vec<CourseState>,
    /// Ordered by study and series.
    pub waiting: Vec<Waiting>,
    /// What is to be computed, ordered by course and cycle.
    pub work: Vec<Work>,
    /// CTs that are to be segmented elsewhere, ordered by course and cycle.
    pub requests: Vec<RegionRequest>,
    /// When a quiet time runs out and a look will find more.
    pub look_again: Option<Timestamp>,
}

/// Something that waits: why, and what would end it. `patient_id` is for pages, never for logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Absent where a cycle as a whole waits.
    pub series: Option<Uid>,
    pub study: Option<Uid>,
    pub course: Option<String>,
    pub cycle: Option<u32>,
    pub modality: String,
    pub description: String,
    pub patient_id: String,
    pub instances: usize,
    pub why: Why,
    /// What is so.
    pub reason: String,
    /// What would change it.
    pub supply: String,
}

/// The reason as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    Settling,
    InstancesMissing,
    TwoPatients,
    IdentityContradiction,
    UnknownPatient,
    NotUsable,
    NoAcquisitionTime,
    AcquiredInFuture,
    NuclideDiffers,
    RulesDiffer,
    OutsideCycles,
    Ambiguous,
    TimePointsMissing,
    RegionsMissing,
    /// What is to be fetched from a peer did not come.
    PriorsMissing,
}

/// A course as pages show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CourseState {
    pub course: String,
    /// For pages, never for logs.
    pub patient_id: String,
    pub protocol: String,
    pub radiopharmaceutical: String,
    pub cycles: Vec<CycleState>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CycleState {
    pub number: u32,
    pub administered_at: Timestamp,
    pub administered_mbq: f64,
    /// Series and beginning of acquisition, in the order of time.
    pub time_points: Vec<TimePointState>,
    pub time_points_wanted: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimePointState {
    pub series: Uid,
    pub acquired: Timestamp,
    pub hours: f64,
}

/// One computation that is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub course: String,
    pub cycle: u32,
    pub completeness: Completeness,
    /// Ordered by role, series and instance.
    pub inputs: Vec<Input>,
    /// What intake chose among several, for the result's warnings.
    pub notes: Vec<Warning>,
}

/// A CT on which a peer is to draw regions. Asked for again at every look until they are there: who acts
/// on it sends each object once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionRequest {
    pub course: String,
    pub cycle: u32,
    /// Name of the peer, as the plan or the protocol has it.
    pub peer: String,
    pub objects: Vec<Uid>,
}

/// An instance and what it is to the computation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    pub role: Role,
    pub series: Uid,
    pub sop_instance: Uid,
    pub sha256: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// SPECT or PET: one series a time point.
    Emission,
    Ct,
    StructureSet,
    Segmentation,
    Registration,
    RealWorldValueMapping,
    /// RRDSR: what was administered.
    Administration,
    /// A source seen through the patient: how much views are attenuated.
    Transmission,
}

/// Decides everything anew; see the module's description.
pub fn decide(view: &View<'_>) -> Decision {
    let all = series::group(view.instances);
    let mut decision = Decision::default();
    let sound = series::without_mixed_studies(&all, &mut decision.waiting);
    for plan in view.plans {
        cycle::decide_course(plan, &sound, view, &mut decision);
    }
    for series in &sound {
        if series.is_looked_for() && !view.plans.iter().any(|p| p.patient.is(series.patient())) {
            let (reason, supply) = match series.patient().id.as_str() {
                "" => (
                    "it has no Patient ID (0010,0020)",
                    "enter the ID at the sender and send the study again under new UIDs",
                ),
                _ => (
                    "no plan is for this patient",
                    "write a plan with this Patient ID (and issuer), or correct the ID at the \
                     sender and send the study again under new UIDs",
                ),
            };
            decision.waiting.push(series.waiting(Why::UnknownPatient, reason, supply));
        }
    }
    forget_what_another_course_took(&mut decision);
    decision.waiting.sort_by(|a, b| {
        (&a.study, &a.series, &a.course, a.cycle).cmp(&(&b.study, &b.series, &b.course, b.cycle))
    });
    decision.waiting.dedup();
    decision.requests.sort_by(|a, b| (&a.course, a.cycle).cmp(&(&b.course, b.cycle)));
    decision.work.sort_by(|a, b| (&a.course, a.cycle).cmp(&(&b.course, b.cycle)));
    decision
}

/// A series that is a time point of one course need not fit the patient's others.
fn forget_what_another_course_took(decision: &mut Decision) {
    let taken: std::collections::BTreeSet<&Uid> = decision
        .courses
        .iter()
        .flat_map(|course| &course.cycles)
        .flat_map(|cycle| cycle.time_points.iter().map(|point| &point.series))
        .collect();
    decision.waiting.retain(|waiting| {
        let of_others = [Why::NuclideDiffers, Why::RulesDiffer, Why::OutsideCycles];
        let is_taken = waiting.series.as_ref().is_some_and(|series| taken.contains(series));
        !(is_taken && of_others.contains(&waiting.why))
    });
}

#[cfg(test)]
mod tests;
