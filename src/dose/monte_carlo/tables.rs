//! Look-up tables of one run: everything the inner loops ask of a tissue at an energy.
//!
//! The energy grid takes its rows from the bits of an f32: 32 rows an octave, straight in between,
//! so that finding a row is a shift and a subtraction.

use super::Physics;
use super::spectrum::AliasTable;
use crate::dose::atomic::collision::Charge;
use crate::dose::atomic::{LOWEST_KEV, Material, MaterialId, MaterialLibrary};
use rayon::prelude::*;

/// Mantissa bits not used by the energy grid: 2^(23 − 18) = 32 rows an octave.
const ROW_SHIFT: u32 = 18;
/// Likewise for the angle distributions: 8 an octave.
const ANGLE_SHIFT: u32 = 20;
/// Bins of 1 − cos θ in an angle distribution.
const ANGLE_BINS: usize = 128;
/// Points of the Rayleigh and S(q) tables.
const FORM_POINTS: usize = 400;
const LOWEST_Q: f64 = 0.005;
const HIGHEST_Q: f64 = 30.0;

fn first_row() -> u32 {
    (LOWEST_KEV as f32).to_bits() >> ROW_SHIFT
}

/// Row and fraction of the way to the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    row: usize,
    fraction: f32,
}

/// Where `kev` (not below [`LOWEST_KEV`]) lies in the energy grid.
#[inline]
pub(super) fn locate(kev: f64) -> Place {
    let bits = (kev as f32).to_bits();
    let fraction = (bits & ((1 << ROW_SHIFT) - 1)) as f32 * (1.0 / (1 << ROW_SHIFT) as f32);
    Place { row: ((bits >> ROW_SHIFT).saturating_sub(first_row())) as usize, fraction }
}

fn row_energy(row: usize) -> f64 {
    f64::from(f32::from_bits((first_row() + row as u32) << ROW_SHIFT))
}

/// Energies of all rows up to one above `highest_kev`.
fn row_energies(highest_kev: f64) -> Vec<f64> {
    (0..=locate(highest_kev).row + 1).map(row_energy).collect()
}

#[inline]
fn between<const N: usize>(rows: &[[f32; N]], place: Place) -> [f64; N] {
    let (a, b) = (&rows[place.row], &rows[place.row + 1]);
    std::array::from_fn(|n| f64::from(a[n] + place.fraction * (b[n] - a[n])))
}

/// Photons in one tissue.
pub(super) struct PhotonTable {
    /// Attenuation and locally deposited transfer (cm²/g), cumulated shares of Compton, Rayleigh
    /// and photoelectric collisions.
    rows: Vec<[f32; 5]>,
    /// S per electron at points even in ln q.
    scattering: Vec<f32>,
    /// ∫ F² dq² up to each point of `form_q_squared`.
    form_cumulative: Vec<f64>,
    form_q_squared: Vec<f64>,
}

/// One row of [`PhotonTable`], interpolated.
pub(super) struct PhotonRow {
    pub attenuation: f64,
    pub transfer: f64,
    pub compton: f64,
    pub compton_or_rayleigh: f64,
    pub not_pair: f64,
}

impl PhotonTable {
    fn new(material: &Material, energies: &[f64], physics: &Physics) -> Self {
        let below = physics.secondary_electron_kev;
        let rows = energies
            .par_iter()
            .map(|&kev| {
                let mass = material.mass_attenuation(kev);
                let total = mass.total();
                let photoelectric = if kev < below { mass.photoelectric } else { 0.0 };
                let transfer = photoelectric
                    + mass.incoherent * material.compton_transfer_fraction(kev, below);
                [
                    total,
                    transfer,
                    mass.incoherent / total,
                    (mass.incoherent + mass.coherent) / total,
                    1.0 - mass.pair / total,
                ]
                .map(|v| v as f32)
            })
            .collect();
        let step = (HIGHEST_Q / LOWEST_Q).ln() / (FORM_POINTS - 1) as f64;
        let q = |n: usize| LOWEST_Q * (step * n as f64).exp();
        let scattering =
            (0..FORM_POINTS).map(|n| material.scattering_function(q(n)) as f32).collect();
        let (mut form_q_squared, mut form_cumulative) = (vec![0.0], vec![0.0]);
        let (mut x, mut sum) = (0.0, 0.0);
        for n in 0..FORM_POINTS {
            let next = q(n) * q(n);
            sum += material.squared_form_factor((0.5 * (x + next)).sqrt()) * (next - x);
            x = next;
            form_q_squared.push(x);
            form_cumulative.push(sum);
        }
        Self { rows, scattering, form_cumulative, form_q_squared }
    }

    #[inline]
    pub fn at(&self, place: Place) -> PhotonRow {
        let [attenuation, transfer, compton, compton_or_rayleigh, not_pair] =
            between(&self.rows, place);
        PhotonRow { attenuation, transfer, compton, compton_or_rayleigh, not_pair }
    }

    /// Incoherent scattering function per electron; quadratic below the table.
    #[inline]
    pub fn scattering_function(&self, q: f64) -> f64 {
        if q <= LOWEST_Q {
            return f64::from(self.scattering[0]) * (q / LOWEST_Q).powi(2);
        }
        if q >= HIGHEST_Q {
            return 1.0;
        }
        let per_log = (FORM_POINTS - 1) as f64 / (HIGHEST_Q / LOWEST_Q).ln();
        let x = (q / LOWEST_Q).ln() * per_log;
        let n = (x as usize).min(FORM_POINTS - 2);
        let (a, b) = (self.scattering[n], self.scattering[n + 1]);
        f64::from(a + (x - n as f64) as f32 * (b - a))
    }

    /// Draws q² from F² dq² below `highest`.
    pub fn sample_form(&self, highest: f64, uniform: f64) -> f64 {
        let interpolate = |from: &[f64], to: &[f64], x: f64| {
            let n = from.partition_point(|&f| f < x).clamp(1, from.len() - 1);
            let span = from[n] - from[n - 1];
            let part = if span > 0.0 { (x - from[n - 1]) / span } else { 0.0 };
            to[n - 1] + part.min(1.0) * (to[n] - to[n - 1])
        };
        let all = interpolate(&self.form_q_squared, &self.form_cumulative, highest);
        interpolate(&self.form_cumulative, &self.form_q_squared, uniform * all).min(highest)
    }
}

/// Electrons or positrons in one tissue.
pub(super) struct ElectronTable {
    /// Soft stopping power (keV cm²/g), transport cross-section and hard cross-section (cm²/g),
    /// share of bremsstrahlung in the latter, CSDA range (g/cm²), hard photons still to come.
    rows: Vec<[f32; 6]>,
}

/// One row of [`ElectronTable`], interpolated.
pub(super) struct ElectronRow {
    pub stopping: f64,
    pub transport: f64,
    pub hard: f64,
    pub bremsstrahlung_share: f64,
    pub range: f64,
    pub photons_to_come: f64,
}

impl ElectronTable {
    fn new(material: &Material, charge: Charge, energies: &[f64], physics: &Physics) -> Self {
        let (cut, brems_cut) = (physics.hard_collision_kev, physics.hard_photon_kev);
        let total = |kev: f64| {
            material.collision_stopping(charge, kev) + material.radiative_stopping_power(kev)
        };
        let mut rows: Vec<[f64; 6]> = energies
            .par_iter()
            .map(|&kev| {
                let bremsstrahlung = material.bremsstrahlung(kev);
                let collisions = material.hard_collision(charge, kev, cut);
                let photons = bremsstrahlung.hard(brems_cut);
                let hard = collisions + photons;
                [
                    material.soft_collision_stopping(charge, kev, cut)
                        + bremsstrahlung.soft_stopping(brems_cut),
                    material.deflection(kev, cut).transport_cross_section(),
                    hard,
                    if hard > 0.0 { photons / hard } else { 0.0 },
                    0.0,
                    photons / total(kev),
                ]
            })
            .collect();
        let (mut range, mut photons) = (material.csda_range(charge, energies[0]), 0.0);
        let mut density_before = rows[0][5];
        rows[0][4] = range;
        rows[0][5] = 0.0;
        for n in 1..energies.len() {
            let (low, high) = (energies[n - 1], energies[n]);
            let middle = 0.5 * (low + high);
            range +=
                (high - low) / 6.0 * (1.0 / total(low) + 4.0 / total(middle) + 1.0 / total(high));
            photons += 0.5 * (high - low) * (density_before + rows[n][5]);
            density_before = rows[n][5];
            rows[n][4] = range;
            rows[n][5] = photons;
        }
        Self { rows: rows.iter().map(|row| row.map(|v| v as f32)).collect() }
    }

    #[inline]
    pub fn at(&self, place: Place) -> ElectronRow {
        let [stopping, transport, hard, bremsstrahlung_share, range, photons_to_come] =
            between(&self.rows, place);
        ElectronRow { stopping, transport, hard, bremsstrahlung_share, range, photons_to_come }
    }

    /// Soft stopping power alone, keV cm²/g.
    #[inline]
    pub fn stopping(&self, place: Place) -> f64 {
        let (a, b) = (self.rows[place.row][0], self.rows[place.row + 1][0]);
        f64::from(a + place.fraction * (b - a))
    }

    /// The energy at which an electron of `kev` that comes to rest emits its next hard photon, when
    /// `remaining` of them are still to come below that energy.
    pub fn energy_of_photon(&self, remaining: f64) -> f64 {
        let n = self.rows.partition_point(|row| f64::from(row[5]) <= remaining);
        let n = n.clamp(1, self.rows.len() - 1);
        let (a, b) = (f64::from(self.rows[n - 1][5]), f64::from(self.rows[n][5]));
        let part = if b > a { ((remaining - a) / (b - a)).clamp(0.0, 1.0) } else { 0.0 };
        row_energy(n - 1) + part * (row_energy(n) - row_energy(n - 1))
    }
}

/// Angles of multiple scattering after the fixed scattering strength of a step.
pub(super) struct AngleTable {
    edges: Vec<f64>,
    first: u32,
    distributions: Vec<AliasTable>,
}

impl AngleTable {
    fn new(material: &Material, highest_kev: f64, physics: &Physics) -> Self {
        // Even in the logarithm from a hundredth of the mean up: the tail falls like 1/versine².
        let lowest = 0.01 * physics.step_strength;
        let ratio = (2.0 / lowest).ln() / (ANGLE_BINS - 1) as f64;
        let mut edges = vec![0.0];
        edges.extend((0..ANGLE_BINS).map(|n| lowest * (ratio * n as f64).exp()));
        edges[ANGLE_BINS] = 2.0;
        let first = (LOWEST_KEV as f32).to_bits() >> ANGLE_SHIFT;
        let last = (highest_kev as f32).to_bits() >> ANGLE_SHIFT;
        let distributions = (first..=last)
            .into_par_iter()
            .map(|row| {
                let middle = f32::from_bits((row << ANGLE_SHIFT) + (1 << (ANGLE_SHIFT - 1)));
                let deflection = material.deflection(f64::from(middle), physics.hard_collision_kev);
                let cumulative = deflection.cumulative(physics.step_strength, &edges[1..]);
                let mut before = 0.0f64;
                let weights: Vec<f64> = cumulative
                    .iter()
                    .map(|&c| {
                        let weight = (c - before).max(0.0);
                        before = before.max(c);
                        weight
                    })
                    .collect();
                AliasTable::new(&weights)
            })
            .collect();
        Self { edges, first, distributions }
    }

    /// cos θ after one step at `kev`.
    #[inline]
    pub fn sample(&self, kev: f64, rng: &mut super::philox::Philox) -> f64 {
        let row = ((kev as f32).to_bits() >> ANGLE_SHIFT).saturating_sub(self.first) as usize;
        let row = row.min(self.distributions.len() - 1);
        let bin = self.distributions[row].sample(rng);
        let (low, high) = (self.edges[bin], self.edges[bin + 1]);
        1.0 - (low + rng.uniform() * (high - low))
    }
}

/// All tables of one tissue.
pub(super) struct TissueTables {
    pub photon: PhotonTable,
    pub electron: ElectronTable,
    pub positron: ElectronTable,
    pub angle: AngleTable,
    /// Charge that stands for the tissue in the bremsstrahlung shape.
    pub radiating_charge: f64,
}

/// All tables of one run, by the phantom's slots.
pub(super) struct Tables {
    pub tissues: Vec<TissueTables>,
    /// Highest attenuation in the phantom (1/cm), for Woodcock's method.
    majorant: Vec<[f32; 1]>,
}

impl Tables {
    /// `highest_density` is each slot's, g/ml; energies up to `highest_kev` can be looked up.
    pub fn new(
        materials: &[MaterialId],
        highest_density: &[f64],
        highest_kev: f64,
        physics: &Physics,
    ) -> Self {
        let library = MaterialLibrary::embedded();
        let energies = row_energies(highest_kev);
        let tissues: Vec<TissueTables> = materials
            .iter()
            .map(|&id| {
                let material = library.get(id);
                let electron = |charge| ElectronTable::new(material, charge, &energies, physics);
                TissueTables {
                    photon: PhotonTable::new(material, &energies, physics),
                    electron: electron(Charge::Negative),
                    positron: electron(Charge::Positive),
                    angle: AngleTable::new(material, highest_kev, physics),
                    radiating_charge: material.radiating_charge(),
                }
            })
            .collect();
        // A hair above the largest, so that rounding never makes a probability exceed one.
        let majorant = (0..energies.len())
            .map(|row| {
                let attenuation = tissues
                    .iter()
                    .zip(highest_density)
                    .map(|(t, &density)| f64::from(t.photon.rows[row][0]) * density);
                [(attenuation.fold(0.0, f64::max) * (1.0 + 1e-6)) as f32]
            })
            .collect();
        Self { tissues, majorant }
    }

    /// Highest attenuation in the phantom, 1/cm.
    #[inline]
    pub fn majorant(&self, place: Place) -> f64 {
        between(&self.majorant, place)[0]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, philox::Philox};
    use super::*;

    fn water() -> (&'static Material, MaterialId) {
        let library = MaterialLibrary::embedded();
        let id = library.by_name("water").unwrap();
        (library.get(id), id)
    }

    #[test]
    fn look_ups_agree_with_the_formulas_between_the_rows() {
        let (material, id) = water();
        let physics = Accuracy::Standard.physics();
        let tables = Tables::new(&[id], &[1.0], 3000.0, &physics);
        for kev in [10.3, 47.0, 61.7, 333.3, 511.0, 934.0, 2999.0] {
            let place = locate(kev);
            let photon = tables.tissues[0].photon.at(place);
            let exact = material.mass_attenuation(kev).total();
            assert!((photon.attenuation / exact - 1.0).abs() < 2e-3, "{kev} keV attenuation");
            assert!(tables.majorant(place) >= photon.attenuation);
            let electron = tables.tissues[0].electron.at(place);
            let range = material.csda_range(Charge::Negative, kev);
            assert!((electron.range / range - 1.0).abs() < 1e-3, "{kev} keV range");
            let soft =
                material.soft_collision_stopping(Charge::Negative, kev, physics.hard_collision_kev);
            assert!((electron.stopping / soft - 1.0).abs() < 4e-3, "{kev} keV stopping");
        }
    }

    #[test]
    fn sampled_angles_have_the_strength_of_the_step() {
        let (_, id) = water();
        let physics = Accuracy::Standard.physics();
        let tables = Tables::new(&[id], &[1.0], 2500.0, &physics);
        let mut rng = Philox::new(5, 0);
        for kev in [55.0, 400.0, 2000.0] {
            let n = 200_000;
            let sum: f64 =
                (0..n).map(|_| 1.0 - tables.tissues[0].angle.sample(kev, &mut rng)).sum();
            let expected = 1.0 - (-physics.step_strength).exp();
            let mean = sum / f64::from(n);
            assert!((mean / expected - 1.0).abs() < 0.01, "{kev} keV: {mean} {expected}");
        }
    }

    /// Photons per electron that comes to rest, as the bremsstrahlung itself integrates to.
    #[test]
    fn photons_to_come_are_found_again_at_their_energy() {
        let (_, id) = water();
        let tables = Tables::new(&[id], &[1.0], 2500.0, &Accuracy::Standard.physics());
        let electron = &tables.tissues[0].electron;
        let at_2_mev = electron.at(locate(2000.0)).photons_to_come;
        assert!(at_2_mev > 0.01 && at_2_mev < 0.1, "{at_2_mev}");
        let kev = electron.energy_of_photon(electron.at(locate(777.0)).photons_to_come);
        assert!((kev - 777.0).abs() < 1.0, "{kev}");
    }
}
