//! One agent under several limits: A = min over limits of what each alone allows.
//!
//! For absorbed dose A = (L − D)/(n d). For BED the dose of the coming cycle solves
//! g D² + D − B = 0 with B = (L − BED)/n and g = G/(α/β), because BEDs of cycles add and the BED of
//! the sum of their doses does not exist.

use super::PrescribeError;
use super::error::{not_negative, positive};
use super::proposal::{Allowed, Proposal, Verdict, round_down};
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel};

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    AbsorbedDose,
    /// BED; `per_gray` is G/(α/β) of the coming cycle, 1/Gy.
    Bed {
        per_gray: f64,
    },
}

/// One limit on what may accumulate in one tissue.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    pub name: String,
    pub limit: Gray,
    pub accumulated: Gray,
    /// Expected absorbed dose per activity in the coming cycle.
    pub coefficient: GrayPerBecquerel,
    pub effect: Effect,
}

impl Constraint {
    fn check(&self) -> Result<(), PrescribeError> {
        positive("a limit (Gy)", self.limit.value())?;
        not_negative("an accumulated dose (Gy)", self.accumulated.value())?;
        positive("a dose coefficient (Gy/GBq)", self.coefficient.gy_per_gbq())?;
        if let Effect::Bed { per_gray } = self.effect {
            not_negative("G/(alpha/beta) (1/Gy)", per_gray)?;
        }
        Ok(())
    }

    /// The activity that uses the `share`-th part of what is left.
    pub fn activity(&self, share: u32) -> Becquerel {
        let left = (self.limit.value() - self.accumulated.value()).max(0.0) / f64::from(share);
        let dose = match self.effect {
            Effect::AbsorbedDose => left,
            // The root written so that no digits cancel: 2B/(1 + √(1 + 4 g B)).
            Effect::Bed { per_gray } => 2.0 * left / (1.0 + (1.0 + 4.0 * per_gray * left).sqrt()),
        };
        Gray::new(dose) / self.coefficient
    }

    /// What has accumulated after one more administration of `activity`.
    pub fn after(&self, activity: Becquerel) -> Gray {
        let dose = self.coefficient * activity;
        let added = match self.effect {
            Effect::AbsorbedDose => dose.value(),
            Effect::Bed { per_gray } => dose.value() * (1.0 + per_gray * dose.value()),
        };
        self.accumulated + Gray::new(added)
    }
}

/// What bounds an activity beside doses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Cycles over which the rest of each limit is spread, this one included.
    pub cycles_left: u32,
    pub cap: Option<Becquerel>,
    /// Less than this is not worth a cycle: stop.
    pub least: Becquerel,
    /// The proposal is rounded down to a multiple of this.
    pub step: Becquerel,
}

/// The activity of the next cycle: the least of what limits and cap allow.
///
/// # Errors
/// [`PrescribeError`] for a limit, dose or coefficient that cannot be, or where there is none.
pub fn next_activity(
    constraints: &[Constraint],
    terms: &Terms,
) -> Result<Proposal, PrescribeError> {
    if terms.cycles_left == 0 {
        return Err(PrescribeError::Missing {
            what: "a cycle that is left",
            supply: "all planned cycles have been given",
        });
    }
    let mut allowed = Vec::new();
    for constraint in constraints {
        constraint.check()?;
        allowed.push(Allowed {
            name: constraint.name.clone(),
            activity: constraint.activity(terms.cycles_left),
            after: None,
            limit: Some(constraint.limit),
        });
    }
    if let Some(cap) = terms.cap {
        positive("an activity cap (GBq)", cap.gbq())?;
        allowed.push(Allowed {
            name: "activity cap".into(),
            activity: cap,
            after: None,
            limit: None,
        });
    }
    let least = allowed.iter().min_by(|a, b| a.activity.value().total_cmp(&b.activity.value()));
    let Some(least) = least.filter(|_| !constraints.is_empty()) else {
        return Err(PrescribeError::NoConstraint);
    };
    let (unrounded, limiting) = (least.activity, least.name.clone());
    let stop = unrounded < terms.least || unrounded.value() <= 0.0;
    let activity = (!stop).then(|| round_down(unrounded, terms.step));
    for (allowed, constraint) in allowed.iter_mut().zip(constraints) {
        allowed.after = activity.map(|activity| constraint.after(activity));
    }
    Ok(Proposal {
        verdict: if stop { Verdict::Stop } else { Verdict::Proposed },
        activity,
        unrounded,
        notes: if stop { vec![format!("limit reached: {limiting}")] } else { Vec::new() },
        limiting,
        allowed,
        holds: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dose(name: &str, limit: f64, accumulated: f64, gy_per_gbq: f64) -> Constraint {
        Constraint {
            name: name.into(),
            limit: Gray::new(limit),
            accumulated: Gray::new(accumulated),
            coefficient: GrayPerBecquerel::from_gy_per_gbq(gy_per_gbq),
            effect: Effect::AbsorbedDose,
        }
    }

    fn terms(cycles_left: u32, cap_gbq: Option<f64>) -> Terms {
        Terms {
            cycles_left,
            cap: cap_gbq.map(Becquerel::from_gbq),
            least: Becquerel::from_gbq(1.0),
            step: Becquerel::from_gbq(0.05),
        }
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    #[test]
    fn v13b_the_quadratic_of_a_bed_limit() {
        let (half_life, repair): (f64, f64) = (51.0, 2.8);
        let g = (1.0 / half_life) / (1.0 / half_life + 1.0 / repair);
        let kidneys = Constraint {
            effect: Effect::Bed { per_gray: g / 2.6 },
            ..dose("kidneys", 27.0, 22.0, 0.5)
        };
        near((kidneys.coefficient * kidneys.activity(1)).value(), 4.5801);
        near(kidneys.activity(1).gbq(), 9.1602);
        near(kidneys.after(kidneys.activity(1)).value(), 27.0);
    }

    #[test]
    fn v18_quebec_second_cycle_from_the_first_cycle_s_measurement() {
        let d1 = 5.4 / 7.6923;
        let proposal = next_activity(&[dose("kidneys", 23.0, 5.4, d1)], &terms(3, None)).unwrap();
        near(proposal.unrounded.gbq(), 8.3571);
        near(proposal.unrounded.gbq() / 7.6923, 1.0864);
        assert_eq!(proposal.activity.unwrap().gbq(), 8.35);
    }

    #[test]
    fn v19_the_cap_limits_and_v19b_the_kidneys_do() {
        let after_4_4 = |kidneys: f64, marrow: f64| {
            let limits = [
                dose("kidneys", 23.0, 4.4 * kidneys, kidneys),
                dose("red marrow", 2.0, 4.4 * marrow, marrow),
            ];
            next_activity(&limits, &terms(2, Some(5.6))).unwrap()
        };
        let capped = after_4_4(1.4, 0.05);
        near(capped.allowed[0].activity.gbq(), 6.0143);
        near(capped.allowed[1].activity.gbq(), 17.8);
        assert_eq!(capped.limiting, "activity cap");
        near(capped.activity.unwrap().gbq(), 5.6);
        let kidneys = after_4_4(2.4, 0.06);
        near(kidneys.unrounded.gbq(), 2.5917);
        assert_eq!(kidneys.limiting, "kidneys");
    }

    #[test]
    fn less_than_the_least_useful_activity_is_a_stop() {
        let proposal = next_activity(&[dose("kidneys", 23.0, 22.9, 0.5)], &terms(1, None)).unwrap();
        assert_eq!((proposal.verdict, proposal.activity), (Verdict::Stop, None));
        assert_eq!(proposal.notes, ["limit reached: kidneys"]);
        let over = next_activity(&[dose("kidneys", 23.0, 25.0, 0.5)], &terms(1, None)).unwrap();
        assert_eq!((over.verdict, over.unrounded.value()), (Verdict::Stop, 0.0));
    }

    #[test]
    fn nothing_is_computed_from_nonsense() {
        assert_eq!(next_activity(&[], &terms(1, Some(5.0))), Err(PrescribeError::NoConstraint));
        for bad in [dose("k", 23.0, 1.0, 0.0), dose("k", -1.0, 1.0, 0.5), dose("k", 2.0, -1.0, 1.0)]
        {
            assert!(next_activity(&[bad], &terms(1, None)).is_err());
        }
        assert!(next_activity(&[dose("k", 23.0, 1.0, f64::NAN)], &terms(1, None)).is_err());
        assert!(next_activity(&[dose("k", 23.0, 1.0, 0.5)], &terms(0, None)).is_err());
    }

    proptest! {
        #[test]
        fn the_activity_is_monotone_in_every_limit_and_never_exceeds_one(
            limit in 5.0f64..50.0, more in 0.0f64..20.0, accumulated in 0.0f64..4.0,
            d in 0.05f64..3.0, g in 0.0f64..0.3, n in 1u32..5,
        ) {
            for effect in [Effect::AbsorbedDose, Effect::Bed { per_gray: g }] {
                let one = Constraint { effect, ..dose("one", limit, accumulated, d) };
                let wider = Constraint { limit: Gray::new(limit + more), ..one.clone() };
                let other = dose("other", 30.0, accumulated, d);
                let least = next_activity(&[one.clone(), other.clone()], &terms(n, None)).unwrap();
                let wide = next_activity(&[wider, other], &terms(n, None)).unwrap();
                prop_assert!(wide.unrounded >= least.unrounded);
                let after = one.after(least.unrounded).value();
                prop_assert!(after <= limit * (1.0 + 1e-12), "{} {}", after, limit);
            }
        }
    }
}
