//! What every rule hands over: an activity with its reasons, or a stop, or a hold.

use crate::quantity::{Becquerel, Gray};
use serde::Serialize;

/// What one constraint alone would allow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Allowed {
    pub name: String,
    pub activity: Becquerel,
    /// Dose (or BED) that would have accumulated after the proposed activity; none for a cap.
    pub after: Option<Gray>,
    pub limit: Option<Gray>,
}

/// Why a rule says nothing until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Stable machine word, kebab-case.
    pub code: &'static str,
    /// One sentence: what was found, what it was held against, what to do.
    pub reason: String,
}

impl Hold {
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The activity may be given as far as the numbers go.
    Proposed,
    /// A limit leaves less than the smallest useful activity: the course ends.
    Stop,
    /// A person has to decide first.
    Hold,
    /// The activity is what the limits allow, and the target is not reached with it.
    TargetNotMet,
}

/// The outcome of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    pub verdict: Verdict,
    /// Rounded down; none where the course stops or is held before anything could be computed.
    pub activity: Option<Becquerel>,
    /// As computed.
    pub unrounded: Becquerel,
    /// Name of the constraint with the least activity.
    pub limiting: String,
    pub allowed: Vec<Allowed>,
    pub holds: Vec<Hold>,
    pub notes: Vec<String>,
}

impl Proposal {
    /// Holds for a further reason; what was computed stays to be seen.
    pub fn hold(&mut self, hold: Hold) {
        self.verdict = Verdict::Hold;
        self.holds.push(hold);
    }
}

/// Down to a multiple of `step`; a value that is a multiple but for rounding errors stays.
pub fn round_down(activity: Becquerel, step: Becquerel) -> Becquerel {
    if step.value() <= 0.0 {
        return activity;
    }
    step * (activity / step + 1e-9).floor()
}

/// A proposal that rests on a single time point must not raise the activity by more than
/// `at_most` (relative) over the last one without a person's word.
pub fn sudden_increase(last: Becquerel, next: Becquerel, at_most: f64) -> Option<Hold> {
    let increase = next / last - 1.0;
    (increase > at_most).then(|| {
        Hold::new(
            "single-time-point-increase",
            format!(
                "{:.0} % more than the last activity would rest on a single time point (at most \
                 {:.0} % may); confirm it, or image at more time points",
                100.0 * increase,
                100.0 * at_most
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_down_to_the_step_and_keeps_multiples() {
        let gbq = Becquerel::from_gbq;
        let rounded = |a: f64| round_down(gbq(a), gbq(0.05)).gbq();
        assert!((rounded(8.3571) - 8.35).abs() < 1e-12);
        assert!((rounded(7.4) - 7.4).abs() < 1e-12);
        assert_eq!(rounded(0.049), 0.0);
    }

    #[test]
    fn more_than_a_quarter_on_one_time_point_is_never_silent() {
        let gbq = Becquerel::from_gbq;
        assert_eq!(sudden_increase(gbq(7.4), gbq(9.2), 0.25), None);
        let hold = sudden_increase(gbq(7.4), gbq(9.3), 0.25).unwrap();
        assert!(hold.reason.starts_with("26 % more"), "{}", hold.reason);
    }
}
