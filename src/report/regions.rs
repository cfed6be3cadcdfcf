//! A region's numbers, each finite or absent: NaN and infinity never leave.

use super::{Bed, DoseStatistics, RegionResult};
use crate::kinetics::Fit;
use crate::quantity::Warning;

/// The numbers of one region as they may be written.
#[derive(Debug, Clone)]
pub(super) struct RegionNumbers<'a> {
    /// An outline on views has none.
    has_volume: bool,
    pub volume_ml: Option<f64>,
    pub mass_g: Option<f64>,
    /// At each time point, MBq.
    pub activity_mbq: Vec<Option<f64>>,
    pub fit: Option<&'a Fit>,
    pub dose: Option<&'a DoseStatistics>,
    pub bed: Option<&'a Bed>,
    pub uncertainty: Option<f64>,
    /// The region's warnings, and one for every quantity that was not a number.
    pub warnings: Vec<Warning>,
}

impl<'a> RegionNumbers<'a> {
    pub fn of(region: &'a RegionResult) -> Self {
        let mut warnings = region.warnings.clone();
        warnings.extend(region.fit.iter().flat_map(|fit| fit.warnings.iter().cloned()));
        let mut finite = |quantity: &str, values: &[f64]| {
            let all = values.iter().all(|value| value.is_finite());
            if !all {
                let text = format!(
                    "{quantity} of {} came out as not a number and is left out; check the inputs \
                     of this region",
                    region.name
                );
                warnings.push(Warning::new("not-a-number", text));
            }
            all
        };
        let mut number =
            |quantity: &str, value: Option<f64>| value.filter(|&value| finite(quantity, &[value]));
        let volume_ml = number("volume", region.volume.map(|v| v.value()));
        let mass_g = number("mass", region.mass.map(|m| m.value()));
        let uncertainty = number("uncertainty", region.uncertainty);
        let activity_mbq = region
            .activity
            .iter()
            .map(|activity| number("activity", activity.map(|a| a.value.mbq())))
            .collect();
        let dose = region.dose.as_ref().filter(|d| finite("absorbed dose", &dose_values(d)));
        let bed = region.bed.as_ref().filter(|b| {
            let values = [b.value, b.alpha_beta].map(|g| g.value());
            finite("BED", &values) && finite("BED", &[b.repair_half_time.value()])
        });
        let fit = region.fit.as_ref().filter(|f| finite("fit", &fit_values(f)));
        let has_volume = region.volume.is_some();
        Self { has_volume, volume_ml, mass_g, activity_mbq, fit, dose, bed, uncertainty, warnings }
    }

    /// One sentence that names the numbers which could not be had, where there are any.
    pub fn missing(&self) -> Option<Warning> {
        let no_half_life = self.fit.is_none_or(|fit| fit.effective_half_life.is_none());
        let missing: Vec<&str> = [
            ("volume", self.has_volume && self.volume_ml.is_none()),
            ("mass", self.mass_g.is_none()),
            ("activity at a time point", self.activity_mbq.iter().any(Option::is_none)),
            ("fit and time-integrated activity", self.fit.is_none()),
            ("effective half-life", no_half_life),
            ("absorbed dose", self.dose.is_none()),
            ("BED", self.bed.is_none()),
            ("uncertainty", self.uncertainty.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        let text = format!("not available for this region: {}", missing.join(", "));
        (!missing.is_empty()).then(|| Warning::new("not-available", text))
    }

    /// Time-integrated activity coefficient, h: per unit of administered activity.
    pub fn tiac_h(&self, administered_mbq: f64) -> Option<f64> {
        let tia = self.fit?.time_integrated_activity.mbq_h();
        Some(tia / administered_mbq).filter(|value| value.is_finite())
    }
}

fn dose_values(dose: &DoseStatistics) -> Vec<f64> {
    let spread = dose.spread.iter().flat_map(|d| {
        let scalars = [d.min, d.max, d.median, d.sd, d.d98, d.d95, d.d90, d.d50, d.d2];
        let curve = d.dvh.iter().flat_map(|(gray, ml)| [gray.value(), ml.value()]);
        scalars.map(|gray| gray.value()).into_iter().chain(curve)
    });
    std::iter::once(dose.mean.value()).chain(spread).collect()
}

fn fit_values(fit: &Fit) -> Vec<f64> {
    let terms = fit.terms.iter().flat_map(|t| [t.amplitude.value(), t.rate.value()]);
    let mut values: Vec<f64> = terms.collect();
    values.push(fit.time_integrated_activity.value());
    values.push(fit.extrapolated_fraction);
    values.extend(fit.effective_half_life.map(|t| t.value()));
    values.extend(fit.relative_uncertainty);
    values
}
