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
    let (administered, drug) = (result.administered, &tracer.stands_for.radiopharmaceutical);
    for region in &mut result.regions {
        let estimate = match same {
            true => itself(region, administered, drug).map(|estimate| (estimate, Vec::new())),
            false => converted(region, administered, [own, therapy], drug),
        };
        match estimate {
            Ok((estimate, warnings)) => {
                let of_drug =
                    |w: Warning| Warning::new("of-the-therapy", format!("{drug}: {}", w.text));
                region.warnings.extend(warnings.into_iter().map(of_drug));
                region.therapy = Some(estimate);
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
fn itself(
    region: &RegionResult,
    administered: Becquerel,
    drug: &str,
) -> Result<TherapyEstimate, String> {
    let dose = region.dose.as_ref().ok_or("it has no dose")?;
    let fit = region.fit.as_ref().ok_or("it has no curve")?;
    Ok(TherapyEstimate {
        radiopharmaceutical: drug.to_owned(),
        dose_per_gbq: dose.mean / administered.gbq(),
        alpha: None,
        relative_uncertainty: region.uncertainty,
        residence: Seconds::new(fit.time_integrated_activity.value() / administered.value()),
        biological: Vec::new(),
        method: "dose of the tracer, which is the therapy's nuclide",
    })
}

/// With what is to be known of the therapy's curve and not of the tracer's.
fn converted(
    region: &RegionResult,
    administered: Becquerel,
    [tracer, therapy]: [&DecayData; 2],
    drug: &str,
) -> Result<(TherapyEstimate, Vec<Warning>), String> {
    let fit = region.fit.as_ref().ok_or("it has no curve")?;
    let mass = region.mass.ok_or("its mass is not known")?;
    let [from, to] = [tracer, therapy].map(|decay| decay.half_life.half_life_to_rate());
    let curve = fit.with_nuclide(from, to).map_err(|error| error.to_string())?;
    let residence = curve.time_integrated_activity.value() / administered.value();
    if !(residence.is_finite() && residence >= 0.0) {
        return Err(format!("its residence came out as {residence} s"));
    }
    let joule = therapy.chain_energies.non_penetrating().value() * 1e3 * JOULE_PER_EV;
    let dose_per_gbq = Gray::new(1e9 * residence * joule / (mass.value() * 1e-3));
    let biological = |term: &Exponential| {
        let rate = (term.rate.value() - to.value()).max(0.0);
        (term.amplitude / administered, PerSecond::new(rate))
    };
    let warnings = curve.warnings.iter().filter(|warning| !fit.warnings.contains(warning));
    let warnings = warnings.cloned().collect();
    let estimate = TherapyEstimate {
        radiopharmaceutical: drug.to_owned(),
        dose_per_gbq,
        alpha: MixedDose::of_local(dose_per_gbq, &therapy.chain_energies),
        relative_uncertainty: relative_uncertainty(region.uncertainty, fit, &curve),
        residence: Seconds::new(residence),
        biological: curve.terms.iter().map(biological).collect(),
        method: "biology of the tracer, decay of the therapy, its energy spent in the region",
    };
    Ok((estimate, warnings))
}

/// The tracer's, with the part of its fit as the therapy's decay weighs it: a therapy that lives longer
/// than its tracer rests more on rates than the tracer's own dose does.
fn relative_uncertainty(total: Option<f64>, tracer: &Fit, therapy: &Fit) -> Option<f64> {
    let (before, after) = (tracer.relative_uncertainty?, therapy.relative_uncertainty?);
    let squared = total?.powi(2) - before.powi(2) + after.powi(2);
    (squared.is_finite() && squared >= 0.0).then(|| squared.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinetics::{CurvePoint, Method, TimeActivityCurve, fit};
    use crate::quantity::nuclide::Nuclide;
    use crate::quantity::{Gram, Millilitre};
    use crate::volume::Occupancy;

    fn region(fit: Option<Fit>) -> RegionResult {
        RegionResult {
            name: "Liver".into(),
            number: 1,
            anatomy: None,
            made: None,
            occupancy: Occupancy::new(Vec::new()),
            volume: Some(Millilitre::new(1650.0)),
            mass: Some(Gram::new(1700.0)),
            activity: Vec::new(),
            recovery: None,
            fit,
            dose: None,
            alpha: None,
            therapy: None,
            bed: None,
            effect: Default::default(),
            uncertainty: Some(0.2),
            uncertainty_budget: None,
            warnings: Vec::new(),
        }
    }

    /// V42 of the specification: 0.18 of the activity, biological half-life 150 h, 111In for 90Y, residence
    /// 11.662 h; by the energy per decay, 49.771 J/GBq over 1.7 kg for all of it.
    #[test]
    fn v42_the_biology_of_indium_with_the_decay_of_yttrium() {
        let decay = |name: &str| Nuclide::parse(name).unwrap().decay().unwrap();
        let (indium, yttrium) = (decay("In-111"), decay("Y-90"));
        let physical = indium.half_life.half_life_to_rate();
        let effective = Seconds::from_hours(150.0).half_life_to_rate() + physical;
        let given = Becquerel::from_mbq(185.0);
        let points = [1.0, 4.0, 24.0, 72.0, 144.0].map(|hours| CurvePoint {
            time: Seconds::from_hours(hours),
            activity: given * (0.18 * (-effective.value() * 3600.0 * hours).exp()),
            relative_uncertainty: Some(0.1),
        });
        let curve = TimeActivityCurve { points: points.to_vec(), physical };
        let fitted = fit(&curve, Method::MonoExponential).unwrap();
        let (found, warnings) =
            converted(&region(Some(fitted)), given, [indium, yttrium], "90Y").unwrap();
        assert!(warnings.iter().any(|w| w.text.contains("measured with a surrogate")));
        assert!((found.residence.hours() / 11.662 - 1.0).abs() < 1e-3, "{found:?}");
        let (fraction, rate) = found.biological[0];
        assert!((fraction / 0.18 - 1.0).abs() < 1e-6);
        assert!((rate.half_life().hours() / 150.0 - 1.0).abs() < 1e-3);
        let full = 49.771 / 1.7 * 11.662 * std::f64::consts::LN_2 / 64.10;
        assert!((found.dose_per_gbq.value() / full - 1.0).abs() < 2e-3, "{found:?}");
        assert!((0.15..0.25).contains(&found.relative_uncertainty.unwrap()));
        assert_eq!(found.alpha, None);
    }

    #[test]
    fn a_region_without_a_curve_or_a_formula_gives_nothing() {
        let decay = |name: &str| Nuclide::parse(name).unwrap().decay().unwrap();
        let (indium, yttrium) = (decay("In-111"), decay("Y-90"));
        let refused = |fit| {
            converted(&region(fit), Becquerel::new(1.0), [indium, yttrium], "90Y").unwrap_err()
        };
        assert!(refused(None).contains("no curve"));
        assert!(
            refused(Some(Fit::default())).contains("formula"),
            "{}",
            refused(Some(Fit::default()))
        );
    }
}
