//! Decay chains: how many decays of each daughter, where, and when (Bateman 1910).
//!
//! Two uses. In equilibrium, a short-lived daughter decays where and when its parent does: its
//! energies are added to the parent's ([`EQUILIBRIUM_HALF_LIFE_RATIO`]). Explicitly, a [`Chain`]
//! gives each member's activity and decays as functions of time, and parts the atoms that stay
//! where the parent decayed from those that left, by a retention fraction for each daughter.

use super::table;
use super::{DecayData, Nuclide, NuclideError};
use crate::quantity::{Becquerel, BecquerelSecond, Seconds};

/// A daughter counts as in equilibrium when its half-life is at most this fraction of the parent's:
/// its activity has then settled to within 0.1 % after one half-life of the parent. 212Bi under
/// 212Pb (0.095) is the slowest that does; 223Ra under 227Th and 131mXe under 131I do not.
pub const EQUILIBRIUM_HALF_LIFE_RATIO: f64 = 0.1;

/// Decays per decay of the parent of each member in equilibrium, the parent first.
pub(super) fn equilibrium<'a>(
    parent: &Nuclide,
    look_up: &dyn Fn(&Nuclide) -> Option<&'a DecayData>,
) -> Vec<(Nuclide, f64)> {
    let Some(data) = look_up(parent) else { return Vec::new() };
    let limit = data.half_life.value() * EQUILIBRIUM_HALF_LIFE_RATIO;
    let mut members = vec![(parent.clone(), 1.0)];
    add_daughters(data, 1.0, limit, look_up, &mut members);
    members
}

/// Depth first; the depth is that of a decay chain in our own tables, at most eight.
fn add_daughters<'a>(
    data: &DecayData,
    decays: f64,
    limit: f64,
    look_up: &dyn Fn(&Nuclide) -> Option<&'a DecayData>,
    members: &mut Vec<(Nuclide, f64)>,
) {
    for daughter in &data.daughters {
        let Some(next) = look_up(&daughter.nuclide) else { continue };
        if next.half_life.value() > limit {
            continue;
        }
        let share = decays * daughter.fraction;
        match members.iter_mut().find(|(n, _)| *n == daughter.nuclide) {
            Some((_, total)) => *total += share,
            None => members.push((daughter.nuclide.clone(), share)),
        }
        add_daughters(next, share, limit, look_up, members);
    }
}

/// One nuclide of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub nuclide: Nuclide,
    pub data: &'static DecayData,
    /// Fraction of its atoms that stay where their parent decayed (0 to 1). For the head of the
    /// chain it has no effect.
    pub retention: f64,
}

/// Decays of one member, parted by place.
#[derive(Debug, Clone, PartialEq)]
pub struct DecayCount {
    pub nuclide: Nuclide,
    /// Decays where the head of the chain decayed.
    pub retained: BecquerelSecond,
    /// Decays of atoms that left, or whose ancestor left, for the compartments of the user's model.
    pub released: BecquerelSecond,
}

/// A parent and every descendant there are decay data for, ancestors first.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    members: Vec<Member>,
}

/// One way from the head to a member: rate constants (1/s), product of branchings, of retentions.
struct Path {
    rates: Vec<f64>,
    branching: f64,
    retained: f64,
}

impl Chain {
    /// The chain below `head`, every daughter fully retained.
    ///
    /// # Errors
    /// [`NuclideError::NoData`] for a head without a table.
    pub fn of(head: &Nuclide) -> Result<Self, NuclideError> {
        let mut chain = Self { members: Vec::new() };
        chain.visit(head, head.decay()?);
        chain.members.reverse();
        Ok(chain)
    }

    /// Appends descendants before their ancestor, so that the reverse has ancestors first.
    fn visit(&mut self, nuclide: &Nuclide, data: &'static DecayData) {
        if self.members.iter().any(|m| m.nuclide == *nuclide) {
            return;
        }
        for daughter in &data.daughters {
            if let Some(next) = table::find(&daughter.nuclide) {
                self.visit(&daughter.nuclide, next);
            }
        }
        self.members.push(Member { nuclide: nuclide.clone(), data, retention: 1.0 });
    }

    /// Sets the fraction of a daughter's atoms that stay where their parent decayed.
    ///
    /// # Errors
    /// [`NuclideError::NotInChain`], [`NuclideError::OutOfRange`] for a fraction outside 0 to 1.
    pub fn with_retention(
        mut self,
        daughter: &Nuclide,
        fraction: f64,
    ) -> Result<Self, NuclideError> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(NuclideError::OutOfRange {
                quantity: "the retained fraction of a daughter",
                range: "0 to 1",
                value: fraction.to_string(),
            });
        }
        let head = self.members[0].nuclide.to_string();
        match self.members.iter_mut().skip(1).find(|m| m.nuclide == *daughter) {
            Some(member) => {
                member.retention = fraction;
                Ok(self)
            }
            None => Err(NuclideError::NotInChain(daughter.to_string(), head)),
        }
    }

    /// Head first, then descendants, each after all its ancestors.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Activity of each member, retained and released together, at `elapsed` after the head alone
    /// had `initial`; physical decay only. Good to 1e-9 of the highest activity in the chain.
    pub fn activities(&self, initial: Becquerel, elapsed: Seconds) -> Vec<(Nuclide, Becquerel)> {
        let t = elapsed.value();
        self.each_path(|path| path.branching * path.activity(t))
            .into_iter()
            .map(|(nuclide, [retained, released])| (nuclide, initial * (retained + released)))
            .collect()
    }

    /// Decays of each member from the moment the head alone had `initial`, to `until` (to the end
    /// of time for `None`: then a long-lived end of the chain, 207Bi under 211At, decays fully).
    /// Physical decay only; scale by the head's biology outside.
    pub fn decays(&self, initial: Becquerel, until: Option<Seconds>) -> Vec<DecayCount> {
        self.each_path(|path| path.branching * path.decays(until.map(Seconds::value)))
            .into_iter()
            .map(|(nuclide, [retained, released])| DecayCount {
                nuclide,
                retained: BecquerelSecond::new(initial.value() * retained),
                released: BecquerelSecond::new(initial.value() * released),
            })
            .collect()
    }

    /// Decays of each member per decay of the head over all time, parted by retention: what a
    /// cumulated activity of the head is multiplied with.
    pub fn decays_per_head_decay(&self) -> Vec<(Nuclide, f64, f64)> {
        self.each_path(|path| path.branching)
            .into_iter()
            .map(|(nuclide, [retained, released])| (nuclide, retained, released))
            .collect()
    }

    /// Sums a quantity over the ways to each member, parted into what is retained and released.
    fn each_path(&self, quantity: impl Fn(&Path) -> f64) -> Vec<(Nuclide, [f64; 2])> {
        let mut sums = vec![[0.0; 2]; self.members.len()];
        let mut path = Path { rates: Vec::new(), branching: 1.0, retained: 1.0 };
        self.walk(0, &mut path, &mut |member, path| {
            let value = quantity(path);
            sums[member][0] += value * path.retained;
            sums[member][1] += value * (1.0 - path.retained);
        });
        self.members.iter().map(|m| m.nuclide.clone()).zip(sums).collect()
    }

    fn walk(&self, at: usize, path: &mut Path, found: &mut dyn FnMut(usize, &Path)) {
        let data = self.members[at].data;
        path.rates.push(data.half_life.half_life_to_rate().value());
        found(at, path);
        for daughter in &data.daughters {
            let next = self.members.iter().position(|m| m.nuclide == daughter.nuclide);
            if let Some(next) = next {
                let (branching, retained) = (path.branching, path.retained);
                path.branching *= daughter.fraction;
                path.retained *= self.members[next].retention;
                self.walk(next, path, found);
                (path.branching, path.retained) = (branching, retained);
            }
        }
        path.rates.pop();
    }
}

impl Path {
    /// Activity of the last member at `t`, per unit of the head's at 0, branching apart:
    /// sum over i of exp(-l_i t) times the product over the others of l_j / (l_j - l_i), where the
    /// head's own rate does not appear above.
    fn activity(&self, t: f64) -> f64 {
        let sum: f64 =
            (0..self.rates.len()).map(|i| self.coefficient(i) * (-self.rates[i] * t).exp()).sum();
        // Cancellation among the terms leaves rounding where the sum is next to nothing.
        sum.max(0.0)
    }

    /// Decays of the last member up to `until`, per unit of the head's initial activity.
    fn decays(&self, until: Option<f64>) -> f64 {
        match until {
            // Every atom of the head decays once, and so does each that descends from it.
            None => 1.0 / self.rates[0],
            Some(t) => {
                let sum: f64 = (0..self.rates.len())
                    .map(|i| self.coefficient(i) * -(-self.rates[i] * t).exp_m1() / self.rates[i])
                    .sum();
                sum.max(0.0)
            }
        }
    }

    fn coefficient(&self, i: usize) -> f64 {
        let own = self.rates[i];
        let last = self.rates.len() - 1;
        let others: f64 = (0..=last)
            .filter(|j| *j != i)
            .map(|j| {
                if j == 0 {
                    1.0 / (self.rates[j] - own)
                } else {
                    self.rates[j] / (self.rates[j] - own)
                }
            })
            .product();
        // Bateman has every rate but the last above the line, per atom; activities per activity of
        // the head replace the head's by the last one's.
        others * if i == 0 { 1.0 } else { own }
    }
}
