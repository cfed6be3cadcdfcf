//! Steps of the worklist that ask for absorbed dose: taken once the course is known, followed while its
//! job runs, and ended with references to the results.
//!
//! A step orders nothing by itself: a course is computed when its images and its plan are there, with
//! or without one. The step is the requester's view of that.

use super::job::JobSpec;
use super::runner::LOOK_BACK;
use super::{Found, Service, until_shutdown};
use crate::archive::{Archive, ArchiveError, InstanceFilter, Job, JobState};
use crate::dicom::Uid;
use crate::dicom::write::{Code, DataSet};
use crate::intake::CourseState;
use crate::report::Completeness;
use crate::worklist::order::{COMPUTE, Order};
use crate::worklist::{State, Step, Worklist, WorklistError, date_time};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often steps are looked at.
const POLL: Duration = Duration::from_secs(1);

/// Where a step's course is.
enum Standing {
    /// No such course yet; a plan may come.
    Unknown,
    /// It will never be done so, and why.
    Impossible(&'static str),
    /// Fraction done and what is being done or waited for.
    Underway(f64, String),
    Failed(String),
    Done(Job),
}

/// Runs until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: tokio::sync::watch::Receiver<bool>) {
    let mut told: BTreeMap<Uid, String> = BTreeMap::new();
    loop {
        let owned = service.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let looked = look(&owned, &mut told);
            (told, looked)
        });
        told = match looked.await {
            Ok((told, Ok(()))) => told,
            Ok((told, Err(error))) => {
                tracing::error!(%error, "the worklist cannot be followed; tried again");
                told
            }
            Err(error) => {
                tracing::error!(%error, "following the worklist failed; it starts anew");
                BTreeMap::new()
            }
        };
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => break,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Looks at every open step of ours once; `told` is what each last heard of its progress.
fn look(service: &Service, told: &mut BTreeMap<Uid, String>) -> Result<(), WorklistError> {
    let worklist = Worklist::of(&*service.archive);
    let steps = worklist.open_steps()?;
    let is_for_us = |step: &&Step| step.state == State::Scheduled || step.is_ours();
    let orders = steps.iter().filter(is_for_us).filter_map(|step| Some((step, Order::of(step)?)));
    let mut open: BTreeSet<Uid> = BTreeSet::new();
    let mut board: Option<Found> = None;
    for (step, order) in orders {
        open.insert(step.uid.clone());
        let standing = match order {
            Ok(order) => {
                // Taken once for all steps, and not at all where there are none.
                let found = board.get_or_insert_with(|| service.board.get());
                standing(service, found, &order)?
            }
            Err(why) => Standing::Impossible(why),
        };
        match advance(service, &worklist, step, standing, told) {
            Ok(()) => {}
            // Called off or taken meanwhile, by whoever: then it is no longer ours to change.
            Err(WorklistError::Refused(refusal)) if refusal.is_too_late() => {}
            Err(WorklistError::Refused(refusal)) => {
                // Said once, not at every look.
                let line = format!("refused: {}", refusal.meaning);
                if told.get(&step.uid) != Some(&line) {
                    let why = refusal.meaning;
                    tracing::warn!(step = %step.uid, why, "a step of the worklist is left as it is");
                    told.insert(step.uid.clone(), line);
                }
            }
            Err(error) => return Err(error),
        }
    }
    told.retain(|uid, _| open.contains(uid));
    Ok(())
}

fn advance(
    service: &Service,
    worklist: &Worklist<'_>,
    step: &Step,
    standing: Standing,
    told: &mut BTreeMap<Uid, String>,
) -> Result<(), WorklistError> {
    let (uid, now) = (&step.uid, Timestamp::now());
    if matches!(standing, Standing::Unknown) {
        return Ok(());
    }
    if step.state == State::Scheduled {
        worklist.take(uid, now)?;
    }
    match standing {
        Standing::Unknown => Ok(()),
        Standing::Impossible(why) => worklist.end(uid, now, Err(why)),
        Standing::Failed(why) => worklist.end(uid, now, Err(&why)),
        Standing::Underway(fraction, what) => {
            let line = format!("{:.0} {what}", fraction * 100.0);
            if told.get(uid) != Some(&line) {
                worklist.tell(uid, now, |step| step.tell_progress(fraction * 100.0, &what))?;
                told.insert(uid.clone(), line);
            }
            Ok(())
        }
        Standing::Done(job) => {
            let own_ae = &service.loaded.config.node.ae_title;
            let performed = performed(&*service.archive, &job, own_ae)?;
            worklist.end(uid, now, Ok(performed))
        }
    }
}

fn standing(service: &Service, found: &Found, order: &Order) -> Result<Standing, ArchiveError> {
    let course = match course_of(order, &found.decision.courses) {
        Ok(Some(course)) => course,
        Ok(None) => return Ok(Standing::Unknown),
        Err(why) => return Ok(Standing::Impossible(why)),
    };
    let last = course.cycles.iter().map(|cycle| cycle.number).max();
    let Some(cycle) = order.cycle.or(last) else { return Ok(Standing::Unknown) };
    let jobs = service.archive.jobs_of(&course.course, LOOK_BACK)?;
    let mut jobs = jobs.into_iter().filter_map(|job| {
        let spec: JobSpec = serde_json::from_str(&job.spec).ok()?;
        (spec.work.cycle == cycle).then_some((job, spec))
    });
    let waits = found.decision.waiting.iter().find(|waiting| {
        waiting.course.as_deref() == Some(&course.course)
            && waiting.cycle.is_none_or(|waiting| waiting == cycle)
    });
    let waits = waits.map(|waiting| format!("{}; {}", waiting.reason, waiting.supply));
    // The newest counts: an older one was made from less.
    let Some((job, spec)) = jobs.next() else {
        let what = waits.unwrap_or_else(|| "waits for images".to_owned());
        return Ok(Standing::Underway(0.0, what));
    };
    let used: BTreeSet<&Uid> = spec.work.inputs.iter().map(|input| &input.sop_instance).collect();
    if let Some(missing) = order.instances.iter().find(|uid| !used.contains(uid)) {
        let what = format!("instance {missing} of the input is not used by the course yet");
        return Ok(Standing::Underway(0.0, what));
    }
    let reason = job.reason.clone().unwrap_or_default();
    Ok(match job.state {
        JobState::Queued => Standing::Underway(0.0, "queued".to_owned()),
        JobState::Running => match service.progress().get(&job.id) {
            Some(at) => Standing::Underway(at.fraction.clamp(0.0, 1.0), at.stage.clone()),
            None => Standing::Underway(0.0, "begun".to_owned()),
        },
        JobState::Parked => Standing::Underway(0.0, format!("needs a person: {reason}")),
        JobState::Failed => Standing::Failed(reason),
        JobState::Done if spec.work.completeness == Completeness::Provisional => {
            let what = waits.unwrap_or_else(|| "waits for more time points".to_owned());
            let fraction = imaged(course, cycle);
            Standing::Underway(fraction, format!("a provisional result is there; {what}"))
        }
        JobState::Done => Standing::Done(job),
    })
}

/// Part of a cycle's time points that are there; 0 where that is not known.
fn imaged(course: &CourseState, cycle: u32) -> f64 {
    let state = course.cycles.iter().find(|state| state.number == cycle);
    let state = state.filter(|state| state.time_points_wanted > 0);
    state.map_or(0.0, |state| {
        let part = state.time_points.len() as f64 / f64::from(state.time_points_wanted);
        part.min(1.0)
    })
}

/// The course that a step means, if there is one.
fn course_of<'c>(
    order: &Order,
    courses: &'c [CourseState],
) -> Result<Option<&'c CourseState>, &'static str> {
    let mut of_patient = courses.iter().filter(|course| course.patient_id == order.patient_id);
    match &order.course {
        Some(name) => match courses.iter().find(|course| course.course == *name) {
            Some(course) if course.patient_id != order.patient_id => {
                Err("the course is another patient's")
            }
            found => Ok(found),
        },
        None => match (of_patient.next(), of_patient.next()) {
            (Some(_), Some(_)) => {
                Err("the patient has several courses; name the one that is meant")
            }
            (found, _) => Ok(found),
        },
    }
}

const STATION: Code = Code::new("GRAYD", "99RPT", "grayd");

/// The item of the performed procedure: when, by whom, and what came of it.
fn performed(
    archive: &dyn Archive,
    job: &Job,
    own_ae: &str,
) -> Result<InMemDicomObject, ArchiveError> {
    // One item a series, as a reference names one.
    let mut series: BTreeMap<(Uid, Uid), Vec<DataSet>> = BTreeMap::new();
    for uid in archive.job_results(job.id)? {
        let filter = InstanceFilter { sop_instance: Some(uid), ..InstanceFilter::default() };
        for instance in archive.instances(&filter)? {
            let header = instance.header;
            let reference = DataSet::new()
                .uid(tags::REFERENCED_SOP_CLASS_UID, &header.sop_class)
                .uid(tags::REFERENCED_SOP_INSTANCE_UID, &header.sop_instance);
            series.entry((header.study, header.series)).or_default().push(reference);
        }
    }
    let retrieval = || DataSet::new().text(tags::RETRIEVE_AE_TITLE, VR::AE, own_ae);
    let outputs = series.into_iter().map(|((study, series), references)| {
        DataSet::new()
            .text(tags::TYPE_OF_INSTANCES, VR::CS, "DICOM")
            .uid(tags::STUDY_INSTANCE_UID, &study)
            .uid(tags::SERIES_INSTANCE_UID, &series)
            .sequence(tags::REFERENCED_SOP_SEQUENCE, references)
            .sequence(tags::DICOM_RETRIEVAL_SEQUENCE, vec![retrieval()])
    });
    let performed = DataSet::new()
        .code(tags::PERFORMED_STATION_NAME_CODE_SEQUENCE, &STATION)
        .code(tags::PERFORMED_WORKITEM_CODE_SEQUENCE, &COMPUTE)
        .text(tags::PERFORMED_PROCEDURE_STEP_START_DATE_TIME, VR::DT, &date_time(job.created))
        .text(tags::PERFORMED_PROCEDURE_STEP_END_DATE_TIME, VR::DT, &date_time(job.changed))
        .sequence(tags::OUTPUT_INFORMATION_SEQUENCE, outputs.collect());
    Ok(performed.into_inner())
}
