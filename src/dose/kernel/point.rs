//! The point kernel of a nuclide: energy against distance in water, per decay.
//!
//! Electrons and positrons of each energy follow one shape scaled by their range; photons follow
//! exponential attenuation with a build-up of scatter. Alphas, recoils and electrons below 10 keV
//! (range 2.5 um) stay at the point.

use std::sync::OnceLock;

use serde::Deserialize;

use super::KernelError;
use crate::dose::atomic::collision::Charge;
use crate::dose::atomic::photon::PAIR_THRESHOLD_KEV;
use crate::dose::atomic::{LOWEST_KEV, Material, MaterialLibrary};
use crate::quantity::nuclide::{BetaSign, DecayData, Nuclide, Radiation};

/// Parts into which a bremsstrahlung spectrum is cut.
const BREMSSTRAHLUNG_PARTS: usize = 12;
/// Photons are gathered in energies this far apart (ratio): 12 to a decade.
const PHOTON_GROUPS_PER_DECADE: f64 = 60.0;
/// XCOM begins here; softer photons stay at the point.
const SOFTEST_PHOTON_KEV: f64 = 1.0;

/// The kernels belong to the cross-sections that they were computed with.
const TABLE_TOLERANCE: f64 = 1e-3;
const STALE: &str = "config/kernels is older than the atomic data; run examples/point_kernels.rs";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ElectronTable {
    histories: u64,
    /// Last shell's outer edge, in ranges.
    reach: f64,
    kernels: Vec<ElectronKernel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ElectronKernel {
    energy_kev: f64,
    range_mm: f64,
    radiated_fraction: f64,
    relative_uncertainty: f64,
    /// Share of the kept energy within each shell's outer edge.
    cumulative: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhotonTable {
    histories: u64,
    kernels: Vec<PhotonKernel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhotonKernel {
    energy_kev: f64,
    attenuation_per_mm: f64,
    relative_uncertainty: f64,
    /// Mean free paths.
    depth: Vec<f64>,
    build_up: Vec<f64>,
}

/// Name below `config/` and text of each.
pub(crate) const TABLES: [(&str, &str); 2] = [
    ("kernels/electron-water.yaml", include_str!("../../../config/kernels/electron-water.yaml")),
    ("kernels/photon-water.yaml", include_str!("../../../config/kernels/photon-water.yaml")),
];

fn electron_table() -> &'static ElectronTable {
    static READ: OnceLock<ElectronTable> = OnceLock::new();
    READ.get_or_init(|| {
        let table: ElectronTable =
            serde_saphyr::from_str(TABLES[0].1).expect("embedded table, read by a test");
        for k in &table.kernels {
            let range = 10.0 * water().csda_range(Charge::Negative, k.energy_kev);
            assert!((range / k.range_mm - 1.0).abs() < TABLE_TOLERANCE, "{STALE}");
        }
        table
    })
}

fn photon_table() -> &'static PhotonTable {
    static READ: OnceLock<PhotonTable> = OnceLock::new();
    READ.get_or_init(|| {
        let table: PhotonTable =
            serde_saphyr::from_str(TABLES[1].1).expect("embedded table, read by a test");
        for k in &table.kernels {
            let per_mm = 0.1 * water().mass_attenuation(k.energy_kev).total();
            assert!((per_mm / k.attenuation_per_mm - 1.0).abs() < TABLE_TOLERANCE, "{STALE}");
        }
        table
    })
}

fn water() -> &'static Material {
    let library = MaterialLibrary::embedded();
    let id = library.by_name("water").expect("water is in the embedded tissues");
    library.get(id)
}

/// Electrons of one energy.
#[derive(Debug, Clone, PartialEq)]
struct ElectronGroup {
    /// Energy kept near the track, per decay, keV.
    kev: f64,
    range_mm: f64,
    /// Two neighbours in the table and the share of the second.
    shape: (usize, usize, f64),
}

/// Photons of nearly one energy.
#[derive(Debug, Clone, PartialEq)]
struct PhotonGroup {
    /// Energy per decay, keV.
    kev: f64,
    per_mm: f64,
    /// The build-up, normalised so that all the energy is absorbed somewhere.
    build_up: Vec<f64>,
}

/// Energy against distance from one decay in endless water of 1 g/ml, with the daughters in
/// equilibrium.
#[derive(Debug, Clone, PartialEq)]
pub struct PointKernel {
    nuclide: Nuclide,
    local_kev: f64,
    electrons: Vec<ElectronGroup>,
    photons: Vec<PhotonGroup>,
    electron_uncertainty: f64,
    photon_uncertainty: f64,
}

/// Collects emissions before they become groups.
#[derive(Default)]
struct Emissions {
    local_kev: f64,
    /// Energy, particles per decay.
    electrons: Vec<(f64, f64)>,
    photons: Vec<(f64, f64)>,
}

impl Emissions {
    fn of(nuclide: &Nuclide) -> Result<Self, KernelError> {
        let mut all = Self::default();
        for (member, decays) in &nuclide.decay()?.equilibrium {
            all.add(member, member.decay()?, *decays);
        }
        Ok(all)
    }

    fn add(&mut self, nuclide: &Nuclide, data: &DecayData, decays: f64) {
        for line in &data.lines {
            let (energy, number) = (line.energy.value(), line.intensity * decays);
            match line.radiation {
                Radiation::Gamma | Radiation::XRay | Radiation::Annihilation => {
                    self.photons.push((energy, number));
                }
                Radiation::Conversion | Radiation::Auger => self.electrons.push((energy, number)),
                Radiation::Alpha | Radiation::Recoil => self.local_kev += energy * number,
            }
        }
        for sign in [BetaSign::Minus, BetaSign::Plus] {
            let spectrum = data.beta_spectrum(nuclide, sign);
            let bins = spectrum.iter().flat_map(|s| &s.bins);
            self.electrons.extend(bins.map(|b| (b.mean.value(), b.intensity * decays)));
        }
        let unlisted = data.unlisted_electron + data.unlisted_alpha + data.unlisted_photon;
        self.local_kev += unlisted.value() * decays;
    }
}

/// Neighbours of an energy among `energies` (ascending), with the share of the upper by ln E.
fn neighbours(energies: impl Iterator<Item = f64>, kev: f64) -> (usize, usize, f64) {
    let all: Vec<f64> = energies.collect();
    let upper = all.partition_point(|&e| e < kev);
    match upper {
        0 => (0, 0, 0.0),
        n if n == all.len() => (n - 1, n - 1, 0.0),
        n => (n - 1, n, (kev / all[n - 1]).ln() / (all[n] / all[n - 1]).ln()),
    }
}

impl PointKernel {
    /// The kernel of a nuclide with its daughters in equilibrium.
    ///
    /// # Errors
    /// [`KernelError::Nuclide`] where there are no decay data.
    pub fn of(nuclide: &Nuclide) -> Result<Self, KernelError> {
        let mut emissions = Emissions::of(nuclide)?;
        let table = electron_table();
        let mut electrons = Vec::new();
        let mut radiated = Vec::new();
        for (kev, number) in emissions.electrons {
            if number <= 0.0 {
                continue;
            }
            if kev < LOWEST_KEV {
                emissions.local_kev += kev * number;
                continue;
            }
            let shape = neighbours(table.kernels.iter().map(|k| k.energy_kev), kev);
            let radiated_share = |n: usize| table.kernels[n].radiated_fraction;
            // Below the lowest tabulated energy the yield falls as the energy does.
            let below = (kev / table.kernels[0].energy_kev).min(1.0);
            let share = below
                * (radiated_share(shape.0) * (1.0 - shape.2) + radiated_share(shape.1) * shape.2);
            electrons.push(ElectronGroup {
                kev: kev * number * (1.0 - share),
                range_mm: 10.0 * water().csda_range(Charge::Negative, kev),
                shape,
            });
            radiated.push((kev, kev * number * share));
        }
        emissions.photons.extend(bremsstrahlung(&radiated));
        let photons = photon_groups(emissions.photons, &mut emissions.local_kev);
        let worst = |u: &mut dyn Iterator<Item = f64>| u.fold(0.0, f64::max);
        Ok(Self {
            nuclide: nuclide.clone(),
            local_kev: emissions.local_kev,
            electrons,
            photons,
            electron_uncertainty: worst(&mut table.kernels.iter().map(|k| k.relative_uncertainty)),
            photon_uncertainty: worst(
                &mut photon_table().kernels.iter().map(|k| k.relative_uncertainty),
            ),
        })
    }

    pub fn nuclide(&self) -> &Nuclide {
        &self.nuclide
    }

    /// Energy per decay that stays within millimetres (electrons, alphas, what stays at the point), keV.
    pub fn short_range_kev(&self) -> f64 {
        self.local_kev + self.electrons.iter().map(|g| g.kev).sum::<f64>()
    }

    /// Energy per decay that photons carry, bremsstrahlung included, keV.
    pub fn photon_kev(&self) -> f64 {
        self.photons.iter().map(|g| g.kev).sum()
    }

    /// Distance beyond which no electron comes, mm.
    pub fn electron_reach_mm(&self) -> f64 {
        let reach = electron_table().reach;
        self.electrons.iter().map(|g| g.range_mm * reach).fold(0.0, f64::max)
    }

    /// Energy of electrons and alphas kept within `r_mm`, per decay, keV.
    pub fn short_range_within_kev(&self, r_mm: f64) -> f64 {
        let electrons = self.electrons.iter().map(|g| g.kev * electron_share(g, r_mm)).sum::<f64>();
        self.local_kev + electrons
    }

    /// Photon energy absorbed per mm of distance at `r_mm`, per decay, keV/mm.
    pub fn photon_kev_per_mm(&self, r_mm: f64) -> f64 {
        self.photons
            .iter()
            .map(|g| {
                let x = g.per_mm * r_mm;
                g.kev * g.per_mm * (-x).exp() * build_up_at(&g.build_up, x)
            })
            .sum()
    }

    /// Statistical uncertainties (k = 1) of the tables: electrons, photons.
    pub fn relative_uncertainties(&self) -> (f64, f64) {
        (self.electron_uncertainty, self.photon_uncertainty)
    }

    /// Histories an energy behind the electron and the photon table.
    pub fn histories() -> (u64, u64) {
        (electron_table().histories, photon_table().histories)
    }
}

/// Share of a group's energy within `r_mm`.
fn electron_share(group: &ElectronGroup, r_mm: f64) -> f64 {
    let table = electron_table();
    let x = r_mm / group.range_mm;
    let one = |n: usize| {
        let cumulative = &table.kernels[n].cumulative;
        let at = x / table.reach * cumulative.len() as f64;
        let shell = at as usize;
        if shell >= cumulative.len() {
            return 1.0;
        }
        let inner = if shell == 0 { 0.0 } else { cumulative[shell - 1] };
        inner + (at - shell as f64) * (cumulative[shell] - inner)
    };
    one(group.shape.0) * (1.0 - group.shape.2) + one(group.shape.1) * group.shape.2
}

/// Photons in place of radiated energy: a thick target's spectrum, energy per energy falling
/// linearly to nothing at the electron's own (Kramers 1923).
fn bremsstrahlung(radiated: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let n = BREMSSTRAHLUNG_PARTS as f64;
    let parts = |&(kev, energy): &(f64, f64)| {
        (0..BREMSSTRAHLUNG_PARTS).map(move |p| {
            let middle = (p as f64 + 0.5) / n;
            let photon = middle * kev;
            (photon, energy * 2.0 * (1.0 - middle) / n / photon)
        })
    };
    radiated.iter().flat_map(parts).collect()
}

/// Gathers photons of nearly one energy, each group at its mean; keeps number times energy.
fn photon_groups(photons: Vec<(f64, f64)>, local_kev: &mut f64) -> Vec<PhotonGroup> {
    let mut groups: std::collections::BTreeMap<i64, (f64, f64)> = std::collections::BTreeMap::new();
    for (kev, number) in photons {
        if kev < SOFTEST_PHOTON_KEV {
            *local_kev += kev * number;
            continue;
        }
        let group = (kev.log10() * PHOTON_GROUPS_PER_DECADE).round() as i64;
        let sum = groups.entry(group).or_default();
        sum.0 += kev * number;
        sum.1 += number;
    }
    let groups = groups.into_values().filter(|(energy, _)| *energy > 0.0);
    groups.map(|(energy, number)| photon_group(energy / number, energy)).collect()
}

/// Depths of the build-up's points, mean free paths: the table's behind 0.
fn depths() -> &'static [f64] {
    static DEPTHS: OnceLock<Vec<f64>> = OnceLock::new();
    DEPTHS.get_or_init(|| {
        let mut all = vec![0.0];
        all.extend(&photon_table().kernels[0].depth);
        all
    })
}

fn photon_group(kev: f64, energy: f64) -> PhotonGroup {
    let kernels = &photon_table().kernels;
    let (low, high, share) = neighbours(kernels.iter().map(|k| k.energy_kev), kev);
    let at =
        |n: usize| kernels[low].build_up[n] * (1.0 - share) + kernels[high].build_up[n] * share;
    // At the source only the unscattered flux counts: what its first collision transfers.
    let mut build_up = vec![transfer_share(kev)];
    build_up.extend((0..kernels[low].depth.len()).map(at));
    let whole = absorbed(&build_up);
    build_up.iter_mut().for_each(|b| *b /= whole);
    let per_mm = 0.1 * water().mass_attenuation(kev).total();
    PhotonGroup { kev: energy, per_mm, build_up }
}

/// Energy that a photon's collisions transfer to electrons over the energy that they take part in.
fn transfer_share(kev: f64) -> f64 {
    let m = water().mass_attenuation(kev);
    let compton = m.incoherent * water().compton_transfer_fraction(kev, f64::INFINITY);
    let pair = m.pair * (1.0 - PAIR_THRESHOLD_KEV / kev).max(0.0);
    (m.photoelectric + compton + pair) / m.total()
}

/// Straight between the points; beyond the last, on along its slope in the double logarithm.
fn build_up_at(build_up: &[f64], x: f64) -> f64 {
    let depths = depths();
    let last = depths.len() - 1;
    if x >= depths[last] {
        let slope =
            (build_up[last] / build_up[last - 1]).ln() / (depths[last] / depths[last - 1]).ln();
        return build_up[last] * (x / depths[last]).powf(slope);
    }
    let upper = depths.partition_point(|&d| d <= x).max(1);
    let t = (x - depths[upper - 1]) / (depths[upper] - depths[upper - 1]);
    build_up[upper - 1] + t * (build_up[upper] - build_up[upper - 1])
}

/// Share of the energy that a build-up has absorbed to any distance: 1 for a perfect table.
fn absorbed(build_up: &[f64]) -> f64 {
    const STEP: f64 = 0.01;
    const END: f64 = 40.0;
    let steps = (END / STEP) as usize;
    (0..steps)
        .map(|n| {
            let x = (n as f64 + 0.5) * STEP;
            (-x).exp() * build_up_at(build_up, x) * STEP
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str) -> PointKernel {
        PointKernel::of(&Nuclide::parse(name).unwrap()).unwrap()
    }

    #[test]
    fn tables_read_and_absorb_all_energy_before_normalising() {
        for k in &electron_table().kernels {
            let last = *k.cumulative.last().unwrap();
            assert!((last - 1.0).abs() < 1e-4 && k.radiated_fraction < 0.02, "{}", k.energy_kev);
            assert!(k.relative_uncertainty < 0.01);
        }
        for k in &photon_table().kernels {
            let mut build_up = vec![transfer_share(k.energy_kev)];
            build_up.extend(&k.build_up);
            let whole = absorbed(&build_up);
            println!("{} keV: {whole:.4}", k.energy_kev);
            assert!((whole - 1.0).abs() < 0.02, "{} keV: {whole}", k.energy_kev);
            assert!(k.relative_uncertainty < 0.02);
        }
    }

    #[test]
    fn every_nuclide_s_kernel_holds_its_emitted_energy() {
        for nuclide in Nuclide::all_with_data() {
            let kernel = PointKernel::of(nuclide).unwrap();
            let e = nuclide.decay().unwrap().chain_energies;
            let emitted = (e.non_penetrating() + e.photon).value();
            let held = kernel.short_range_kev() + kernel.photon_kev();
            assert!((held / emitted - 1.0).abs() < 1e-9, "{nuclide}: {held} of {emitted}");
            // Carried out to where nothing is left, it is all still there.
            let electrons = kernel.short_range_within_kev(kernel.electron_reach_mm() + 1e-9);
            assert!((electrons / kernel.short_range_kev() - 1.0).abs() < 1e-6, "{nuclide}");
            let mut photons = 0.0;
            let mut r = 1e-3;
            while r < 1e4 {
                let step = 0.02 * r;
                photons += step * kernel.photon_kev_per_mm(r + step / 2.0);
                r += step;
            }
            let expected = kernel.photon_kev();
            assert!(
                (photons - expected).abs() <= 2e-3 * emitted,
                "{nuclide}: {photons} {expected}"
            );
        }
    }

    #[test]
    fn yttrium_s_percentile_distances() {
        // MCNP6, Graves et al. 2019: radii of the spheres that hold 50, 90 and 95 % of the energy.
        let kernel = kernel("Y-90");
        let total = kernel.short_range_kev();
        for (share, expected) in [(0.50, 2.36), (0.90, 5.43), (0.95, 6.29)] {
            let mut r = 0.0;
            while kernel.short_range_within_kev(r) < share * total {
                r += 0.005;
            }
            println!("X{} {r:.3} mm", share * 100.0);
            assert!((r - expected).abs() <= 0.1, "X{}: {r:.3} against {expected}", share * 100.0);
        }
    }
}
