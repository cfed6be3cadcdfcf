//! 131I-MIBG: a weight-based total, reduced until every organ stays below its limit.

use super::error::positive;
use super::proposal::{Allowed, Proposal, Verdict, round_down};
use super::{Constraint, PrescribeError};
use crate::quantity::Becquerel;

/// A = A_w · min(1, minⱼ Lⱼ/(dⱼ A_w)), in `cycles` equal parts. `base` is the total by weight.
///
/// # Errors
/// [`PrescribeError`] for a base, limit or coefficient that cannot be.
pub fn reduced_total(
    base: Becquerel,
    limits: &[Constraint],
    cycles: u32,
    step: Becquerel,
) -> Result<Proposal, PrescribeError> {
    positive("the total activity (GBq)", base.gbq())?;
    positive("the number of cycles", f64::from(cycles))?;
    let by_weight =
        Allowed { name: "activity by weight".into(), activity: base, after: None, limit: None };
    let mut allowed = vec![by_weight];
    for limit in limits {
        positive("a dose coefficient (Gy/GBq)", limit.coefficient.gy_per_gbq())?;
        allowed.push(Allowed {
            name: limit.name.clone(),
            activity: limit.activity(1),
            after: None,
            limit: Some(limit.limit),
        });
    }
    let mut least = &allowed[0];
    for one in &allowed {
        if one.activity < least.activity {
            least = one;
        }
    }
    let (total, limiting) = (least.activity, least.name.clone());
    for (one, limit) in allowed.iter_mut().skip(1).zip(limits) {
        one.after = Some(limit.after(total));
    }
    let each = total / f64::from(cycles);
    let stop = total.value() <= 0.0;
    Ok(Proposal {
        verdict: if stop { Verdict::Stop } else { Verdict::Proposed },
        activity: (!stop).then(|| round_down(each, step)),
        unrounded: each,
        limiting,
        allowed,
        holds: Vec::new(),
        notes: vec![format!("{:.0} MBq in {cycles} equal cycles", total.mbq())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prescribe::Effect;
    use crate::quantity::{Gray, GrayPerBecquerel};

    fn limits(of: &[(&str, f64, f64)]) -> Vec<Constraint> {
        of.iter()
            .map(|&(name, limit, gy_per_gbq)| Constraint {
                name: name.into(),
                limit: Gray::new(limit),
                accumulated: Gray::new(0.0),
                coefficient: GrayPerBecquerel::from_gy_per_gbq(gy_per_gbq),
                effect: Effect::AbsorbedDose,
            })
            .collect()
    }

    #[test]
    fn v9_kidneys_reduce_1000_mci_to_667() {
        let base = Becquerel::from_mbq(37000.0);
        let step = Becquerel::new(0.0);
        let proposal =
            reduced_total(base, &limits(&[("kidneys", 18.0, 0.72973)]), 2, step).unwrap();
        assert!((proposal.unrounded.mbq() / 12333.0 - 1.0).abs() < 5e-5);
        assert!((2.0 * proposal.unrounded.mbq() / 24667.0 - 1.0).abs() < 5e-5);
        assert_eq!(proposal.limiting, "kidneys");
    }

    #[test]
    fn v9b_nothing_reduces_a_light_patient_s_activity() {
        let base = Becquerel::from_mbq(296.0 * 55.0 * 2.0);
        let all = limits(&[
            ("red marrow", 12.0, 0.25),
            ("lungs", 16.5, 0.30),
            ("kidneys", 18.0, 0.40),
            ("liver", 31.0, 0.50),
            ("small intestine", 40.0, 0.30),
        ]);
        let proposal = reduced_total(base, &all, 2, Becquerel::new(0.0)).unwrap();
        assert!((proposal.unrounded.mbq() - 16280.0).abs() < 1e-6);
        assert_eq!(proposal.limiting, "activity by weight");
    }
}
