//! What a dose distribution does: equivalent uniform dose, BED of every voxel, dose-volume limits.

use super::BiologyError;
use super::bed::ALPHA;
use crate::quantity::Gray;
use crate::quantity::nuclide::MeanEnergies;
use serde::Deserialize;

/// Relative biological effectiveness of alphas (`config/biology.yaml`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlphaEffect {
    /// By convention first, then what is stated beside it.
    pub rbe: Vec<f64>,
    pub provenance: String,
    pub source: String,
}

/// EUD = −ln(Σ vᵢ e^(−α Dᵢ)/Σ vᵢ)/α (Niemierko 1997): the uniform dose with the same survival.
/// `voxels` are (dose, volume); α in 1/Gy.
///
/// # Errors
/// No volume, α that is not positive, a dose that is not finite or negative.
pub fn equivalent_uniform_dose(
    voxels: &[(Gray, f64)],
    alpha_per_gy: f64,
) -> Result<Gray, BiologyError> {
    if !(alpha_per_gy.is_finite() && alpha_per_gy > 0.0) {
        return Err(BiologyError::Parameters);
    }
    let volume: f64 = voxels.iter().map(|v| v.1).sum();
    if !(volume.is_finite() && volume > 0.0 && voxels.iter().all(|v| v.1 >= 0.0)) {
        return Err(BiologyError::EmptyRegion);
    }
    if let Some((dose, _)) = voxels.iter().find(|v| !(v.0.is_finite() && v.0.value() >= 0.0)) {
        return Err(BiologyError::Dose(dose.value()));
    }
    // Relative to the coldest voxel: e^(−α D) of high doses would be 0.
    let coldest = voxels.iter().map(|v| v.0.value()).fold(f64::INFINITY, f64::min);
    let survival: f64 = voxels
        .iter()
        .map(|(dose, v)| v / volume * (-alpha_per_gy * (dose.value() - coldest)).exp())
        .sum();
    Ok(Gray::new(coldest - survival.ln() / alpha_per_gy))
}

/// BED of a voxel: d + g d² with g = G/(α/β), 1/Gy, of the shape that its dose rate falls with. Over a
/// region its mean is above the BED of the mean dose wherever the dose varies.
pub fn voxel_bed(dose_gy: f32, g_over_alpha_beta_per_gy: f64) -> Result<f32, BiologyError> {
    let (d, g) = (f64::from(dose_gy), g_over_alpha_beta_per_gy);
    if !(g.is_finite() && g >= 0.0) {
        return Err(BiologyError::Parameters);
    }
    if !(d.is_finite() && d >= 0.0) {
        return Err(BiologyError::Dose(d));
    }
    Ok((d * (1.0 + g * d)) as f32)
}

/// Part of the volume that receives at least `dose`; `voxels` are (dose, volume).
pub fn volume_receiving(voxels: &[(Gray, f64)], dose: Gray) -> Result<f64, BiologyError> {
    let volume: f64 = voxels.iter().map(|v| v.1).sum();
    if !(volume.is_finite() && volume > 0.0) {
        return Err(BiologyError::EmptyRegion);
    }
    let above: f64 = voxels.iter().filter(|v| v.0 >= dose).map(|v| v.1).sum();
    // An empty sum is -0.
    Ok(above / volume + 0.0)
}

/// Dose of a mixed field by what deposited it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct MixedDose {
    pub alpha: Gray,
    pub electron: Gray,
    pub photon: Gray,
}

impl MixedDose {
    /// Parts of a dose whose energy stays where it is released, recoil nuclei with their alphas; `None`
    /// for nuclides without alphas.
    pub fn of_local(dose: Gray, chain: &MeanEnergies) -> Option<Self> {
        let part = (chain.alpha + chain.recoil) / chain.non_penetrating();
        (part > 0.0).then(|| Self {
            alpha: dose * part,
            electron: dose * (1.0 - part),
            photon: Gray::new(0.0),
        })
    }

    /// (RBE, weighted dose) for every RBE that is stated.
    pub fn by_rbe(&self) -> impl Iterator<Item = (f64, Gray)> {
        let rest = self.electron + self.photon;
        ALPHA.rbe.iter().map(move |&rbe| (rbe, self.alpha * rbe + rest))
    }

    /// RBE-weighted dose: RBE D_α + D_el + D_γ (MIRD 22). The parts are always reported too.
    pub fn weighted(&self, rbe: f64) -> Result<Gray, BiologyError> {
        if !(rbe.is_finite() && rbe >= 1.0) {
            return Err(BiologyError::Parameters);
        }
        Ok(self.alpha * rbe + self.electron + self.photon)
    }

    /// BED with the alphas in the linear term alone: RBE D_α + D_low (1 + g D_low).
    pub fn bed(&self, rbe: f64, g_over_alpha_beta_per_gy: f64) -> Result<Gray, BiologyError> {
        let low = self.electron + self.photon;
        let quadratic = g_over_alpha_beta_per_gy * low.value() * low.value();
        Ok(self.weighted(rbe)? + Gray::new(quadratic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::nuclide::{Chain, Nuclide};
    use crate::quantity::{Becquerel, JOULE_PER_EV, Seconds};
    use proptest::prelude::*;

    fn gray(values: &[(f64, f64)]) -> Vec<(Gray, f64)> {
        values.iter().map(|&(d, v)| (Gray::new(d), v)).collect()
    }

    #[track_caller]
    fn near(found: f64, wanted: f64, relative: f64) {
        assert!((found / wanted - 1.0).abs() < relative, "{found} is not {wanted}");
    }

    #[test]
    fn v17_equivalent_uniform_dose() {
        let voxels = gray(&[(10.0, 0.1), (20.0, 0.3), (30.0, 0.4), (40.0, 0.2)]);
        let mean: f64 = voxels.iter().map(|(d, v)| d.value() * v).sum();
        near(mean, 27.0, 1e-12);
        near(equivalent_uniform_dose(&voxels, 0.3).unwrap().value(), 17.182, 5e-5);
        // Doses whose survival no number holds.
        let high = gray(&[(5000.0, 1.0), (6000.0, 1.0)]);
        near(equivalent_uniform_dose(&high, 0.3).unwrap().value(), 5000.0 + 2f64.ln() / 0.3, 1e-9);
        near(volume_receiving(&voxels, Gray::new(30.0)).unwrap(), 0.6, 1e-12);
    }

    /// V30: 225Ac, 0.79257 Gy by alphas, 0.019888 Gy by electrons, 3.9827 Gy at RBE 5. Recoil, which the
    /// example leaves out, adds 1.8 %.
    #[test]
    fn v30_alphas_of_actinium_are_weighted_by_five() {
        let chain = |name: &str| Nuclide::parse(name).unwrap().decay().unwrap().chain_energies;
        let parts = MixedDose::of_local(Gray::new(1.0), &chain("Ac-225")).unwrap();
        let (alpha, electron) = (0.79257, 0.019888);
        near(parts.electron.value(), electron / (alpha + electron), 0.03);
        let weighted: Vec<(f64, f64)> = parts.by_rbe().map(|(r, d)| (r, d.value())).collect();
        assert_eq!(weighted.iter().map(|w| w.0).collect::<Vec<_>>(), [5.0, 1.0, 3.0]);
        near(weighted[0].1, 3.9827 / (alpha + electron), 2e-3);
        near(weighted[1].1, 1.0, 1e-12);
        assert_eq!(MixedDose::of_local(Gray::new(1.0), &chain("Lu-177")), None);
    }

    #[test]
    fn v28_thorium_227_in_bone_with_and_without_its_daughters() {
        // 1 MBq in 10 cm³ of cortical bone (1.92 g/cm³), 80 days, no loss; published 110 and 563 Gy.
        let chain = Chain::of(&Nuclide::parse("Th-227").unwrap()).unwrap();
        let decays = chain.decays(Becquerel::from_mbq(1.0), Some(Seconds::from_hours(80.0 * 24.0)));
        let kg = 19.2e-3;
        let alpha = |name: &Nuclide, decays: f64| {
            let energies = name.decay().unwrap().energies;
            energies.alpha.value() * 1e3 * JOULE_PER_EV * decays / kg
        };
        let head = alpha(&decays[0].nuclide, decays[0].retained.value());
        let all: f64 = decays.iter().map(|d| alpha(&d.nuclide, d.retained.value())).sum();
        near(head, 108.43, 0.005);
        near(all, 559.40, 0.005);
        near(head, 110.0, 0.05);
        near(all, 563.0, 0.05);
    }

    #[test]
    fn v29_published_213bi_psma_kidney_dose_and_its_limit() {
        // 8.1 Sv(RBE 5)/GBq to kidneys and salivary glands: 3.7 GBq give 29.97; marrow 2 × 0.52.
        near(8.1 * 3.7, 29.97, 1e-9);
        let marrow = MixedDose {
            alpha: Gray::new(0.52 / 5.0),
            electron: Gray::new(0.0),
            photon: Gray::new(0.0),
        };
        near(2.0 * marrow.weighted(5.0).unwrap().value(), 1.04, 1e-9);
    }

    #[test]
    fn v30_alphas_and_electrons_of_the_actinium_chain_stay_apart() {
        let (decays, kg) = (1e6 * 3600.0, 0.020);
        let gray = |mev: f64| Gray::new(mev * 1e6 * JOULE_PER_EV * decays / kg);
        let dose = MixedDose { alpha: gray(27.482), electron: gray(0.690), photon: Gray::new(0.0) };
        near(dose.alpha.value(), 0.79257, 5e-5);
        // 0.690 MeV is itself rounded, to 0.07 %.
        near(dose.electron.value(), 0.019888, 7e-4);
        near(dose.weighted(5.0).unwrap().value(), 3.9827, 5e-5);
        assert!(dose.weighted(1.0).unwrap() < dose.weighted(3.0).unwrap());
        assert!(dose.weighted(0.0).is_err());
        assert!(dose.bed(5.0, 0.02).unwrap() >= dose.weighted(5.0).unwrap());
    }

    #[test]
    fn v15_the_double_integral_of_a_published_numeric_check() {
        // ∫∫ t² w² e^(−0.3571 (t−w)) over 0 ≤ w ≤ t ≤ 1 = 0.0515566; q' = w² e^... as an equation.
        let (steps, mu) = (20_000, 0.3571);
        let h = 1.0 / f64::from(steps);
        let (mut q, mut sum) = (0.0f64, 0.0);
        for n in 0..steps {
            let t = (f64::from(n) + 0.5) * h;
            let half = (-mu * h / 2.0).exp();
            q = q * half + t * t * (1.0 - half) / mu;
            sum += t * t * q * h;
            q = q * half + t * t * (1.0 - half) / mu;
        }
        near(sum, 0.0515566, 1e-5);
    }

    proptest! {
        #[test]
        fn eud_lies_between_coldest_and_mean_and_voxel_bed_is_never_below_dose(
            doses in prop::collection::vec(0.0f64..100.0, 1..50),
            alpha in 0.01f64..1.0, g in 0.0f64..0.5,
        ) {
            let voxels: Vec<(Gray, f64)> = doses.iter().map(|&d| (Gray::new(d), 1.0)).collect();
            let eud = equivalent_uniform_dose(&voxels, alpha).unwrap().value();
            let mean = doses.iter().sum::<f64>() / doses.len() as f64;
            let coldest = doses.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!(eud >= coldest - 1e-9 && eud <= mean + 1e-9);
            prop_assert!(doses.iter().all(|&d| voxel_bed(d as f32, g).unwrap() >= d as f32));
        }
    }
}
