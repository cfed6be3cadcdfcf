//! What every tissue of a patient has received, over cycles and radiopharmaceuticals.
//!
//! Doses add; BEDs add, because repair is complete between cycles; the BED of the sum does not
//! exist. Random uncertainties of cycles add in quadrature, what is common to them (calibration,
//! mass) adds linearly. A cycle that nobody measured counts with the last measured dose per
//! activity and an inflated uncertainty: it is never left out.

use super::PrescribeError;
use super::error::{not_negative, positive};
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel, Seconds};
use serde::{Deserialize, Serialize};

/// Where an effective half-life comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HalfLifeSource {
    Measured,
    PriorCycle,
    Population,
    Stated,
}

/// One tissue's part of one cycle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub radiopharmaceutical: String,
    pub cycle: u32,
    pub region: String,
    pub activity: Option<Becquerel>,
    pub dose: Gray,
    pub bed: Option<Gray>,
    /// Relative standard uncertainty of independent origin, k = 1.
    pub random: Option<f64>,
    /// Relative standard uncertainty that all cycles share, k = 1.
    pub systematic: Option<f64>,
    pub effective_half_life: Option<Seconds>,
    pub half_life_source: Option<HalfLifeSource>,
    /// `computed`, `stated in the plan`, `external beam`, `not measured`.
    pub method: String,
}

/// An administration, measured or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Administered {
    pub cycle: u32,
    pub activity: Becquerel,
}

/// Sum of one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Total {
    pub region: String,
    pub dose: Gray,
    /// None where a part has none.
    pub bed: Option<Gray>,
    /// Standard uncertainty of the dose, Gy; none where a part has none.
    pub uncertainty: Option<Gray>,
    /// Dose per activity of the last measured cycle.
    pub last_coefficient: Option<GrayPerBecquerel>,
    pub entries: usize,
}

/// All entries of one patient.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Ledger {
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// # Errors
    /// A dose, BED or uncertainty that cannot be; a BED below its dose; an entry given twice.
    pub fn new(entries: Vec<Entry>) -> Result<Self, PrescribeError> {
        for (n, entry) in entries.iter().enumerate() {
            not_negative("a dose of the ledger (Gy)", entry.dose.value())?;
            for u in [entry.random, entry.systematic].into_iter().flatten() {
                not_negative("a relative uncertainty", u)?;
            }
            if let Some(bed) =
                entry.bed.filter(|bed| bed.value() < entry.dose.value() * (1.0 - 1e-9))
            {
                return Err(PrescribeError::Value {
                    what: "a BED (Gy)",
                    wanted: "at least its dose",
                    value: bed.value(),
                });
            }
            let same = |other: &Entry| {
                (&other.region, other.cycle, &other.radiopharmaceutical, &other.method)
                    == (&entry.region, entry.cycle, &entry.radiopharmaceutical, &entry.method)
            };
            if entries[..n].iter().any(same) {
                return Err(PrescribeError::Value {
                    what: "a cycle's dose to one region",
                    wanted: "given once",
                    value: f64::from(entry.cycle),
                });
            }
        }
        Ok(Self { entries })
    }

    /// Adds, for every region of `radiopharmaceutical`, the cycles given but not measured: the
    /// nearest earlier measured dose per activity (else the nearest later one) and `inflated` as
    /// their relative uncertainty. BED scales as G D²/(α/β) does.
    pub fn fill(
        &mut self,
        radiopharmaceutical: &str,
        given: &[Administered],
        inflated: f64,
    ) -> Result<(), PrescribeError> {
        not_negative("the uncertainty of a cycle not measured", inflated)?;
        let mut added = Vec::new();
        for region in self.regions() {
            let measured: Vec<&Entry> = self
                .entries
                .iter()
                .filter(|e| e.region == region && e.radiopharmaceutical == radiopharmaceutical)
                .filter(|e| e.activity.is_some())
                .collect();
            for one in given {
                if measured.iter().any(|e| e.cycle == one.cycle) {
                    continue;
                }
                let before =
                    measured.iter().filter(|e| e.cycle < one.cycle).max_by_key(|e| e.cycle);
                let after = measured.iter().min_by_key(|e| e.cycle);
                let Some(like) = before.or(after) else { continue };
                let Some(activity) = like.activity else { continue };
                positive("an administered activity", activity.value())?;
                let ratio = one.activity / activity;
                let excess = like.bed.map(|bed| bed.value() - like.dose.value());
                let dose = like.dose * ratio;
                added.push(Entry {
                    cycle: one.cycle,
                    activity: Some(one.activity),
                    dose,
                    bed: excess.map(|excess| dose + Gray::new(excess * ratio * ratio)),
                    random: Some(inflated),
                    method: format!("not measured: dose per activity of cycle {}", like.cycle),
                    half_life_source: Some(HalfLifeSource::PriorCycle),
                    ..(*like).clone()
                });
            }
        }
        self.entries.extend(added);
        self.entries.sort_by(|a, b| (a.cycle, &a.region).cmp(&(b.cycle, &b.region)));
        Ok(())
    }

    /// Names of regions, each once, by name.
    pub fn regions(&self) -> Vec<String> {
        let mut regions: Vec<String> = self.entries.iter().map(|e| e.region.clone()).collect();
        regions.sort();
        regions.dedup();
        regions
    }

    /// The sum over everything that one region received; `radiopharmaceutical` is the one whose
    /// last coefficient is wanted.
    pub fn total(&self, region: &str, radiopharmaceutical: &str) -> Option<Total> {
        let entries: Vec<&Entry> = self.entries.iter().filter(|e| e.region == region).collect();
        let last = entries
            .iter()
            .filter(|e| e.radiopharmaceutical == radiopharmaceutical)
            .filter(|e| !e.method.starts_with("not measured"))
            .filter(|e| e.activity.is_some_and(|a| a.value() > 0.0))
            .max_by_key(|e| e.cycle);
        let coefficient =
            last.and_then(|e| Some(GrayPerBecquerel::new(e.dose.value() / e.activity?.value())));
        if entries.is_empty() {
            return None;
        }
        let beds: Option<Vec<Gray>> = entries.iter().map(|e| e.bed).collect();
        Some(Total {
            region: region.to_owned(),
            dose: entries.iter().map(|e| e.dose).sum(),
            bed: beds.map(|beds| beds.into_iter().sum()),
            uncertainty: uncertainty(&entries),
            last_coefficient: coefficient,
            entries: entries.len(),
        })
    }
}

/// √(Σ random² + (Σ systematic)²), Gy. A part without any uncertainty leaves the sum without one.
fn uncertainty(entries: &[&Entry]) -> Option<Gray> {
    let (mut square, mut sum) = (0.0, 0.0);
    for entry in entries {
        if entry.random.is_none() && entry.systematic.is_none() {
            return None;
        }
        square += (entry.dose.value() * entry.random.unwrap_or(0.0)).powi(2);
        sum += entry.dose.value() * entry.systematic.unwrap_or(0.0);
    }
    Some(Gray::new((square + sum * sum).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cycle: u32, dose: f64, bed: Option<f64>) -> Entry {
        Entry {
            radiopharmaceutical: "177Lu-DOTATATE".into(),
            cycle,
            region: "kidneys".into(),
            activity: Some(Becquerel::from_gbq(7.4)),
            dose: Gray::new(dose),
            bed: bed.map(Gray::new),
            random: Some(0.10),
            systematic: Some(0.05),
            effective_half_life: Some(Seconds::from_hours(51.0)),
            half_life_source: Some(HalfLifeSource::Measured),
            method: "computed".into(),
        }
    }

    /// BED of one cycle at T_eff 51 h, T_rep 2.8 h, α/β 2.6 Gy.
    fn bed(dose: f64) -> f64 {
        dose + 0.052045 * dose * dose / 2.6
    }

    #[test]
    fn v13_beds_of_cycles_add_and_the_bed_of_the_sum_is_not_theirs() {
        let doses = [5.0, 4.6, 4.8, 4.4];
        let entries =
            doses.iter().enumerate().map(|(n, &d)| entry(n as u32 + 1, d, Some(bed(d)))).collect();
        let total = Ledger::new(entries).unwrap().total("kidneys", "177Lu-DOTATATE").unwrap();
        assert!((total.dose.value() - 18.8).abs() < 1e-9);
        // 20.573 in print: 20.5725, rounded.
        assert!((total.bed.unwrap().value() - 20.573).abs() < 6e-4);
        assert!(bed(18.8) > total.bed.unwrap().value() + 5.0);
    }

    #[test]
    fn random_parts_add_in_quadrature_and_common_parts_linearly() {
        let ledger = Ledger::new(vec![entry(1, 4.0, None), entry(2, 3.0, None)]).unwrap();
        let u = ledger.total("kidneys", "177Lu-DOTATATE").unwrap().uncertainty.unwrap().value();
        assert!((u - (0.4f64.powi(2) + 0.3f64.powi(2) + 0.35f64.powi(2)).sqrt()).abs() < 1e-12);
        let mut unknown = entry(3, 1.0, None);
        (unknown.random, unknown.systematic) = (None, None);
        let ledger = Ledger::new(vec![entry(1, 4.0, None), unknown]).unwrap();
        assert_eq!(ledger.total("kidneys", "177Lu-DOTATATE").unwrap().uncertainty, None);
    }

    #[test]
    fn a_cycle_that_nobody_measured_counts_with_an_inflated_uncertainty() {
        let mut ledger = Ledger::new(vec![entry(1, 4.0, Some(bed(4.0)))]).unwrap();
        let given = [(1, 7.4), (2, 3.7)]
            .map(|(cycle, gbq)| Administered { cycle, activity: Becquerel::from_gbq(gbq) });
        ledger.fill("177Lu-DOTATATE", &given, 0.3).unwrap();
        assert_eq!(ledger.entries.len(), 2);
        let second = &ledger.entries[1];
        assert!((second.dose.value() - 2.0).abs() < 1e-12);
        assert!((second.bed.unwrap().value() - bed(2.0)).abs() < 1e-12);
        assert_eq!(second.random, Some(0.3));
        assert!(second.method.contains("cycle 1"));
        // The coefficient stays that of the measured cycle.
        let total = ledger.total("kidneys", "177Lu-DOTATATE").unwrap();
        assert!((total.last_coefficient.unwrap().gy_per_gbq() - 4.0 / 7.4).abs() < 1e-12);
    }

    #[test]
    fn lifetime_is_counted_across_radiopharmaceuticals() {
        let other = Entry { radiopharmaceutical: "90Y-DOTATOC".into(), ..entry(1, 6.0, None) };
        let ledger = Ledger::new(vec![entry(1, 4.0, None), other]).unwrap();
        let total = ledger.total("kidneys", "90Y-DOTATOC").unwrap();
        assert_eq!(total.dose.value(), 10.0);
        assert!((total.last_coefficient.unwrap().gy_per_gbq() - 6.0 / 7.4).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Ledger::new(vec![entry(1, -1.0, None)]).is_err());
        assert!(Ledger::new(vec![entry(1, 4.0, Some(3.0))]).is_err(), "BED below dose");
        assert!(Ledger::new(vec![entry(1, 4.0, None), entry(1, 4.0, None)]).is_err(), "twice");
    }
}
