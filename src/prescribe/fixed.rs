//! Fixed and weight-based activities.

use super::PrescribeError;
use super::error::positive;
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel};

/// How much at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Fixed(Becquerel),
    PerKilogram(Becquerel),
}

/// The activity of one cycle, at most `cap`.
pub fn fixed_activity(
    amount: Amount,
    weight_kg: Option<f64>,
    cap: Option<Becquerel>,
) -> Result<Becquerel, PrescribeError> {
    let activity = match amount {
        Amount::Fixed(activity) => activity,
        Amount::PerKilogram(activity) => {
            let weight = weight_kg.ok_or(PrescribeError::Missing {
                what: "the patient's weight",
                supply: "add patient_facts.weight_kg to the plan",
            })?;
            activity * positive("weight (kg)", weight)?
        }
    };
    positive("the activity (GBq)", activity.gbq())?;
    Ok(cap.filter(|cap| *cap < activity).unwrap_or(activity))
}

/// Total activity of a course of (cycles, activity each), and its dose at one coefficient.
pub fn course_dose(
    phases: &[(u32, Becquerel)],
    coefficient: GrayPerBecquerel,
) -> (Becquerel, Gray) {
    let total: Becquerel = phases.iter().map(|(n, activity)| *activity * f64::from(*n)).sum();
    (total, coefficient * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_based_regimes_give_their_published_activities() {
        let mbq = Becquerel::from_mbq;
        let given = |per_kg: f64, kg: f64, cap: Option<f64>| {
            fixed_activity(Amount::PerKilogram(mbq(per_kg)), Some(kg), cap.map(mbq)).unwrap().mbq()
        };
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        near(given(0.055, 70.0, None), 3.85);
        near(given(37.0, 70.0, None), 2590.0);
        near(given(14.8, 90.0, Some(1184.0)), 1184.0);
        near(given(11.1, 70.0, Some(1184.0)), 777.0);
        assert!(fixed_activity(Amount::PerKilogram(mbq(37.0)), None, None).is_err());
    }

    #[test]
    fn low_activity_maintenance_adds_up_beyond_23_gy_to_the_kidneys() {
        let gbq = Becquerel::from_gbq;
        let d = GrayPerBecquerel::from_gy_per_gbq(0.57);
        let (total, dose) = course_dose(&[(4, gbq(5.55)), (8, gbq(3.7))], d);
        assert!((total.gbq() - 51.8).abs() < 1e-9);
        // 29.526 by the printed example.
        assert!((dose.value() - 29.526).abs() < 5e-4 && dose.value() > 23.0);
    }
}
