//! What the Monte Carlo engine needs of a nuclide: its emissions with the daughters in equilibrium.

use super::atomic::LOWEST_KEV;
use super::monte_carlo::{EmissionSpectrum, Line};
use crate::quantity::nuclide::{BetaSign, Nuclide, NuclideError, Radiation};

/// The emissions of one decay of `nuclide` and of its daughters in equilibrium. Beta spectra come as
/// 200 energies, each with the number and mean energy of its bin, so that both are kept exactly;
/// annihilation photons are left to the transport of the positrons.
///
/// # Errors
/// [`NuclideError::NoData`] for a nuclide without decay data.
pub fn emission_spectrum(nuclide: &Nuclide) -> Result<EmissionSpectrum, NuclideError> {
    let mut all = EmissionSpectrum::default();
    for (member, decays) in &nuclide.decay()?.equilibrium {
        let data = member.decay()?;
        for line in &data.lines {
            let (energy_kev, per_decay) = (line.energy.value(), line.intensity * decays);
            let line_out = Line { energy_kev, per_decay };
            match line.radiation {
                Radiation::Gamma | Radiation::XRay => all.photons.lines.push(line_out),
                Radiation::Conversion | Radiation::Auger if energy_kev >= LOWEST_KEV => {
                    all.electrons.lines.push(line_out);
                }
                Radiation::Annihilation => {}
                _ => all.local_kev_per_decay += energy_kev * per_decay,
            }
        }
        let unlisted = data.unlisted_electron + data.unlisted_alpha + data.unlisted_photon;
        all.local_kev_per_decay += unlisted.value() * decays;
        for (sign, to) in
            [(BetaSign::Minus, &mut all.electrons), (BetaSign::Plus, &mut all.positrons)]
        {
            let spectrum = data.beta_spectrum(member, sign);
            let bins = spectrum.iter().flat_map(|s| &s.bins).filter(|b| b.intensity > 0.0);
            to.lines.extend(
                bins.map(|b| Line { energy_kev: b.mean.value(), per_decay: b.intensity * decays }),
            );
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emissions_carry_the_mean_energy_of_the_decay() {
        for nuclide in Nuclide::all_with_data() {
            let e = nuclide.decay().unwrap().chain_energies;
            let spectrum = emission_spectrum(nuclide).unwrap();
            let annihilation = 2.0 * 510.998_95 * spectrum.positrons.number();
            let expected = (e.non_penetrating() + e.photon).value();
            let found = spectrum.mean_kev() + annihilation;
            assert!((found / expected - 1.0).abs() < 1e-9, "{nuclide}: {found} of {expected}");
        }
    }
}
