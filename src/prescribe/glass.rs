//! 90Y glass microspheres by multi-compartment MIRD (DOSISPHERE-01; Garin 2021).
//!
//! A microsphere stays where it lodges and decays there: D = k A f / m with k the energy of all
//! decays of 1 GBq deposited in 1 kg, f the compartment's share of the counts of a surrogate
//! (99mTc-MAA) in the perfused volume. No absolute calibration of those counts is needed.

use super::PrescribeError;
use super::error::{fraction, not_negative, positive};
use super::proposal::{Allowed, Proposal, Verdict, round_down};
use crate::quantity::{Becquerel, Gram, Gray, Seconds};
use serde::Serialize;

/// Constants and limits of the regime, from the protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glass {
    /// Gy·kg/GBq.
    pub gy_kg_per_gbq: f64,
    pub target: Gray,
    /// Below this the target is missed.
    pub target_least: Gray,
    pub normal_liver: Gray,
    pub lungs: Gray,
    /// Mean dose of the standard arm to the whole perfused volume.
    pub standard: Gray,
    pub step: Becquerel,
}

/// What was measured of one patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GlassPlan {
    pub tumour_mass: Gram,
    pub normal_mass: Gram,
    pub lung_mass: Gram,
    /// Counts in the tumour and in the perfused normal liver, on any common scale.
    pub tumour_counts: f64,
    pub normal_counts: f64,
    /// Lung shunt fraction, 0 to below 1.
    pub shunt: f64,
    /// Fraction of the vial that stays in vial and tubing.
    pub residual: f64,
    /// Lung dose of earlier administrations.
    pub lung_dose_before: Gray,
}

/// Doses that an activity in the vial gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Delivered {
    pub tumour: Gray,
    pub normal_liver: Gray,
    pub lungs: Gray,
    pub perfused: Gray,
}

/// LSF = lungs/(lungs + liver) of geometric means of net counts, (anterior, posterior) each.
pub fn lung_shunt_fraction(lungs: (f64, f64), liver: (f64, f64)) -> Result<f64, PrescribeError> {
    let mean = |counts: (f64, f64)| super::geometric_mean(counts.0, counts.1);
    let (lungs, liver) = (mean(lungs)?, mean(liver)?);
    let sum = positive("counts of lungs and liver", lungs + liver)?;
    Ok(lungs / sum)
}

impl GlassPlan {
    fn check(&self) -> Result<(), PrescribeError> {
        positive("the tumour's mass (g)", self.tumour_mass.value())?;
        positive("the normal liver's mass (g)", self.normal_mass.value())?;
        positive("the lungs' mass (g)", self.lung_mass.value())?;
        positive("counts in the tumour", self.tumour_counts)?;
        positive("counts in the normal liver", self.normal_counts)?;
        not_negative("earlier lung dose (Gy)", self.lung_dose_before.value())?;
        fraction("the residual", self.residual)?;
        fraction("the lung shunt fraction", self.shunt)?;
        if self.shunt >= 1.0 || self.residual >= 1.0 {
            return Err(PrescribeError::Shunt(self.shunt));
        }
        Ok(())
    }

    fn shares(&self) -> (f64, f64) {
        let sum = self.tumour_counts + self.normal_counts;
        (self.tumour_counts / sum, self.normal_counts / sum)
    }
}

impl Glass {
    /// Doses of `activity` in the vial at the administration.
    pub fn doses(
        &self,
        plan: &GlassPlan,
        activity: Becquerel,
    ) -> Result<Delivered, PrescribeError> {
        plan.check()?;
        let (tumour, normal) = plan.shares();
        let given = activity.gbq() * (1.0 - plan.residual);
        let liver = given * (1.0 - plan.shunt);
        let dose = |gbq: f64, mass: Gram| Gray::new(self.gy_kg_per_gbq * gbq / kg(mass));
        Ok(Delivered {
            tumour: dose(liver * tumour, plan.tumour_mass),
            normal_liver: dose(liver * normal, plan.normal_mass),
            lungs: dose(given * plan.shunt, plan.lung_mass) + plan.lung_dose_before,
            perfused: dose(liver, plan.tumour_mass + plan.normal_mass),
        })
    }

    /// The personalised arm: the target's activity within what normal liver and lungs allow.
    ///
    /// # Errors
    /// [`PrescribeError`] for masses, counts or fractions that cannot be.
    pub fn personalised(&self, plan: &GlassPlan) -> Result<Proposal, PrescribeError> {
        plan.check()?;
        let (tumour, normal) = plan.shares();
        let liver = self.gy_kg_per_gbq * (1.0 - plan.shunt) * (1.0 - plan.residual);
        let for_target = |dose: Gray| {
            Becquerel::from_gbq(dose.value() * kg(plan.tumour_mass) / (liver * tumour))
        };
        let mut allowed = vec![
            limit("tumour target", for_target(self.target), self.target),
            limit(
                "normal liver",
                Becquerel::from_gbq(
                    self.normal_liver.value() * kg(plan.normal_mass) / (liver * normal),
                ),
                self.normal_liver,
            ),
        ];
        if plan.shunt > 0.0 {
            let left = (self.lungs - plan.lung_dose_before).value().max(0.0);
            let per_gbq =
                self.gy_kg_per_gbq * (1.0 - plan.residual) * plan.shunt / kg(plan.lung_mass);
            allowed.push(limit("lungs", Becquerel::from_gbq(left / per_gbq), self.lungs));
        }
        let mut least = &allowed[0];
        for one in &allowed {
            if one.activity < least.activity {
                least = one;
            }
        }
        let (unrounded, limiting) = (least.activity, least.name.clone());
        let doses = self.doses(plan, unrounded)?;
        for one in &mut allowed {
            one.after = Some(match one.name.as_str() {
                "tumour target" => doses.tumour,
                "normal liver" => doses.normal_liver,
                _ => doses.lungs,
            });
        }
        let met = doses.tumour.value() >= self.target_least.value() * (1.0 - 1e-9);
        let stop = unrounded.value() <= 0.0;
        Ok(Proposal {
            verdict: match (stop, met) {
                (true, _) => Verdict::Stop,
                (_, true) => Verdict::Proposed,
                (_, false) => Verdict::TargetNotMet,
            },
            activity: (!stop).then(|| round_down(unrounded, self.step)),
            unrounded,
            limiting,
            allowed,
            holds: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// The standard arm: one mean dose to the whole perfused volume.
    pub fn standard_activity(&self, plan: &GlassPlan) -> Result<Becquerel, PrescribeError> {
        plan.check()?;
        let mass = kg(plan.tumour_mass + plan.normal_mass);
        let liver = self.gy_kg_per_gbq * (1.0 - plan.shunt) * (1.0 - plan.residual);
        Ok(Becquerel::from_gbq(self.standard.value() * mass / liver))
    }
}

fn limit(name: &str, activity: Becquerel, limit: Gray) -> Allowed {
    Allowed { name: name.into(), activity, after: None, limit: Some(limit) }
}

fn kg(mass: Gram) -> f64 {
    mass.value() / 1000.0
}

/// One vial at one time of administration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VialSlot {
    /// At calibration.
    pub vial: Becquerel,
    /// From calibration to administration.
    pub slot: Seconds,
    pub activity: Becquerel,
    /// activity / wanted − 1.
    pub deviation: f64,
    /// When this vial holds exactly the wanted activity, from calibration.
    pub exact_at: Seconds,
    pub within_tolerance: bool,
}

/// Every vial at every slot inside its shelf life, nearest to `wanted` first.
pub fn vial_slots(
    wanted: Becquerel,
    vials: &[Becquerel],
    slots: &[Seconds],
    half_life: Seconds,
    tolerance: f64,
    shelf_life: Seconds,
) -> Result<Vec<VialSlot>, PrescribeError> {
    positive("the wanted activity (GBq)", wanted.gbq())?;
    let mut all = Vec::new();
    for &vial in vials {
        positive("a vial (GBq)", vial.gbq())?;
        for &slot in slots.iter().filter(|slot| (0.0..=shelf_life.value()).contains(&slot.value()))
        {
            let activity = vial * (-slot.value() / half_life.value()).exp2();
            let deviation = activity / wanted - 1.0;
            all.push(VialSlot {
                vial,
                slot,
                activity,
                deviation,
                exact_at: half_life * (vial / wanted).log2(),
                within_tolerance: deviation.abs() <= tolerance,
            });
        }
    }
    all.sort_by(|a, b| a.deviation.abs().total_cmp(&b.deviation.abs()));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLASS: Glass = Glass {
        gy_kg_per_gbq: 50.0,
        target: Gray::new(250.0),
        target_least: Gray::new(205.0),
        normal_liver: Gray::new(120.0),
        lungs: Gray::new(30.0),
        standard: Gray::new(120.0),
        step: Becquerel::new(5e7),
    };

    fn plan() -> GlassPlan {
        GlassPlan {
            tumour_mass: Gram::new(500.0),
            normal_mass: Gram::new(600.0),
            lung_mass: Gram::new(1000.0),
            tumour_counts: 70.0,
            normal_counts: 30.0,
            shunt: 0.05,
            residual: 0.01,
            lung_dose_before: Gray::new(0.0),
        }
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    #[test]
    fn v1_the_target_s_activity_within_liver_and_lungs() {
        let proposal = GLASS.personalised(&plan()).unwrap();
        near(proposal.allowed[0].activity.gbq(), 3.7974);
        near(proposal.allowed[1].activity.gbq(), 5.1037);
        near(proposal.allowed[2].activity.gbq(), 12.121);
        near(proposal.unrounded.gbq(), 3.7974);
        assert_eq!((proposal.verdict, &*proposal.limiting), (Verdict::Proposed, "tumour target"));
        let doses = GLASS.doses(&plan(), proposal.unrounded).unwrap();
        near(doses.tumour.value(), 250.0);
        near(doses.normal_liver.value(), 89.286);
        near(doses.lungs.value(), 9.3985);
        near(doses.perfused.value(), 162.34);
        near(GLASS.standard_activity(&plan()).unwrap().gbq(), 2.8070);
        let least = Glass { target: Gray::new(205.0), ..GLASS };
        near(least.personalised(&plan()).unwrap().unrounded.gbq(), 3.1138);
    }

    #[test]
    fn v2_vials_and_the_times_at_which_they_hold_the_activity() {
        let half_life = Seconds::from_hours(64.1);
        let vials = [5.0, 7.0, 10.0, 15.0, 20.0].map(Becquerel::from_gbq);
        let slot = Seconds::from_hours(68.0);
        near((-68.0f64 / 64.1).exp2(), 0.47935);
        near(3.6 / (-68.0f64 / 64.1).exp2(), 7.5101);
        let wanted = Becquerel::from_gbq(3.6);
        let shelf = Seconds::from_hours(288.0);
        let slots = vial_slots(wanted, &vials, &[slot], half_life, 0.1, shelf).unwrap();
        let exact = |gbq: f64| slots.iter().find(|s| s.vial.gbq() == gbq).unwrap().exact_at.hours();
        for (vial, hours) in
            [(5.0, 30.379), (7.0, 61.495), (10.0, 94.479), (15.0, 131.98), (20.0, 158.58)]
        {
            near(exact(vial), hours);
        }
        assert_eq!((slots[0].vial.gbq(), slots[0].within_tolerance), (7.0, true));
        assert!(!slots.iter().any(|s| s.vial.gbq() == 20.0 && s.within_tolerance));
        let late = [Seconds::from_hours(300.0)];
        assert!(vial_slots(wanted, &vials, &late, half_life, 0.1, shelf).unwrap().is_empty());
    }

    #[test]
    fn v3_lung_shunt_of_planar_counts() {
        let lsf = lung_shunt_fraction((42000.0, 39000.0), (610_000.0, 520_000.0)).unwrap();
        near(lsf, 0.067043);
    }

    #[test]
    fn the_scale_of_the_counts_does_not_matter() {
        let scaled = GlassPlan { tumour_counts: 70e6, normal_counts: 30e6, ..plan() };
        let (a, b) = (GLASS.personalised(&plan()).unwrap(), GLASS.personalised(&scaled).unwrap());
        near(a.unrounded.gbq(), b.unrounded.gbq());
    }

    #[test]
    fn shunt_divides_the_activity_and_multiplies_no_lung_dose_without_residual() {
        // Two public calculators multiply by (1 − LSF) and forget the residual in the lungs.
        let shunted = GlassPlan { shunt: 0.1, ..plan() };
        let none = GlassPlan { shunt: 0.0, ..plan() };
        let activity = |p| GLASS.standard_activity(p).unwrap().gbq();
        near(activity(&shunted) * 0.9, activity(&none));
        assert!(activity(&shunted) > activity(&none));
        let lungs = |p| GLASS.doses(p, Becquerel::from_gbq(1.0)).unwrap().lungs.value();
        near(lungs(&shunted), 50.0 * 0.99 * 0.1);
    }

    #[test]
    fn a_target_out_of_reach_is_said_and_never_escalated() {
        let hot = GlassPlan { tumour_counts: 30.0, normal_counts: 70.0, ..plan() };
        let proposal = GLASS.personalised(&hot).unwrap();
        assert_eq!(proposal.verdict, Verdict::TargetNotMet);
        assert_eq!(proposal.limiting, "normal liver");
        let before = GlassPlan { lung_dose_before: Gray::new(30.0), ..plan() };
        assert_eq!(GLASS.personalised(&before).unwrap().verdict, Verdict::Stop);
        let nonsense = GlassPlan { shunt: 1.0, ..plan() };
        assert_eq!(GLASS.personalised(&nonsense), Err(PrescribeError::Shunt(1.0)));
        assert!(GLASS.personalised(&GlassPlan { tumour_counts: -1.0, ..plan() }).is_err());
    }
}
