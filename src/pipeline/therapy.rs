//! From a tracer's images to the therapy that it stands for: same biology, the therapy's decay.
//!
//! In: the tracer's result, one region at a time. Out: each region's dose per activity of the therapy.
//! The therapy's energy is taken to stay in the region, photons left out: right for the electrons and
//! alphas that a tracer is imaged for. Where tracer and therapy are one nuclide the engine's own dose
//! serves, photons and neighbours included.

use super::{PipelineError, Request};
use crate::biology::effect::MixedDose;
use crate::kinetics::{Exponential, Fit};
use crate::quantity::nuclide::DecayData;
use crate::quantity::{Becquerel, Gray, JOULE_PER_EV, PerSecond, Seconds, Warning};
use crate::report::{CycleResult, RegionResult, TherapyEstimate};

/// A fitted rate below the physical one by this part is rounding of a rate held at it.
const ROUNDING: f64 = 1e-6;

/// Adds what alphas did, and what a tracer says of its therapy, to every region.
pub fn project(request: &Request, result: &mut CycleResult) -> Result<(), PipelineError> {
    let own = result.nuclide.decay()?;
    // The other engines carry energy away, and do not say whose.
    if result.engine.name == "local" {
        for region in &mut result.regions {
            let mean = region.dose.as_ref().map(|dose| dose.mean);
            region.alpha = mean.and_then(|mean| MixedDose::of_local(mean, &own.chain_energies));
        }
    }
    let Some(tracer) = request.plan.tracer_of(request.cycle) else { return Ok(()) };
    let therapy = tracer.stands_for.nuclide.decay()?;
    let same = tracer.nuclide == tracer.stands_for.nuclide;
    let administered = result.administered;
    for region in &mut result.regions {
        let estimate = match same {
            true => itself(region, administered),
            false => converted(region, administered, own, therapy),
        };
        let drug = tracer.stands_for.radiopharmaceutical.clone();
        match estimate {
            Ok(estimate) => {
                region.therapy = Some(TherapyEstimate { radiopharmaceutical: drug, ..estimate });
            }
            Err(why) => region.warnings.push(Warning::new(
                "therapy-not-estimated",
                format!("no dose per activity of {drug} follows from this region: {why}"),
            )),
        }
    }
    if !same && therapy.chain_energies.alpha.value() > 0.0 {
        result.warnings.push(Warning::new(
            "daughters-stay",
            format!(
                "daughters of {} are taken to decay where it does; what leaves the region by recoil or \
                 blood is not followed",
                tracer.stands_for.nuclide
            ),
        ));
    }
    Ok(())
}

/// The engine's own dose over the administered activity.
fn itself(region: &RegionResult, administered: Becquerel) -> Result<TherapyEstimate, String> {
    let dose = region.dose.as_ref().ok_or("it has no dose")?;
    let fit = region.fit.as_ref().ok_or("it has no curve")?;
    Ok(TherapyEstimate {
        radiopharmaceutical: String::new(),
        dose_per_gbq: dose.mean / administered.gbq(),
        alpha: None,
        relative_uncertainty: region.uncertainty,
        residence: Seconds::new(fit.time_integrated_activity.value() / administered.value()),
        biological: Vec::new(),
        method: "dose of the tracer, which is the therapy's nuclide",
    })
}

fn converted(
    region: &RegionResult,
    administered: Becquerel,
    tracer: &DecayData,
    therapy: &DecayData,
) -> Result<TherapyEstimate, String> {
    let fit = region.fit.as_ref().ok_or("it has no curve")?;
    let mass = region.mass.ok_or("its mass is not known")?;
    let biological = biological(&fit.terms, administered, tracer.half_life)?;
    let physical = therapy.half_life.half_life_to_rate();
    let decays = |(fraction, rate): &(f64, PerSecond)| fraction / (rate.value() + physical.value());
    let residence: f64 = biological.iter().map(decays).sum();
    if !(residence.is_finite() && residence >= 0.0) {
        return Err(format!("its residence came out as {residence} s"));
    }
    let joule = therapy.chain_energies.non_penetrating().value() * 1e3 * JOULE_PER_EV;
    let dose_per_gbq = Gray::new(1e9 * residence * joule / (mass.value() * 1e-3));
    Ok(TherapyEstimate {
        radiopharmaceutical: String::new(),
        dose_per_gbq,
        alpha: MixedDose::of_local(dose_per_gbq, &therapy.chain_energies),
        relative_uncertainty: relative_uncertainty(region, fit, &biological, physical),
        residence: Seconds::new(residence),
        biological,
        method: "biology of the tracer, decay of the therapy, its energy spent in the region",
    })
}

/// The tracer's, with the fit's part as the therapy's decay weighs the terms: a therapy that lives longer
/// than its tracer rests more on rates than the tracer's own dose does.
fn relative_uncertainty(
    region: &RegionResult,
    fit: &Fit,
    biological: &[(f64, PerSecond)],
    physical: PerSecond,
) -> Option<f64> {
    let (total, of_fit) = (region.uncertainty?, fit.relative_uncertainty?);
    let covariance = fit.covariance.as_ref()?;
    if covariance.size() != 2 * fit.terms.len() {
        return None;
    }
    let sum: f64 = biological.iter().map(|(f, k)| f / (k.value() + physical.value())).sum();
    // Of ln(residence) by ln |amplitude| and ln rate of each term.
    let gradient: Vec<f64> = biological
        .iter()
        .zip(&fit.terms)
        .flat_map(|((fraction, rate), term)| {
            let all = rate.value() + physical.value();
            let part = fraction / all / sum;
            [part, -part * term.rate.value() / all]
        })
        .collect();
    let pairs = (0..gradient.len()).flat_map(|r| (0..gradient.len()).map(move |c| (r, c)));
    let of_therapy: f64 =
        pairs.map(|(r, c)| gradient[r] * covariance.get(r, c) * gradient[c]).sum();
    let squared = total * total - of_fit * of_fit + of_therapy;
    (squared.is_finite() && squared >= 0.0).then(|| squared.sqrt())
}

/// Effective terms without the tracer's decay.
fn biological(
    terms: &[Exponential],
    administered: Becquerel,
    half_life: Seconds,
) -> Result<Vec<(f64, PerSecond)>, String> {
    if terms.is_empty() {
        return Err(
            "its curve has no formula; choose `kinetics: method` other than trapezoid".into()
        );
    }
    let physical = half_life.half_life_to_rate();
    let one = |term: &Exponential| {
        let rate = term.rate.value() - physical.value();
        if rate < -ROUNDING * physical.value() {
            return Err(format!(
                "a term falls with {:.4} per h, slower than the tracer decays",
                term.rate.value() * 3600.0
            ));
        }
        Ok((term.amplitude / administered, PerSecond::new(rate.max(0.0))))
    };
    terms.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(rate: f64) -> PerSecond {
        PerSecond::new(rate / 3600.0)
    }

    /// V42 of the specification: 0.18 of the activity, biological half-life 150 h, 111In for 90Y:
    /// residences 12.066 and 11.662 h.
    #[test]
    fn v42_the_biology_of_indium_with_the_decay_of_yttrium() {
        let (indium, yttrium) = (Seconds::from_hours(67.313), Seconds::from_hours(64.10));
        let biological_rate = Seconds::from_hours(150.0).half_life_to_rate();
        let effective = biological_rate + indium.half_life_to_rate();
        let given = Becquerel::from_mbq(185.0);
        let terms = [Exponential { amplitude: given * 0.18, rate: effective }];
        assert!((0.18 / (effective.value() * 3600.0) / 12.066 - 1.0).abs() < 5e-5);
        let found = biological(&terms, given, indium).unwrap();
        let tau = found[0].0 / (found[0].1 + yttrium.half_life_to_rate()).value() / 3600.0;
        assert!((tau / 11.662 - 1.0).abs() < 5e-5, "{tau}");
    }

    #[test]
    fn a_curve_without_a_formula_or_slower_than_decay_gives_nothing() {
        let given = Becquerel::from_mbq(100.0);
        let half_life = Seconds::from_hours(67.3);
        assert!(biological(&[], given, half_life).unwrap_err().contains("trapezoid"));
        let slow = [Exponential { amplitude: given, rate: hours(0.005) }];
        assert!(biological(&slow, given, half_life).unwrap_err().contains("slower"));
    }
}
