//! Fixed activity, variable number of cycles: may the next one be given?

use super::Constraint;
use crate::quantity::Becquerel;
use serde::{Deserialize, Serialize};

/// When a course of fixed activities ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Another cycle only if no limit would be exceeded after it: the safe rule.
    NotExceed,
    /// Another cycle as long as no limit has been reached: what the trials did.
    Reach,
}

/// The answer, with the limit that is nearest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub may_be_given: bool,
    /// Names of the limits that say no.
    pub because: Vec<String>,
}

/// May `fixed` be given once more?
pub fn another_cycle(clock: Clock, constraints: &[Constraint], fixed: Becquerel) -> Decision {
    let says_no = |constraint: &&Constraint| match clock {
        // Sums of doses carry rounding errors: a limit met to nine digits is met, not exceeded.
        Clock::NotExceed => {
            constraint.after(fixed).value() > constraint.limit.value() * (1.0 + 1e-9)
        }
        Clock::Reach => constraint.accumulated >= constraint.limit,
    };
    let because: Vec<String> =
        constraints.iter().filter(says_no).map(|constraint| constraint.name.clone()).collect();
    Decision { may_be_given: because.is_empty(), because }
}

/// Cycles of `fixed` that the clock allows from here on if each does what is expected, at most
/// `most`.
pub fn cycles_within(clock: Clock, constraints: &[Constraint], fixed: Becquerel, most: u32) -> u32 {
    let mut constraints = constraints.to_vec();
    let mut cycles = 0;
    while cycles < most && another_cycle(clock, &constraints, fixed).may_be_given {
        for constraint in &mut constraints {
            constraint.accumulated = constraint.after(fixed);
        }
        cycles += 1;
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prescribe::Effect;
    use crate::quantity::{Gray, GrayPerBecquerel};

    fn kidneys(limit: f64, accumulated: f64, gy_per_gbq: f64) -> Constraint {
        Constraint {
            name: "kidneys".into(),
            limit: Gray::new(limit),
            accumulated: Gray::new(accumulated),
            coefficient: GrayPerBecquerel::from_gy_per_gbq(gy_per_gbq),
            effect: Effect::AbsorbedDose,
        }
    }

    #[test]
    fn v10_six_cycles_of_3_6042_gy_do_not_exceed_23_gy() {
        let fixed = Becquerel::from_gbq(7.4);
        let start = [kidneys(23.0, 0.0, 3.6042 / 7.4)];
        assert_eq!(cycles_within(Clock::NotExceed, &start, fixed, 20), 6);
        assert!((6.0 * 3.6042 - 21.625f64).abs() < 1e-3);
        // The trials' wording reaches the limit: one more.
        assert_eq!(cycles_within(Clock::Reach, &start, fixed, 20), 7);
    }

    #[test]
    fn a_limit_met_exactly_is_not_exceeded_but_reached() {
        let fixed = Becquerel::from_gbq(7.4);
        let last = [kidneys(23.0, 23.0 - 3.7, 0.5)];
        assert!(another_cycle(Clock::NotExceed, &last, fixed).may_be_given);
        let met = [kidneys(23.0, 23.0, 0.5)];
        assert_eq!(another_cycle(Clock::Reach, &met, fixed).because, ["kidneys"]);
    }

    #[test]
    fn a_predicted_excess_is_a_no_with_its_limit_named() {
        let decision =
            another_cycle(Clock::NotExceed, &[kidneys(23.0, 20.0, 0.5)], Becquerel::from_gbq(7.4));
        assert_eq!(decision, Decision { may_be_given: false, because: vec!["kidneys".into()] });
    }
}
