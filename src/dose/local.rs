//! Local deposition: each decay's non-penetrating energy stays in the voxel it happens in.
//!
//! D = Ñ · E / m, with the voxel's own mass m. Exact for alphas, good for electrons whose range is
//! short against the voxel and the image's resolution, a bound for the rest; photons are left out.
//!
//! **Air.** Resolution puts counts into air; divided by the mass of air they would be a dose
//! hundreds of times that of tissue. A voxel whose mean density is below `air_below_density`
//! (`config/dose.yaml`) gets dose 0; the energy of its decays is kept out of every dose and
//! reported. No voxel's dose can therefore exceed Ñ E / (V ρ_min). Nothing is moved to neighbours:
//! where the decays truly happened is not known here.

use super::constants::CONSTANTS;
use crate::quantity::{GramPerMl, JOULE_PER_EV, KiloElectronvolt, Warning};
use crate::volume::Volume;
use ndarray::Zip;

/// Why no dose can be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LocalError {
    #[error("time-integrated activity and mass are on different grids")]
    Grids,
    #[error("voxel {voxel}: time-integrated activity {value} Bq.s is negative or not finite")]
    Activity { voxel: usize, value: f64 },
    #[error("voxel {voxel}: mass {value} g is negative or not finite")]
    Mass { voxel: usize, value: f64 },
    #[error("energy per decay must be positive and finite, not {0} keV")]
    Energy(f64),
    #[error("voxel {voxel}: the dose exceeds every number; check the activity's unit")]
    Overflow { voxel: usize },
    #[error("the density below which voxels count as air must be positive, not {0} g/mL")]
    AirDensity(f64),
}

/// Density below which a voxel counts as air (`config/dose.yaml`).
pub fn air_below_density() -> GramPerMl {
    GramPerMl::new(CONSTANTS.air_below_density.value)
}

/// Dose, and what was kept out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalDose {
    pub dose_gy: Volume<f32>,
    /// Part of all decays that lie in voxels of air, 0 to 1.
    pub kept_out_fraction: f64,
    pub warnings: Vec<Warning>,
}

/// `tia_bq_s` is the time-integrated activity IN each voxel (not per ml), `energy` the
/// non-penetrating energy per decay, `air_below` the rule's density (see [`air_below_density`]).
pub fn deposit(
    tia_bq_s: &Volume<f64>,
    mass_g: &Volume<f32>,
    energy: KiloElectronvolt,
    air_below: GramPerMl,
) -> Result<LocalDose, LocalError> {
    if tia_bq_s.grid() != mass_g.grid() {
        return Err(LocalError::Grids);
    }
    if !(energy.is_finite() && energy.value() > 0.0) {
        return Err(LocalError::Energy(energy.value()));
    }
    if !(air_below.is_finite() && air_below.value() > 0.0) {
        return Err(LocalError::AirDensity(air_below.value()));
    }
    let (decays, masses) = (tia_bq_s.as_slice(), mass_g.as_slice());
    let least_g = air_below.value() * tia_bq_s.grid().voxel_volume().value();
    let (mut all, mut kept_out) = (0.0f64, 0.0f64);
    for (voxel, (&tia, &mass)) in decays.iter().zip(masses).enumerate() {
        if !(tia.is_finite() && tia >= 0.0) {
            return Err(LocalError::Activity { voxel, value: tia });
        }
        if !(mass.is_finite() && mass >= 0.0) {
            return Err(LocalError::Mass { voxel, value: mass.into() });
        }
        all += tia;
        if f64::from(mass) < least_g {
            kept_out += tia;
        }
    }
    // J per decay over kg: keV → eV → J, g → kg.
    let gray_gram = energy.value() * 1e3 * JOULE_PER_EV * 1e3;
    let dose = Zip::from(tia_bq_s.values()).and(mass_g.values()).par_map_collect(|&tia, &mass| {
        if f64::from(mass) < least_g { 0.0 } else { (tia * gray_gram / f64::from(mass)) as f32 }
    });
    if let Some(voxel) = dose.iter().position(|d| !d.is_finite()) {
        return Err(LocalError::Overflow { voxel });
    }
    let kept_out_fraction = if all > 0.0 { kept_out / all } else { 0.0 };
    let mut warnings = Vec::new();
    if kept_out_fraction > CONSTANTS.kept_out_fraction_warn.value {
        warnings.push(Warning::new(
            "energy-in-air",
            format!(
                "{:.1} % of all decays lie in voxels lighter than {air_below} (air); their energy \
                 is kept out of the dose",
                kept_out_fraction * 100.0
            ),
        ));
    }
    Ok(LocalDose {
        dose_gy: Volume::new(tia_bq_s.grid().clone(), dose),
        kept_out_fraction,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;
    use ndarray::Array3;
    use proptest::prelude::*;
    use std::f64::consts::LN_2;

    const AIR: GramPerMl = GramPerMl::new(0.05);

    fn row(tia: &[f64], mass: &[f32]) -> (Volume<f64>, Volume<f32>) {
        let n = tia.len();
        let grid = Grid::axial([1, 1, n], [10.0; 3], [0.0; 3]).unwrap();
        (
            Volume::new(grid.clone(), Array3::from_shape_vec((1, 1, n), tia.to_vec()).unwrap()),
            Volume::new(grid, Array3::from_shape_vec((1, 1, n), mass.to_vec()).unwrap()),
        )
    }

    #[test]
    fn constants_are_readable() {
        assert_eq!(air_below_density(), AIR);
        assert!(CONSTANTS.kept_out_fraction_warn.value > 0.0);
    }

    #[test]
    fn full_decay_of_one_gbq_in_one_kg_gives_the_published_constants() {
        for (energy_kev, half_life_h, gray) in
            [(933.1, 64.10, 49.77), (147.92, 159.53, 19.636), (191.85, 192.50, 30.731)]
        {
            let (tia, mass) = row(&[1e9 * half_life_h * 3600.0 / LN_2], &[1000.0]);
            let out = deposit(&tia, &mass, KiloElectronvolt::new(energy_kev), AIR).unwrap();
            let found = f64::from(out.dose_gy.as_slice()[0]);
            assert!((found / gray - 1.0).abs() < 2e-4, "{found} {gray}");
        }
    }

    #[test]
    fn v30_alpha_and_electrons_of_actinium() {
        let (tia, mass) = row(&[1e6 * 3600.0], &[20.0]);
        for (energy_kev, gray) in [(27_482.0, 0.79257), (690.0, 0.019888)] {
            let out = deposit(&tia, &mass, KiloElectronvolt::new(energy_kev), AIR).unwrap();
            let found = f64::from(out.dose_gy.as_slice()[0]);
            assert!((found / gray - 1.0).abs() < 1e-3, "{found} {gray}");
        }
    }

    #[test]
    fn air_gets_no_dose_and_its_energy_is_reported() {
        let (tia, mass) = row(&[9e9, 1e9, 0.0], &[1.0, 0.0012, 0.0]);
        let out = deposit(&tia, &mass, KiloElectronvolt::new(147.92), AIR).unwrap();
        assert!(out.dose_gy.as_slice()[0] > 0.0);
        assert_eq!(out.dose_gy.as_slice()[1..], [0.0, 0.0]);
        assert!((out.kept_out_fraction - 0.1).abs() < 1e-12);
        assert_eq!(out.warnings[0].code, "energy-in-air");
    }

    #[test]
    fn lung_keeps_its_own_mass() {
        let (tia, mass) = row(&[1e9, 1e9], &[0.26, 1.04]);
        let out = deposit(&tia, &mass, KiloElectronvolt::new(147.92), AIR).unwrap();
        let d = out.dose_gy.as_slice();
        assert!((d[0] / d[1] - 4.0).abs() < 1e-5 && out.warnings.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        let kev = KiloElectronvolt::new(100.0);
        let (tia, mass) = row(&[-1.0], &[1.0]);
        assert!(matches!(deposit(&tia, &mass, kev, AIR), Err(LocalError::Activity { .. })));
        let (tia, mass) = row(&[f64::NAN], &[1.0]);
        assert!(matches!(deposit(&tia, &mass, kev, AIR), Err(LocalError::Activity { .. })));
        let (tia, mass) = row(&[1.0], &[f32::NAN]);
        assert!(matches!(deposit(&tia, &mass, kev, AIR), Err(LocalError::Mass { .. })));
        let (tia, mass) = row(&[1e300], &[1.0]);
        assert_eq!(deposit(&tia, &mass, kev, AIR), Err(LocalError::Overflow { voxel: 0 }));
        let zero = KiloElectronvolt::new(0.0);
        assert_eq!(deposit(&tia, &mass, zero, AIR), Err(LocalError::Energy(0.0)));
        let (_, other) = row(&[1.0, 1.0], &[1.0, 1.0]);
        assert_eq!(deposit(&tia, &other, kev, AIR), Err(LocalError::Grids));
    }

    proptest! {
        #[test]
        fn energy_is_conserved_and_dose_bounded(
            voxels in prop::collection::vec((0.0f64..1e12, 0.0f32..3.0), 1..40),
        ) {
            let (tia, mass) = row(
                &voxels.iter().map(|v| v.0).collect::<Vec<_>>(),
                &voxels.iter().map(|v| v.1).collect::<Vec<_>>(),
            );
            let kev = KiloElectronvolt::new(147.92);
            let out = deposit(&tia, &mass, kev, AIR).unwrap();
            let joule: f64 = out.dose_gy.as_slice().iter().zip(mass.as_slice())
                .map(|(d, m)| f64::from(*d) * f64::from(*m) / 1e3).sum();
            let decays: f64 = voxels.iter().map(|v| v.0).sum();
            let wanted = decays * (1.0 - out.kept_out_fraction) * 147.92e3 * JOULE_PER_EV;
            prop_assert!((joule - wanted).abs() <= 1e-6 * wanted.max(1e-12));
            for (d, v) in out.dose_gy.as_slice().iter().zip(&voxels) {
                let bound = v.0 * 147.92e6 * JOULE_PER_EV / 0.05;
                prop_assert!(f64::from(*d) <= bound * (1.0 + 1e-6));
            }
        }
    }
}
