//! What was administered, by the report of the injection against the plan.
//!
//! The plan is what is computed with. A report that differs a little is a warning; one that cannot
//! be the same administration (another nuclide, another unit) parks the job.

use super::inputs::Inputs;
use super::{PipelineError, Request};
use crate::dicom::read::{self, AdministrationReport, Assay};
use crate::dicom::write::Code;
use crate::quantity::constant::{Constant, embedded};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, Seconds, Warning};
use crate::report::{AdministrationFacts, ReceivedReport, dose_reports};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Constants {
    activity_difference_warn: Constant,
    activity_difference_refuse: Constant,
    time_difference_warn: Constant,
    time_difference_other: Constant,
}

static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    embedded("config/administration.yaml", include_str!("../../config/administration.yaml"))
});

/// One administration as the plan or a report states it.
struct Given {
    activity: Option<Becquerel>,
    at: Timestamp,
    nuclide: Option<Nuclide>,
}

/// Holds every report of this cycle's administration against the plan.
pub fn check(inputs: &Inputs, request: &Request) -> Result<Vec<Warning>, PipelineError> {
    let Some(cycle) = request.plan.cycle(request.cycle) else { return Ok(Vec::new()) };
    let plan = Given {
        activity: Some(cycle.administered.activity),
        at: cycle.administered.at,
        nuclide: Some(request.nuclide().clone()),
    };
    let half_life = request.nuclide().decay()?.half_life;
    let mut warnings = Vec::new();
    for report in &inputs.administrations {
        let given = given(report, half_life);
        // Where two agents were given at once, each has its report.
        let of_another = given.nuclide.as_ref().is_some_and(|nuclide| {
            let mut cycles = request.plan.cycles.iter().map(|cycle| cycle.number);
            nuclide != request.nuclide() && cycles.any(|n| request.plan.nuclide_of(n) == nuclide)
        });
        if !of_another {
            warnings.extend(compare(&plan, &given, &report.sop_instance)?);
        }
    }
    Ok(warnings)
}

/// What plan and received reports say of this cycle's administration; the plan comes first.
pub fn facts(inputs: &Inputs, request: &Request) -> Result<AdministrationFacts, PipelineError> {
    let Some(cycle) = request.plan.cycle(request.cycle) else {
        return Ok(AdministrationFacts::default());
    };
    let given = &cycle.administered;
    let of_this = |report: &&AdministrationReport| {
        hours_between(report.start, given.at) <= CONSTANTS.time_difference_other.value
    };
    let reports: Vec<&AdministrationReport> =
        inputs.administrations.iter().filter(of_this).collect();
    let details = &given.details;
    let meter = details.activity_meter.as_ref();
    let assay = |activity: Becquerel| Assay { activity, at: Some(given.at) };
    // Without a residual the plan's activity may be net already: it is then nobody's measurement.
    let has_residual = details.residual.value() > 0.0;
    let measured = |of_plan: Becquerel, of_report: fn(&AdministrationReport) -> Option<Assay>| {
        let own = has_residual.then(|| assay(of_plan));
        own.or_else(|| reports.iter().find_map(|report| of_report(report)))
    };
    let of_reports = |text: fn(&AdministrationReport) -> Option<String>| {
        reports.iter().find_map(|report| text(report))
    };
    let route = details.route.as_ref().map(|route| route.code().clone());
    Ok(AdministrationFacts {
        before: measured(given.activity + details.residual, |report| report.before),
        after: measured(details.residual, |report| report.after),
        activity_meter: meter
            .map(|meter| meter.id.clone())
            .or_else(|| of_reports(|report| report.activity_meter.clone())),
        traceable_to: meter.and_then(|meter| meter.traceable_to.clone()),
        meter_checked_on: meter.and_then(|meter| meter.checked_on),
        route: route
            .or_else(|| reports.iter().find_map(|report| report.route.as_ref().map(written))),
        by: details.by.clone().or_else(|| of_reports(named)),
        co_medication: details.co_medication.clone(),
        well_counter: request.plan.measured.well_counter.clone(),
        reports: reports
            .iter()
            .map(|report| ReceivedReport {
                instance: report.source.clone(),
                event: report.event.clone(),
            })
            .collect(),
    })
}

/// Who gave it, where a report of our own does not stand for nobody.
fn named(report: &AdministrationReport) -> Option<String> {
    report.by.clone().filter(|name| name != dose_reports::NOBODY)
}

/// A code as it was read, to be written.
fn written(code: &read::Code) -> Code {
    let owned = |text: &String| text.clone().into();
    Code { value: owned(&code.value), scheme: owned(&code.scheme), meaning: owned(&code.meaning) }
}

fn hours_between(a: Timestamp, b: Timestamp) -> f64 {
    Seconds::new(a.duration_since(b).as_secs_f64()).hours().abs()
}

fn given(report: &AdministrationReport, half_life: Seconds) -> Given {
    let code = report.radionuclide.as_ref();
    Given {
        activity: report.administered(half_life),
        at: report.start,
        nuclide: code.and_then(|code| Nuclide::parse(&code.meaning).ok()),
    }
}

fn compare(
    plan: &Given,
    report: &Given,
    uid: &crate::dicom::Uid,
) -> Result<Vec<Warning>, PipelineError> {
    let hours = Seconds::new(report.at.duration_since(plan.at).as_secs_f64()).hours();
    if hours.abs() > CONSTANTS.time_difference_other.value {
        return Ok(Vec::new());
    }
    if let (Some(own), Some(other)) = (&plan.nuclide, &report.nuclide)
        && own != other
    {
        return Err(PipelineError::Parked(format!(
            "administration report {uid} says {other}, the plan says {own}; correct the plan or \
             remove the report"
        )));
    }
    let mut warnings = Vec::new();
    if hours.abs() > CONSTANTS.time_difference_warn.value {
        warnings.push(Warning::new(
            "administration-time",
            format!(
                "administration report {uid} begins {hours:+.2} h from the plan's time, which was \
                 used; correct the plan if the report is right"
            ),
        ));
    }
    let (Some(own), Some(other)) = (plan.activity, report.activity) else { return Ok(warnings) };
    let difference = other / own - 1.0;
    if difference.abs() > CONSTANTS.activity_difference_refuse.value {
        return Err(PipelineError::Parked(format!(
            "administration report {uid} says {:.1} MBq, the plan says {:.1} MBq; correct the plan \
             (1 mCi = 37 MBq) or remove the report",
            other.mbq(),
            own.mbq()
        )));
    }
    if difference.abs() > CONSTANTS.activity_difference_warn.value {
        warnings.push(Warning::new(
            "administration-activity",
            format!(
                "administration report {uid} says {:.1} MBq ({:+.1} %), the plan says {:.1} MBq, \
                 which was used; correct the plan if the report is right",
                other.mbq(),
                100.0 * difference,
                own.mbq()
            ),
        ));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mbq: f64, time: &str, nuclide: &str) -> Given {
        Given {
            activity: Some(Becquerel::from_mbq(mbq)),
            at: time.parse().unwrap(),
            nuclide: Nuclide::parse(nuclide).ok(),
        }
    }

    fn compared(report: &Given) -> Result<Vec<String>, String> {
        let plan = at(7400.0, "2026-03-02T10:15:00+01:00", "Lu-177");
        let uid = crate::dicom::Uid::parse("1.2.3").unwrap();
        compare(&plan, report, &uid)
            .map(|warnings| warnings.into_iter().map(|w| w.code).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_report_that_agrees_says_nothing_whatever_its_zone() {
        assert_eq!(compared(&at(7390.0, "2026-03-02T09:20:00Z", "Lu-177")), Ok(vec![]));
        assert_eq!(compared(&at(200.0, "2026-03-09T09:20:00Z", "Y-90")), Ok(vec![]), "another day");
    }

    #[test]
    fn what_differs_a_little_is_a_warning_and_the_plan_s_value_is_used() {
        let codes = compared(&at(6900.0, "2026-03-02T11:15:00Z", "Lu-177")).unwrap();
        assert_eq!(codes, ["administration-time", "administration-activity"]);
    }

    #[test]
    fn millicuries_for_megabecquerels_and_another_nuclide_are_caught() {
        let mistaken = compared(&at(200.0, "2026-03-02T09:15:00Z", "Lu-177")).unwrap_err();
        assert!(mistaken.contains("1 mCi = 37 MBq") && mistaken.contains("200.0 MBq"));
        let other = compared(&at(7400.0, "2026-03-02T09:15:00Z", "Y-90")).unwrap_err();
        assert!(other.contains("says Y-90, the plan says Lu-177"), "{other}");
    }
}
