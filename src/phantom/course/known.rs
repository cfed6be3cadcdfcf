//! What the images of a simulated course would tell if they were measured without error: doses, BED, counts and
//! biology in closed form, for the rule that the protocol prescribes by.

use super::SimulatedCourse;
use crate::config::Plan;
use crate::config::plan::WholeBodyCount;
use crate::phantom::{DigitalPatient, RegionTruth, Views, patient};
use crate::pipeline::course::{self, CycleDoses, RegionDose, Seen, SeenTherapy};
use crate::quantity::{Gray, Seconds};

impl SimulatedCourse {
    /// What results would state of every cycle.
    pub(super) fn known(&self, plan: &Plan) -> Vec<CycleDoses> {
        let one = |(cycle, n): (&DigitalPatient, u32)| CycleDoses {
            cycle: n,
            regions: cycle
                .truth()
                .iter()
                .map(|region| self.region(plan, cycle, n, region))
                .collect(),
            whole_body_counts: whole_body_counts(cycle),
        };
        self.cycles.iter().zip(1..).map(one).collect()
    }

    fn region(
        &self,
        plan: &Plan,
        cycle: &DigitalPatient,
        number: u32,
        region: &RegionTruth,
    ) -> RegionDose {
        let views = cycle.options.views;
        let spect = (0..cycle.times().len()).find(|session| cycle.has_spect(*session));
        RegionDose {
            cycle: number,
            region: region.name.clone(),
            dose: region.mean_dose,
            bed: bed(plan, region),
            relative_uncertainty: None,
            effective_half_life: Some(region.effective_half_life),
            single_time_point: cycle.times().len() < 2,
            seen: Seen {
                mass: Some(region.mass),
                volume: Some(region.volume),
                decays: Some(region.time_integrated_activity),
                planar: (views != Views::Spect).then(|| region.activity[0]),
                tomographic: spect.map(|session| region.activity[session]),
                therapy: self.therapy(cycle, number, region),
            },
        }
    }

    /// What a tracer's region says of the therapy: the part of it that is taken up, less what decays in between.
    fn therapy(
        &self,
        cycle: &DigitalPatient,
        number: u32,
        region: &RegionTruth,
    ) -> Option<SeenTherapy> {
        let tracer = self.regime.tracers.get(number as usize - 1)?;
        let own = || patient::radiopharmaceutical_of(&self.options);
        let physical = cycle.decay.half_life.half_life_to_rate();
        let effective = region.effective_half_life.half_life_to_rate();
        Some(SeenTherapy {
            radiopharmaceutical: tracer.stands_for.clone().unwrap_or_else(own),
            dose_per_gbq: Gray::new(region.therapy.gy_per_gbq()),
            relative_uncertainty: None,
            biological: vec![(
                region.initial_activity / cycle.options.administered,
                effective - physical,
            )],
        })
    }
}

/// As many counts as there is activity, from both sides.
fn whole_body_counts(cycle: &DigitalPatient) -> Vec<WholeBodyCount> {
    if cycle.options.views == Views::Spect {
        return Vec::new();
    }
    let count = |(n, time): (usize, &Seconds)| {
        let mbq: f64 = cycle.truth().iter().map(|region| region.activity[n].mbq()).sum();
        WholeBodyCount {
            hours: time.hours(),
            anterior: mbq,
            posterior: mbq,
            anterior_background: 0.0,
            posterior_background: 0.0,
        }
    };
    cycle.times().iter().enumerate().map(count).collect()
}

/// D (1 + G D/(alpha/beta)) with G = lambda/(lambda + mu) of a mono-exponential dose rate (MIRD pamphlet 20), of a
/// limited tissue.
fn bed(plan: &Plan, region: &RegionTruth) -> Option<Gray> {
    let mut limits = plan.parameters.limits.0.iter();
    let (tissue, _) = limits.find(|(_, limit)| limit.covers(&region.name))?;
    let (alpha_beta, repair) = course::bed_parameters(plan, tissue)?;
    let rate = |half_life: Seconds| half_life.half_life_to_rate().value();
    let (lambda, mu) = (rate(region.effective_half_life), rate(repair));
    let dose = region.mean_dose.value();
    Some(Gray::new(dose * (1.0 + lambda / (lambda + mu) * dose / alpha_beta)))
}
