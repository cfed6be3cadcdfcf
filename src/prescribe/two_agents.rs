//! Two agents under common limits: a linear programme in two activities.
//!
//! max Σ over lesions under Σ dᵢⱼ Aⱼ ≤ Lᵢ, 0 ≤ Aⱼ ≤ capⱼ (Madsen 2006). With two variables every
//! optimum is at a corner where two lines cross, so all corners are looked at: exact and without
//! iteration. The max-min objective adds the dose of the worst lesion as a third variable; its
//! optimum too lies where lines cross, of limits or of two lesions of equal dose.

use super::PrescribeError;
use super::error::{not_negative, positive};
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel};
use serde::{Deserialize, Serialize};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    First,
    Second,
}

/// Dose per activity of a tissue by each agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub name: String,
    pub first: GrayPerBecquerel,
    pub second: GrayPerBecquerel,
    /// Limit of an organ; mass of a lesion as its weight in the mean.
    pub bound: f64,
}

/// What is to be large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Dose of the first lesion of the list.
    IndexLesion,
    /// Mean dose of all lesions, weighted by `bound` (their masses).
    MassWeightedMean,
    /// Dose of the lesion that gets least.
    MaxMin,
}

/// The optimum and what each agent alone would give.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sharing {
    pub first: Becquerel,
    pub second: Becquerel,
    /// Value of the objective.
    pub dose: Gray,
    pub first_alone: (Becquerel, Gray),
    pub second_alone: (Becquerel, Gray),
    /// dose / best single agent − 1.
    pub gain: f64,
    /// Limits (and caps) that are used up.
    pub limiting: Vec<String>,
    /// Dose of every lesion, in the order given.
    pub lesions: Vec<(String, Gray)>,
}

/// A line p·x + q·y ≤ limit, activities in GBq.
struct Line {
    name: String,
    p: f64,
    q: f64,
    limit: f64,
}

/// The best activities of the two agents. `organs` hold limits (Gy) in `bound`.
///
/// # Errors
/// [`PrescribeError`] where no organ or no lesion is given, or a number cannot be.
pub fn two_agents(
    organs: &[Pair],
    lesions: &[Pair],
    objective: Objective,
    caps: [Option<Becquerel>; 2],
) -> Result<Sharing, PrescribeError> {
    let lines = lines(organs, caps)?;
    if lesions.is_empty() {
        return Err(PrescribeError::Missing {
            what: "a lesion",
            supply: "two agents are shared for the dose of a lesion; give at least one",
        });
    }
    for lesion in lesions {
        not_negative("a lesion's coefficient (Gy/GBq)", lesion.first.gy_per_gbq())?;
        not_negative("a lesion's coefficient (Gy/GBq)", lesion.second.gy_per_gbq())?;
        positive("a lesion's weight", lesion.bound)?;
    }
    let value = |x: f64, y: f64| value(objective, lesions, x, y);
    let corners = corners(&lines, lesions);
    let best = |keep: &dyn Fn(&(f64, f64)) -> bool| {
        let mut best = (0.0, 0.0);
        for corner in corners.iter().filter(|corner| keep(corner)) {
            if value(corner.0, corner.1) > value(best.0, best.1) * (1.0 + 1e-12) {
                best = *corner;
            }
        }
        best
    };
    let both = best(&|_| true);
    let (alone_x, alone_y) = (best(&|c| c.1 == 0.0), best(&|c| c.0 == 0.0));
    let single = value(alone_x.0, 0.0).max(value(0.0, alone_y.1));
    let dose = value(both.0, both.1);
    let used = |line: &&Line| line.p * both.0 + line.q * both.1 >= line.limit * (1.0 - 1e-9);
    let lesion = |lesion: &Pair| (lesion.name.clone(), Gray::new(at(lesion, both.0, both.1)));
    Ok(Sharing {
        first: Becquerel::from_gbq(both.0),
        second: Becquerel::from_gbq(both.1),
        dose: Gray::new(dose),
        first_alone: (Becquerel::from_gbq(alone_x.0), Gray::new(value(alone_x.0, 0.0))),
        second_alone: (Becquerel::from_gbq(alone_y.1), Gray::new(value(0.0, alone_y.1))),
        gain: if single > 0.0 { dose / single - 1.0 } else { 0.0 },
        limiting: lines.iter().filter(used).map(|line| line.name.clone()).collect(),
        lesions: lesions.iter().map(lesion).collect(),
    })
}

fn lines(organs: &[Pair], caps: [Option<Becquerel>; 2]) -> Result<Vec<Line>, PrescribeError> {
    if organs.is_empty() {
        return Err(PrescribeError::NoConstraint);
    }
    let mut lines = Vec::new();
    for organ in organs {
        lines.push(Line {
            name: organ.name.clone(),
            p: positive("an organ's coefficient (Gy/GBq)", organ.first.gy_per_gbq())?,
            q: positive("an organ's coefficient (Gy/GBq)", organ.second.gy_per_gbq())?,
            limit: positive("an organ's limit (Gy)", organ.bound)?,
        });
    }
    for (cap, agent) in caps.iter().zip([Agent::First, Agent::Second]) {
        let Some(cap) = cap else { continue };
        let (p, q) = if agent == Agent::First { (1.0, 0.0) } else { (0.0, 1.0) };
        let limit = positive("an activity cap (GBq)", cap.gbq())?;
        lines.push(Line { name: "activity cap".into(), p, q, limit });
    }
    Ok(lines)
}

fn at(lesion: &Pair, x: f64, y: f64) -> f64 {
    lesion.first.gy_per_gbq() * x + lesion.second.gy_per_gbq() * y
}

fn value(objective: Objective, lesions: &[Pair], x: f64, y: f64) -> f64 {
    match objective {
        Objective::IndexLesion => lesions.first().map_or(0.0, |lesion| at(lesion, x, y)),
        Objective::MassWeightedMean => {
            let weight: f64 = lesions.iter().map(|lesion| lesion.bound).sum();
            lesions.iter().map(|lesion| lesion.bound * at(lesion, x, y)).sum::<f64>() / weight
        }
        Objective::MaxMin => {
            lesions.iter().map(|lesion| at(lesion, x, y)).fold(f64::INFINITY, f64::min)
        }
    }
}

/// Every feasible crossing of two of: limits, axes, and rays of equal dose of two lesions.
fn corners(lines: &[Line], lesions: &[Pair]) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64, f64)> = lines.iter().map(|l| (l.p, l.q, l.limit)).collect();
    all.extend([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]);
    for (n, one) in lesions.iter().enumerate() {
        for other in &lesions[n + 1..] {
            let p = one.first.gy_per_gbq() - other.first.gy_per_gbq();
            let q = one.second.gy_per_gbq() - other.second.gy_per_gbq();
            all.push((p, q, 0.0));
        }
    }
    let mut corners = Vec::new();
    for (n, (a, b, c)) in all.iter().enumerate() {
        for (d, e, f) in &all[n + 1..] {
            let determinant = a * e - b * d;
            if determinant.abs() < 1e-300 {
                continue;
            }
            // The tiny negative of a crossing on an axis is the axis.
            let clean = |v: f64| if v.abs() < 1e-12 { 0.0 } else { v };
            let x = clean((c * e - b * f) / determinant);
            let y = clean((a * f - c * d) / determinant);
            let inside = |l: &Line| l.p * x + l.q * y <= l.limit * (1.0 + 1e-9);
            if x >= 0.0 && y >= 0.0 && x.is_finite() && y.is_finite() && lines.iter().all(inside) {
                corners.push((x, y));
            }
        }
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(name: &str, first: f64, second: f64, bound: f64) -> Pair {
        let d = GrayPerBecquerel::from_gy_per_gbq;
        Pair { name: name.into(), first: d(first), second: d(second), bound }
    }

    fn organs() -> [Pair; 2] {
        [pair("kidneys", 2.5, 0.30, 19.0), pair("red marrow", 0.05, 0.065, 1.5)]
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() <= 5e-5 * wanted.abs(), "{found} is not {wanted}");
    }

    #[test]
    fn v21_both_agents_together_beat_each_alone() {
        let lesion = [pair("lesion", 5.0, 1.2, 1.0)];
        let best = two_agents(&organs(), &lesion, Objective::IndexLesion, [None, None]).unwrap();
        near(best.first.gbq(), 5.3220);
        near(best.second.gbq(), 18.983);
        near(best.dose.value(), 49.390);
        near(best.first_alone.0.gbq(), 7.6);
        near(best.first_alone.1.value(), 38.0);
        near(best.second_alone.0.gbq(), 23.077);
        near(best.second_alone.1.value(), 27.692);
        near(best.gain, 0.29973);
        assert_eq!(best.limiting, ["kidneys", "red marrow"]);
    }

    #[test]
    fn v21b_a_lesion_that_hardly_takes_the_second_gets_the_first_alone() {
        let lesion = [pair("lesion", 5.0, 0.4, 1.0)];
        let best = two_agents(&organs(), &lesion, Objective::IndexLesion, [None, None]).unwrap();
        near(best.first.gbq(), 7.6);
        assert_eq!(best.second.gbq(), 0.0);
        assert_eq!(best.limiting, ["kidneys"]);
    }

    #[test]
    fn the_worst_lesion_counts_in_max_min_and_every_lesion_is_reported() {
        let lesions = [pair("takes the first", 5.0, 0.1, 30.0), pair("the second", 0.2, 2.0, 10.0)];
        let of = |objective| two_agents(&organs(), &lesions, objective, [None, None]).unwrap();
        let (worst, mean) = (of(Objective::MaxMin), of(Objective::MassWeightedMean));
        let least = |s: &Sharing| s.lesions.iter().map(|l| l.1.value()).fold(f64::MAX, f64::min);
        assert!(least(&worst) >= least(&mean));
        near(worst.dose.value(), least(&worst));
        assert_eq!(mean.lesions.len(), 2);
        let capped = two_agents(
            &organs(),
            &lesions,
            Objective::MaxMin,
            [Some(Becquerel::from_gbq(1.0)), None],
        );
        assert!(capped.unwrap().first.gbq() <= 1.0 + 1e-12);
    }

    proptest! {
        #[test]
        fn no_point_of_a_grid_is_better_than_the_corner(
            k in (0.1f64..3.0, 0.1f64..3.0), m in (0.01f64..0.2, 0.01f64..0.2),
            t in (0.0f64..6.0, 0.0f64..6.0), s in (0.0f64..6.0, 0.0f64..6.0),
        ) {
            let organs = [pair("k", k.0, k.1, 19.0), pair("m", m.0, m.1, 1.5)];
            let lesions = [pair("a", t.0, t.1, 3.0), pair("b", s.0, s.1, 1.0)];
            for objective in
                [Objective::IndexLesion, Objective::MassWeightedMean, Objective::MaxMin]
            {
                let best = two_agents(&organs, &lesions, objective, [None, None]).unwrap();
                for n in 0..=20 {
                    for o in 0..=20 {
                        let (x, y) = (f64::from(n) * 10.0, f64::from(o) * 10.0);
                        let feasible = organs.iter().all(|organ| at(organ, x, y) <= organ.bound);
                        if feasible {
                            let there = value(objective, &lesions, x, y);
                            prop_assert!(there <= best.dose.value() * (1.0 + 1e-9) + 1e-9);
                        }
                    }
                }
            }
        }
    }
}
