//! From regions to the tissues that have limits, and from their doses to a ledger.

use super::{RegionDose, Seen};
use crate::biology::bed::{TissueParameters, g_factor};
use crate::config::Plan;
use crate::config::protocol::{Combine, Limit};
use crate::kinetics::Exponential;
use crate::prescribe::{
    Administered, Constraint, Effect, Entry, HalfLifeSource, Ledger, PrescribeError, Total,
};
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel, Seconds};

/// One limited tissue.
#[derive(Debug, Clone, PartialEq)]
pub struct Tissue {
    pub name: String,
    pub dose_limit: Option<Gray>,
    pub bed_limit: Option<Gray>,
    /// None where nothing was measured.
    pub total: Option<Total>,
    /// G/(α/β) of the last measured cycle, 1/Gy.
    pub bed_per_gray: Option<f64>,
}

impl Tissue {
    /// The limits as constraints at a coefficient; a BED limit without BED is named instead.
    pub fn constraints(
        &self,
        coefficient: Option<GrayPerBecquerel>,
    ) -> Result<Vec<Constraint>, String> {
        let coefficient =
            coefficient.ok_or_else(|| format!("no dose per activity of {} is known", self.name))?;
        let accumulated = |total: fn(&Total) -> Option<Gray>| match &self.total {
            None => Some(Gray::new(0.0)),
            Some(of) => total(of),
        };
        let mut all = Vec::new();
        if let Some(limit) = self.dose_limit {
            let accumulated = accumulated(|t| Some(t.dose)).unwrap_or_default();
            let effect = Effect::AbsorbedDose;
            let name = self.name.clone();
            all.push(Constraint { name, limit, accumulated, coefficient, effect });
        }
        if let Some(limit) = self.bed_limit {
            let missing = || format!("the BED of {} is not known in every cycle", self.name);
            let accumulated = accumulated(|t| t.bed).ok_or_else(missing)?;
            let per_gray = self.bed_per_gray.ok_or_else(missing)?;
            let effect = Effect::Bed { per_gray };
            let name = format!("{} (BED)", self.name);
            all.push(Constraint { name, limit, accumulated, coefficient, effect });
        }
        Ok(all)
    }
}

/// Every limited tissue with its sum.
pub fn tissues(plan: &Plan, ledger: &Ledger) -> Vec<Tissue> {
    let drug = &plan.radiopharmaceutical;
    let limits = plan.parameters.limits.0.iter();
    limits
        .map(|(name, limit)| {
            let last = ledger
                .entries
                .iter()
                .filter(|e| e.region == *name && e.radiopharmaceutical == *drug && e.bed.is_some())
                .filter(|e| e.dose.value() > 0.0)
                .max_by_key(|e| e.cycle);
            Tissue {
                name: name.clone(),
                dose_limit: limit.dose_gy.as_ref().map(|gy| Gray::new(gy.value)),
                bed_limit: limit.bed_gy.as_ref().map(|gy| Gray::new(gy.value)),
                total: ledger.total(name, drug),
                bed_per_gray: last.and_then(|e| {
                    let (dose, bed) = (e.dose.value(), e.bed?.value());
                    Some(((bed - dose) / (dose * dose)).max(0.0))
                }),
            }
        })
        .collect()
}

/// The ledger of the limited tissues: computed doses, then what the plan states, then cycles that
/// nobody measured. Where both are there, the computed one counts and a note says so.
pub fn ledger(
    plan: &Plan,
    computed: &[RegionDose],
) -> Result<(Ledger, Vec<String>), PrescribeError> {
    let (mut entries, mut notes) = (Vec::new(), Vec::new());
    for (name, limit) in &plan.parameters.limits.0 {
        for cycle in &plan.cycles {
            let regions: Vec<RegionDose> = computed
                .iter()
                .filter(|r| r.cycle == cycle.number && limit.covers(&r.region))
                .cloned()
                .collect();
            let own = stated(plan, name, limit, cycle.number, None);
            let (regions, method) = match (regions.is_empty(), own.is_empty()) {
                (false, true) => (regions, "computed"),
                (false, false) => {
                    notes.push(format!(
                        "cycle {}: {name} is computed; the plan's value is not used",
                        cycle.number
                    ));
                    (regions, "computed")
                }
                (true, false) => (own, "stated in the plan"),
                (true, true) => continue,
            };
            let activity = Some(cycle.administered.activity);
            let drug = plan.radiopharmaceutical_of(cycle.number);
            entries.push(entry(name, limit, drug, activity, &regions, method));
        }
        entries.extend(others(plan, name, limit));
    }
    let mut ledger = Ledger::new(entries)?;
    let given: Vec<Administered> = plan
        .own_cycles()
        .map(|c| Administered { cycle: c.number, activity: c.administered.activity })
        .collect();
    if let Some(u) = &plan.parameters.prescription.unmeasured_cycle_uncertainty {
        ledger.fill(&plan.radiopharmaceutical, &given, u.value)?;
    }
    Ok((ledger, notes))
}

/// Doses that the plan states of one tissue and cycle, with their BED by the table where the
/// half-life is stated and the BED is not.
fn stated(
    plan: &Plan,
    name: &str,
    limit: &Limit,
    cycle: u32,
    drug: Option<&str>,
) -> Vec<RegionDose> {
    let doses = plan.measured.doses.iter();
    doses
        .filter(|d| d.cycle == cycle && d.radiopharmaceutical.as_deref() == drug)
        .filter(|d| d.region == name || limit.covers(&d.region))
        .map(|d| {
            let half_life = d.effective_half_life_h.map(Seconds::from_hours);
            let dose = Gray::new(d.dose_gy);
            RegionDose {
                cycle,
                region: d.region.clone(),
                dose,
                bed: d.bed_gy.map(Gray::new).or_else(|| bed(plan, name, dose, half_life?)),
                relative_uncertainty: d.relative_uncertainty,
                effective_half_life: half_life,
                single_time_point: matches!(
                    d.half_life_source,
                    Some(HalfLifeSource::PriorCycle | HalfLifeSource::Population)
                ),
                seen: Seen::default(),
            }
        })
        .collect()
}

/// Alpha/beta (Gy) and repair half-time of a tissue: the protocol's, else the table's.
pub fn bed_parameters(plan: &Plan, tissue: &str) -> Option<(f64, Seconds)> {
    let own = plan.parameters.biology.bed_parameters.get(tissue).map(|stated| {
        (stated.value.alpha_beta_gy, Seconds::from_hours(stated.value.repair_half_time_h))
    });
    own.or_else(|| {
        let table = TissueParameters::for_anatomy(tissue)?;
        Some((table.alpha_beta.value(), table.repair_half_time))
    })
}

/// BED of a mono-exponential dose rate.
fn bed(plan: &Plan, tissue: &str, dose: Gray, half_life: Seconds) -> Option<Gray> {
    let (alpha_beta, repair) = bed_parameters(plan, tissue)?;
    let curve =
        [Exponential { amplitude: Becquerel::new(1.0), rate: half_life.half_life_to_rate() }];
    let g = g_factor(&curve, repair).ok()?;
    Some(Gray::new(dose.value() * (1.0 + g * dose.value() / alpha_beta)))
}

fn entry(
    name: &str,
    limit: &Limit,
    drug: &str,
    activity: Option<Becquerel>,
    regions: &[RegionDose],
    method: &str,
) -> Entry {
    let value = |of: &dyn Fn(&RegionDose) -> f64| match limit.combine {
        Combine::Mean => regions.iter().map(of).sum::<f64>() / regions.len() as f64,
        Combine::Worst => regions.iter().map(of).fold(0.0, f64::max),
    };
    let every = |has: &dyn Fn(&RegionDose) -> bool| regions.iter().all(has);
    let single = regions.iter().any(|r| r.single_time_point);
    Entry {
        radiopharmaceutical: drug.to_owned(),
        cycle: regions[0].cycle,
        region: name.to_owned(),
        activity,
        dose: Gray::new(value(&|r| r.dose.value())),
        bed: every(&|r| r.bed.is_some())
            .then(|| Gray::new(value(&|r| r.bed.map_or(0.0, Gray::value)))),
        // Regions of one image share their errors: the larger one, not a mean of both.
        random: every(&|r| r.relative_uncertainty.is_some())
            .then(|| regions.iter().filter_map(|r| r.relative_uncertainty).fold(0.0, f64::max)),
        systematic: None,
        effective_half_life: regions[0].effective_half_life,
        half_life_source: Some(match single {
            true => HalfLifeSource::PriorCycle,
            false => HalfLifeSource::Measured,
        }),
        method: method.to_owned(),
    }
}

/// What the tissue received of other radiopharmaceuticals and of external beams.
fn others(plan: &Plan, name: &str, limit: &Limit) -> Vec<Entry> {
    let mut drugs: Vec<&str> =
        plan.measured.doses.iter().filter_map(|d| d.radiopharmaceutical.as_deref()).collect();
    drugs.sort_unstable();
    drugs.dedup();
    let mut entries = Vec::new();
    for drug in drugs {
        let cycles = plan.measured.doses.iter().filter(|d| d.radiopharmaceutical.is_some());
        let mut cycles: Vec<u32> = cycles.map(|d| d.cycle).collect();
        cycles.sort_unstable();
        cycles.dedup();
        for cycle in cycles {
            let regions = stated(plan, name, limit, cycle, Some(drug));
            if !regions.is_empty() {
                entries.push(entry(name, limit, drug, None, &regions, "stated in the plan"));
            }
        }
    }
    let beams = plan.measured.external_beam.iter();
    let beams = beams.filter(|b| b.region == name || limit.covers(&b.region));
    let eqd2: f64 = beams.map(|b| b.eqd2_gy).sum();
    if eqd2 > 0.0 {
        let own = plan.parameters.biology.bed_parameters.get(name);
        let alpha_beta = own
            .map(|p| p.value.alpha_beta_gy)
            .or_else(|| TissueParameters::for_anatomy(name).map(|t| t.alpha_beta.value()));
        entries.push(Entry {
            radiopharmaceutical: "external beam".into(),
            cycle: 0,
            region: name.to_owned(),
            activity: None,
            dose: Gray::new(eqd2),
            bed: alpha_beta.map(|ab| Gray::new(eqd2 * (1.0 + 2.0 / ab))),
            random: None,
            systematic: None,
            effective_half_life: None,
            half_life_source: None,
            method: "external beam, EQD2 as its dose".into(),
        });
    }
    entries
}
