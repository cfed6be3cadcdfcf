//! By which model a region's curve is fitted, and the half-life of one that was imaged once.

use super::super::{PipelineError, Request};
use crate::config::protocol::HalfLife;
use crate::config::{Kinetics, KineticsMethod, Trapezoid};
use crate::kinetics::{self, CurvePoint, HalfLifeOrigin, Method};
use crate::quantity::{Seconds, Warning};

/// A half-life that no fit of this cycle gave, and how well it is known.
#[derive(Debug, Clone, Copy)]
pub struct Carried {
    half_life: Seconds,
    relative_uncertainty: f64,
    is_published: bool,
}

impl Carried {
    /// Its own uncertainty, else the one that plan or protocol states for all, else the published.
    fn new(
        half_life: Seconds,
        own: Option<f64>,
        origin: HalfLifeOrigin,
        points: &[CurvePoint],
        kinetics: &Kinetics,
    ) -> Self {
        let of_all = kinetics.half_life_relative_uncertainty.as_ref().map(|u| u.value);
        let known = own.or(of_all);
        let at = points.first().map_or(Seconds::new(0.0), |point| point.time);
        Self {
            half_life,
            relative_uncertainty: known
                .unwrap_or_else(|| kinetics::published_uncertainty(origin, at)),
            is_published: known.is_none(),
        }
    }

    fn stated(stated: &HalfLife, points: &[CurvePoint], kinetics: &Kinetics) -> Self {
        let (hours, own) = (Seconds::from_hours(stated.value), stated.relative_uncertainty);
        Self::new(hours, own, HalfLifeOrigin::Stated, points, kinetics)
    }

    pub fn method(self) -> Method<'static> {
        Method::SingleTimePoint {
            effective_half_life: self.half_life,
            relative_uncertainty: Some(self.relative_uncertainty),
        }
    }

    /// `51.00 h (u 3.7 %, k = 1, ...)`.
    fn text(self) -> String {
        let whose = match self.is_published {
            true => ", by published deviations of kidneys under 177Lu-DOTATATE (Willowson 2018)",
            false => ", as stated",
        };
        let percent = 100.0 * self.relative_uncertainty;
        format!(
            "{:.2} h (relative uncertainty {percent:.1} %, k = 1{whose})",
            self.half_life.hours()
        )
    }
}

/// The effective half-life of a region that was imaged once, where the protocol takes it from the last
/// cycle that was imaged more than once; a stated one comes before.
pub fn half_life_of_one_image(
    region: &str,
    within: Option<&str>,
    points: &[CurvePoint],
    request: &Request,
) -> Result<Option<(Carried, Warning)>, PipelineError> {
    let kinetics = &request.plan.parameters.kinetics;
    if points.len() != 1 || !kinetics.prior_cycle {
        return Ok(None);
    }
    if let Some(stated) = kinetics.half_life(region) {
        let carried = Carried::stated(stated, points, kinetics);
        return Ok(Some((carried, stated_warning(carried))));
    }
    // A part of a region clears as the region does.
    let name = within.unwrap_or(region);
    let before = request
        .earlier
        .iter()
        .flat_map(|doses| &doses.regions)
        .filter(|dose| dose.cycle < request.cycle && dose.region == name && !dose.single_time_point)
        .filter_map(|dose| Some((dose.cycle, dose.effective_half_life?)))
        .max_by_key(|(cycle, _)| *cycle);
    let Some((cycle, half_life)) = before else {
        return Err(PipelineError::Parked(format!(
            "region {region} was imaged once in cycle {} and its effective half-life is known from no cycle \
             before; image it again, compute an earlier cycle first, or state `settings: kinetics: \
             effective_half_life_h`",
            request.cycle
        )));
    };
    let carried = Carried::new(half_life, None, HalfLifeOrigin::PriorCycle, points, kinetics);
    let text = format!(
        "imaged once: the effective half-life is that of cycle {cycle}, {}",
        carried.text()
    );
    Ok(Some((carried, Warning::new("half-life-of-prior-cycle", text))))
}

fn stated_warning(carried: Carried) -> Warning {
    let text =
        format!("imaged once: the effective half-life is the stated one, {}", carried.text());
    Warning::new("half-life-stated", text)
}

pub fn method<'a>(
    region: &str,
    kinetics: &'a Kinetics,
    points: &[CurvePoint],
    warnings: &mut Vec<Warning>,
) -> Result<Method<'a>, PipelineError> {
    Ok(match kinetics.method(region) {
        KineticsMethod::SelectByAicc => Method::SelectByAicc,
        KineticsMethod::MonoExponential => Method::MonoExponential,
        KineticsMethod::BiExponential => Method::BiExponential,
        KineticsMethod::TriExponential => Method::TriExponential,
        KineticsMethod::UptakeClearance => Method::UptakeClearance,
        KineticsMethod::Trapezoid => {
            let Trapezoid { start, tail } = kinetics.trapezoid;
            Method::Trapezoid { start, tail }
        }
        KineticsMethod::Spectral => Method::Spectral,
        KineticsMethod::PhysicalOnly => Method::PhysicalOnly,
        KineticsMethod::TwoTimes => Method::TwoTimes,
        KineticsMethod::CurveLibrary => {
            Method::Library(kinetics.library(region).ok_or_else(|| {
                PipelineError::Parked(format!(
                    "no library of curves is given for region {region}; add `kinetics: library: \
                     {{ default: {{ source: ..., curves: ... }} }}` to the protocol or the plan's \
                     settings"
                ))
            })?)
        }
        KineticsMethod::SingleTimePoint => {
            let carried = stated_half_life(region, kinetics, points)?;
            warnings.push(stated_warning(carried));
            carried.method()
        }
    })
}

fn stated_half_life(
    region: &str,
    kinetics: &Kinetics,
    points: &[CurvePoint],
) -> Result<Carried, PipelineError> {
    if points.len() != 1 {
        return Err(PipelineError::Parked(format!(
            "single-time-point was given {} images of this cycle; narrow the plan's \
             `match`, or use `protocol: multi-time-point`",
            points.len()
        )));
    }
    let stated = kinetics.half_life(region).ok_or_else(|| {
        PipelineError::Parked(format!(
            "no effective half-life is stated for region {region}; add `settings: \
             kinetics: effective_half_life_h: {{ default: ... }}` to the plan"
        ))
    })?;
    Ok(Carried::stated(stated, points, kinetics))
}
