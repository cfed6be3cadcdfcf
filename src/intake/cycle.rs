//! One course: which series are time points of which cycle, and whether they can be computed.

use super::completion::{self, Completion};
use super::{
    CourseState, CycleState, Decision, Input, RegionRequest, Role, Series, SeriesKind,
    TimePointState, View, Waiting, Why, Work, companion,
};
use crate::config::{Cycle, KineticsMethod, Plan, PlanarUse, Rule};
use crate::quantity::Seconds;
use crate::quantity::nuclide::Nuclide;
use crate::report::Completeness;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Clocks of scanners may run ahead of ours by this much; more is a wrong date or time zone.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// Two series whose acquisitions begin closer than this are one visit to the camera.
const SAME_SESSION: SignedDuration = SignedDuration::from_mins(30);

/// Decides everything about one plan.
pub(super) fn decide_course(
    plan: &Plan,
    all: &[Series<'_>],
    view: &View<'_>,
    decision: &mut Decision,
) {
    let course = plan.course_id();
    let own: Vec<&Series<'_>> = all.iter().filter(|s| plan.patient.is(s.patient())).collect();
    let mut matched: Vec<Vec<&Series<'_>>> = vec![Vec::new(); plan.cycles.len()];
    for series in own.iter().filter(|series| series.is_looked_for()) {
        match find_cycle(plan, series, view.now) {
            Ok(index) => matched[index].push(series),
            Err(waiting) => {
                decision.waiting.push(Waiting { course: Some(course.clone()), ..*waiting })
            }
        }
    }
    let mut cycles = Vec::new();
    for (index, cycle) in plan.cycles.iter().enumerate() {
        let mut points = std::mem::take(&mut matched[index]);
        points.sort_by_key(|series| (series.acquired(), series.uid));
        cycles.push(cycle_state(plan, cycle, &points));
        if points.is_empty() {
            continue;
        }
        let attempt =
            Attempt { plan, index, course: &course, points: &points, patient: &own, view };
        match attempt.work(&mut decision.look_again, &mut decision.requests) {
            Ok(work) => decision.work.push(work),
            Err(waiting) => decision.waiting.extend(waiting),
        }
    }
    decision.courses.push(CourseState {
        course,
        patient_id: plan.patient.id.clone(),
        protocol: plan.protocol.clone(),
        radiopharmaceutical: plan.radiopharmaceutical.clone(),
        cycles,
    });
}

/// The nuclides that a plan's images may have, in words.
fn nuclides(plan: &Plan) -> String {
    let mut all: Vec<String> = plan
        .cycles
        .iter()
        .map(|cycle| plan.nuclide_of(cycle.number).to_string())
        .chain(plan.cycles.is_empty().then(|| plan.nuclide.to_string()))
        .collect();
    all.sort();
    all.dedup();
    format!("the plan's {}", all.join(" and "))
}

fn cycle_state(plan: &Plan, cycle: &Cycle, points: &[&Series<'_>]) -> CycleState {
    let time_points = points.iter().filter_map(|series| {
        let acquired = series.acquired()?;
        let hours = hours_between(cycle.administered.at, acquired);
        Some(TimePointState { series: series.uid.clone(), acquired, hours })
    });
    CycleState {
        number: cycle.number,
        administered_at: cycle.administered.at,
        administered_mbq: cycle.administered.activity.mbq(),
        time_points: time_points.collect(),
        time_points_wanted: plan.parameters.imaging.time_points_of(cycle.number),
    }
}

fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    Seconds::new(to.duration_since(from).as_secs_f64()).hours()
}

/// From the administration to the next one of that nuclide or the end of the protocol's window.
fn window(plan: &Plan, index: usize) -> (Timestamp, Timestamp) {
    let begin = plan.cycles[index].administered.at;
    let nuclide = plan.nuclide_of(plan.cycles[index].number);
    let seconds = Seconds::from_hours(plan.parameters.imaging.window_h.value).value();
    // The window is at most 10^4 h (checked with the protocol), far inside an i64.
    let end =
        begin.checked_add(SignedDuration::from_secs(seconds as i64)).unwrap_or(Timestamp::MAX);
    let later = plan.cycles[index + 1..].iter();
    let mut later = later.filter(|cycle| plan.nuclide_of(cycle.number) == nuclide);
    let next = later.next().map(|cycle| cycle.administered.at);
    (begin, next.map_or(end, |next| next.min(end)))
}

/// The cycle whose time point a series is, or why it is none.
fn find_cycle(plan: &Plan, series: &Series<'_>, now: Timestamp) -> Result<usize, Box<Waiting>> {
    let refuse =
        |why, reason: String, supply: &str| Err(Box::new(series.waiting(why, reason, supply)));
    if let SeriesKind::NotEmission(reason, supply) = series.kind {
        return refuse(Why::NotUsable, reason.to_owned(), supply);
    }
    if series.kind == SeriesKind::Planar && plan.parameters.imaging.planar == PlanarUse::None {
        return refuse(
            Why::NotUsable,
            "is planar; the protocol needs a reconstructed volume".to_owned(),
            "send the SPECT as NM RECON TOMO or as PET, or write `settings: imaging: { planar: activity }`",
        );
    }
    let header = &series.first().header;
    let named = header.radionuclide.as_deref().and_then(|text| Nuclide::parse(text).ok());
    // Cycles whose nuclide it may show: all where it names none.
    let shows = |cycle: &Cycle| {
        named.as_ref().is_none_or(|nuclide| plan.nuclide_of(cycle.number) == nuclide)
    };
    let may_be_next = plan.cycles.is_empty() && named.as_ref().is_none_or(|n| *n == plan.nuclide);
    if let Some(nuclide) = &named
        && !may_be_next
        && !plan.cycles.iter().any(shows)
    {
        return refuse(
            Why::NuclideDiffers,
            format!("its nuclide is {nuclide}, {}", nuclides(plan)),
            "correct the plan's radiopharmaceutical if the image is right",
        );
    }
    if let Some(rule) = plan.match_rules.iter().find(|rule| !rule.fits(&header.series_tags)) {
        return refuse(
            Why::RulesDiffer,
            format!("its {} does not fit the plan's `match`", rule.keyword),
            "nothing, or a wider pattern in the plan",
        );
    }
    let Some(acquired) = series.acquired() else {
        return refuse(
            Why::NoAcquisitionTime,
            "it does not say when it was acquired".to_owned(),
            "send it with Acquisition Date and Time (0008,0022), (0008,0032), under new UIDs",
        );
    };
    if acquired > now.checked_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX) {
        return refuse(
            Why::AcquiredInFuture,
            format!("it was acquired in the future ({acquired})"),
            "correct the scanner's clock, or site.time_zone of the configuration",
        );
    }
    let found = (0..plan.cycles.len()).filter(|&index| {
        let (begin, end) = window(plan, index);
        shows(&plan.cycles[index]) && begin <= acquired && acquired < end
    });
    let found: Vec<usize> = found.collect();
    if found.len() > 1 {
        return refuse(
            Why::Ambiguous,
            format!("it names no nuclide, {}, and several were in the patient", nuclides(plan)),
            "send it with Radionuclide Code Sequence (0054,0300), under new UIDs",
        );
    }
    found.first().copied().ok_or_else(|| {
        let administered = plan.cycles.iter().rev();
        let administered =
            administered.filter(|c| shows(c)).find(|c| c.administered.at <= acquired);
        let reason = match administered {
            Some(cycle) => format!(
                "it was acquired {:.0} h after the administration of cycle {}, the window is {} h",
                hours_between(cycle.administered.at, acquired),
                cycle.number,
                plan.parameters.imaging.window_h.value
            ),
            None => format!("it was acquired ({acquired}) before the first administration"),
        };
        Box::new(series.waiting(
            Why::OutsideCycles,
            reason,
            "add the cycle to the plan or correct the time of administration",
        ))
    })
}

/// One cycle with images, on its way to a job.
struct Attempt<'x, 's, 'a> {
    plan: &'x Plan,
    index: usize,
    course: &'x str,
    /// Emission series by time.
    points: &'x [&'s Series<'a>],
    /// Every series of the patient.
    patient: &'x [&'s Series<'a>],
    view: &'x View<'x>,
}

impl<'s, 'a> Attempt<'_, 's, 'a> {
    /// The job, or what it waits for.
    fn work(
        &self,
        look_again: &mut Option<Timestamp>,
        requests: &mut Vec<RegionRequest>,
    ) -> Result<Work, Vec<Waiting>> {
        self.check_sessions()?;
        let imaging = &self.plan.parameters.imaging;
        let companions = companion::find(self.points, self.patient, window(self.plan, self.index));
        let used: Vec<(Role, &Series<'a>)> = self
            .points
            .iter()
            .map(|series| (Role::Emission, *series))
            .chain(companions.chosen.iter().copied())
            .collect();
        self.check_identity(&used)?;
        self.check_complete(&used, look_again)?;
        if let Some((reason, supply)) = companions.ambiguous {
            return Err(vec![self.cycle_waits(Why::Ambiguous, reason, supply)]);
        }
        let count = self.points.len();
        let wanted = imaging.time_points_of(self.plan.cycles[self.index].number);
        let complete = count >= wanted as usize;
        if !(complete || imaging.provisional && count >= imaging.at_least.value as usize) {
            return Err(vec![self.cycle_waits(
                Why::TimePointsMissing,
                format!("{count} of {wanted} time points have come"),
                "send the next one, or lower settings.imaging.time_points in the plan",
            )]);
        }
        let regions = [Role::StructureSet, Role::Segmentation];
        let drawn = used.iter().any(|(role, _)| regions.contains(role));
        if !drawn && !self.is_by_whole_body_counts(&used) {
            return Err(vec![self.await_regions(&used, look_again, requests)]);
        }
        let completeness = if complete { Completeness::Final } else { Completeness::Provisional };
        Ok(Work {
            course: self.course.to_owned(),
            cycle: self.plan.cycles[self.index].number,
            completeness,
            inputs: inputs(&used),
            notes: companions.notes,
        })
    }

    /// Scans of the whole body alone, and a rule that reads nothing but their counts: no region is asked for.
    fn is_by_whole_body_counts(&self, used: &[(Role, &Series<'a>)]) -> bool {
        let parameters = &self.plan.parameters;
        let rule = parameters.prescription.rule();
        rule.is_some_and(Rule::takes_whole_body_counts_alone)
            // What limits a region's dose needs the region, and so does who has it drawn.
            && parameters.limits.0.is_empty()
            && parameters.regions.from.is_none()
            && self.points.iter().all(|series| series.is_whole_body())
            && !used.iter().any(|(role, _)| *role == Role::Ct)
    }

    /// Regions are drawn by hand, or by the peer that plan or protocol name: it is sent the CT, until the
    /// time limit is over.
    fn await_regions(
        &self,
        used: &[(Role, &Series<'a>)],
        look_again: &mut Option<Timestamp>,
        requests: &mut Vec<RegionRequest>,
    ) -> Waiting {
        let has_ct = used.iter().any(|(role, _)| *role == Role::Ct);
        let views = self.points.iter().all(|series| series.kind == SeriesKind::Planar);
        let by_hand = match views && !has_ct {
            true => {
                "send a SEG drawn on the views that names their series (0008,1115) and, frame by frame, \
                 their frames (0008,9124), or the CT with an RTSTRUCT or SEG drawn on it"
            }
            false => "send an RTSTRUCT or SEG drawn on one of them or on their CT",
        };
        let missing =
            |reason: String, supply: &str| self.cycle_waits(Why::RegionsMissing, reason, supply);
        let regions = &self.plan.parameters.regions;
        let (Some(peer), Some(hours)) = (&regions.from, &regions.time_limit_h) else {
            return missing("no regions have come for these images".into(), by_hand);
        };
        // The first visit's: its regions are carried to the others.
        let cts = used.iter().filter(|(role, _)| *role == Role::Ct).map(|(_, series)| series);
        let Some(ct) = cts.min_by_key(|series| (series.acquired(), series.uid)) else {
            return missing(
                format!(
                    "regions are to come from {peer}, and no CT has come that could be sent there"
                ),
                "send the CT, or an RTSTRUCT or SEG of these images",
            );
        };
        let instances = used.iter().flat_map(|(_, series)| &series.instances);
        let last = instances.map(|instance| instance.received).max().unwrap_or(self.view.now);
        let allowed = SignedDuration::from_secs((hours.value * 3600.0) as i64);
        let limit = last.checked_add(allowed).unwrap_or(Timestamp::MAX);
        if self.view.now >= limit {
            return missing(
                format!(
                    "no regions have come from {peer} within {} h of the last image",
                    hours.value
                ),
                &format!(
                    "look at the deliveries whether CT {} reached it, and whether it returns results to \
                     this node, or send an RTSTRUCT or SEG drawn by hand",
                    ct.uid
                ),
            );
        }
        *look_again = Some(look_again.map_or(limit, |at| at.min(limit)));
        requests.push(RegionRequest {
            course: self.course.to_owned(),
            cycle: self.plan.cycles[self.index].number,
            peer: peer.clone(),
            objects: ct.instances.iter().map(|i| i.header.sop_instance.clone()).collect(),
        });
        missing(
            format!("regions are awaited from {peer}, which is sent CT {}, until {limit}", ct.uid),
            by_hand,
        )
    }

    /// One series a visit, and one visit only where the method takes one.
    fn check_sessions(&self) -> Result<(), Vec<Waiting>> {
        let twins: BTreeSet<usize> = (1..self.points.len())
            .filter_map(|i| {
                // Views and a SPECT of one visit are two time points.
                let same_kind = |j: &usize| self.points[*j].kind == self.points[i].kind;
                let before = (0..i).rev().find(same_kind)?;
                let [first, second] = [before, i].map(|j| self.points[j].acquired());
                let apart = second?.duration_since(first?);
                (apart < SAME_SESSION).then_some([before, i])
            })
            .flatten()
            .collect();
        if !twins.is_empty() {
            return Err(self.points_wait(twins, "several series of one acquisition match the plan"));
        }
        let one = [
            KineticsMethod::SingleTimePoint,
            KineticsMethod::TwoTimes,
            KineticsMethod::CurveLibrary,
        ];
        if self.points.len() > 1 && one.contains(&self.plan.parameters.kinetics.method) {
            let all = (0..self.points.len()).collect();
            return Err(self.points_wait(all, "the method takes one time point, several match"));
        }
        Ok(())
    }

    fn points_wait(&self, which: BTreeSet<usize>, reason: &str) -> Vec<Waiting> {
        let supply = "narrow the plan's `match` (for example SeriesDescription) to one of them";
        which
            .into_iter()
            .map(|i| self.owned(self.points[i].waiting(Why::Ambiguous, reason, supply)))
            .collect()
    }

    /// The same ID with another birth date is another person until somebody says otherwise.
    fn check_identity(&self, used: &[(Role, &Series<'a>)]) -> Result<(), Vec<Waiting>> {
        let dates: BTreeSet<&str> = used
            .iter()
            .map(|(_, series)| series.patient().birth_date.as_str())
            .filter(|date| !date.is_empty())
            .collect();
        if dates.len() <= 1 {
            return Ok(());
        }
        Err(vec![self.cycle_waits(
            Why::IdentityContradiction,
            "its series give two birth dates under one Patient ID",
            "correct the demographics at the sender and send the wrong series under new UIDs",
        )])
    }

    fn check_complete(
        &self,
        used: &[(Role, &Series<'a>)],
        look_again: &mut Option<Timestamp>,
    ) -> Result<(), Vec<Waiting>> {
        let mut waiting = Vec::new();
        for (_, series) in used {
            let state = completion::of(series, self.view.now, self.view.settle_seconds);
            let why = state.why();
            let (reason, supply) = match state {
                Completion::Complete => continue,
                Completion::Settling(until) => {
                    *look_again = Some(look_again.map_or(until, |at| at.min(until)));
                    ("it has just come; more may follow".to_owned(), "nothing: quiet time runs")
                }
                Completion::Missing(reason) => (reason, "send the series again, whole"),
            };
            waiting.push(self.owned(series.waiting(why, reason, supply)));
        }
        if waiting.is_empty() { Ok(()) } else { Err(waiting) }
    }

    fn owned(&self, waiting: Waiting) -> Waiting {
        let cycle = Some(self.plan.cycles[self.index].number);
        Waiting { course: Some(self.course.to_owned()), cycle, ..waiting }
    }

    fn cycle_waits(
        &self,
        why: Why,
        reason: impl Into<String>,
        supply: impl Into<String>,
    ) -> Waiting {
        let waiting = self.points[0].waiting(why, reason, supply);
        let instances = self.points.iter().map(|series| series.instances.len()).sum();
        Waiting { series: None, description: String::new(), instances, ..self.owned(waiting) }
    }
}

fn inputs(used: &[(Role, &Series<'_>)]) -> Vec<Input> {
    let mut inputs: Vec<Input> = used
        .iter()
        .flat_map(|(role, series)| {
            series.instances.iter().map(|instance| Input {
                role: *role,
                series: series.uid.clone(),
                sop_instance: instance.header.sop_instance.clone(),
                sha256: instance.sha256.clone(),
            })
        })
        .collect();
    inputs.sort();
    inputs.dedup();
    inputs
}
