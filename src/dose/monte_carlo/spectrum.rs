//! What one decay sends out, and how an energy is drawn from it.

use super::MonteCarloError;
use super::philox::Philox;
use crate::dose::atomic::HIGHEST_KEV;

/// Emissions of one decay (or of a chain in equilibrium), by particle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmissionSpectrum {
    /// β⁻, conversion and Auger electrons.
    pub electrons: ParticleSpectrum,
    /// β⁺; the annihilation photons are made by the engine and must not stand under `photons`.
    pub positrons: ParticleSpectrum,
    /// γ and X-rays.
    pub photons: ParticleSpectrum,
    /// Energy deposited where the decay happens: alphas, recoils, lines too soft to list; keV.
    pub local_kev_per_decay: f64,
}

/// Emissions of one kind of particle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParticleSpectrum {
    pub lines: Vec<Line>,
    pub continua: Vec<Continuum>,
}

/// One energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub energy_kev: f64,
    pub per_decay: f64,
}

/// A continuous spectrum, straight between its points (number per keV and decay).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Continuum {
    pub energy_kev: Vec<f64>,
    pub density_per_kev: Vec<f64>,
}

impl EmissionSpectrum {
    /// Mean energy per decay of everything listed, keV (positrons without their annihilation).
    pub fn mean_kev(&self) -> f64 {
        self.electrons.mean_kev()
            + self.positrons.mean_kev()
            + self.photons.mean_kev()
            + self.local_kev_per_decay
    }

    pub(super) fn check(&self) -> Result<(), MonteCarloError> {
        let lines = [&self.electrons, &self.positrons, &self.photons];
        for spectrum in lines {
            spectrum.check()?;
        }
        let local = self.local_kev_per_decay;
        if !(local.is_finite() && local >= 0.0) {
            return Err(MonteCarloError::Spectrum(format!("local energy {local} keV per decay")));
        }
        if self.mean_kev() <= 0.0 {
            return Err(MonteCarloError::Spectrum("it holds no energy".to_owned()));
        }
        Ok(())
    }

    pub(super) fn highest_kev(&self) -> f64 {
        [&self.electrons, &self.positrons, &self.photons]
            .iter()
            .map(|s| s.highest_kev())
            .fold(0.0, f64::max)
    }
}

impl Continuum {
    fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        let e = self.energy_kev.windows(2);
        e.zip(self.density_per_kev.windows(2)).map(|(e, d)| Segment {
            low_kev: e[0],
            width_kev: e[1] - e[0],
            density: [d[0], d[1]],
        })
    }
}

/// A piece of a spectrum: a line where the width is 0.
#[derive(Debug, Clone, Copy)]
struct Segment {
    low_kev: f64,
    width_kev: f64,
    density: [f64; 2],
}

impl Segment {
    fn number(&self) -> f64 {
        0.5 * (self.density[0] + self.density[1]) * self.width_kev
    }
    fn mean_kev(&self) -> f64 {
        let [a, b] = self.density;
        self.low_kev * self.number() + self.width_kev * self.width_kev * (a + 2.0 * b) / 6.0
    }
}

impl ParticleSpectrum {
    /// Particles per decay.
    pub fn number(&self) -> f64 {
        self.lines.iter().map(|l| l.per_decay).sum::<f64>()
            + self.continua.iter().flat_map(|c| c.segments()).map(|s| s.number()).sum::<f64>()
    }

    /// Mean energy per decay, keV.
    pub fn mean_kev(&self) -> f64 {
        self.lines.iter().map(|l| l.per_decay * l.energy_kev).sum::<f64>()
            + self.continua.iter().flat_map(|c| c.segments()).map(|s| s.mean_kev()).sum::<f64>()
    }

    fn highest_kev(&self) -> f64 {
        let lines = self.lines.iter().map(|l| l.energy_kev);
        let ends = self.continua.iter().filter_map(|c| c.energy_kev.last().copied());
        lines.chain(ends).fold(0.0, f64::max)
    }

    fn check(&self) -> Result<(), MonteCarloError> {
        let wrong = |what: String| Err(MonteCarloError::Spectrum(what));
        let energy = |e: f64| e.is_finite() && (0.0..=HIGHEST_KEV).contains(&e);
        let amount = |a: f64| a.is_finite() && a >= 0.0;
        for line in &self.lines {
            if !energy(line.energy_kev) || !amount(line.per_decay) {
                return wrong(format!("line of {} keV, {}", line.energy_kev, line.per_decay));
            }
        }
        for c in &self.continua {
            if c.energy_kev.len() != c.density_per_kev.len() || c.energy_kev.len() < 2 {
                return wrong("a continuum needs two or more points (energy, density)".to_owned());
            }
            let ascending = c.energy_kev.windows(2).all(|e| e[0] < e[1]);
            if !ascending || !c.energy_kev.iter().all(|&e| energy(e)) {
                return wrong("a continuum's energies must ascend within 0 to 10 MeV".to_owned());
            }
            if !c.density_per_kev.iter().all(|&d| amount(d)) {
                return wrong("a continuum's density must not be negative".to_owned());
            }
        }
        Ok(())
    }

    /// The same without the lines below `cut_kev`, and the energy per decay taken out.
    pub(super) fn split_at(&self, cut_kev: f64) -> (Self, f64) {
        let (soft, hard): (Vec<Line>, Vec<Line>) =
            self.lines.iter().partition(|line| line.energy_kev < cut_kev);
        let local = soft.iter().map(|l| l.energy_kev * l.per_decay).sum();
        (Self { lines: hard, continua: self.continua.clone() }, local)
    }
}

/// Draws energies by Walker's alias method over lines and segments.
#[derive(Debug, Clone)]
pub(super) struct EnergySampler {
    per_decay: f64,
    segments: Vec<Segment>,
    alias: AliasTable,
}

impl EnergySampler {
    pub fn new(spectrum: &ParticleSpectrum) -> Self {
        let lines = spectrum.lines.iter().map(|l| {
            (Segment { low_kev: l.energy_kev, width_kev: 0.0, density: [0.0; 2] }, l.per_decay)
        });
        let continua = spectrum.continua.iter().flat_map(|c| c.segments()).map(|s| (s, s.number()));
        let (segments, weights): (Vec<Segment>, Vec<f64>) =
            lines.chain(continua).filter(|s| s.1 > 0.0).unzip();
        Self { per_decay: weights.iter().sum(), segments, alias: AliasTable::new(&weights) }
    }

    /// How many particles this decay emits: the mean, rounded at random to a neighbouring integer.
    #[inline]
    pub fn number(&self, rng: &mut Philox) -> u32 {
        if self.per_decay == 0.0 { 0 } else { (self.per_decay + rng.uniform()) as u32 }
    }

    #[inline]
    pub fn energy(&self, rng: &mut Philox) -> f64 {
        let segment = &self.segments[self.alias.sample(rng)];
        if segment.width_kev == 0.0 {
            return segment.low_kev;
        }
        let [a, b] = segment.density;
        let u = rng.uniform();
        // Inverts the straight density; written so that a = b is no special case.
        let position = u * (a + b) / (a + (a * a + (b * b - a * a) * u).sqrt());
        segment.low_kev + segment.width_kev * position
    }
}

/// Walker's alias table (Vose 1991): one look-up for any discrete distribution.
#[derive(Debug, Clone)]
pub(super) struct AliasTable(Vec<(f32, u32)>);

impl AliasTable {
    pub fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let n = weights.len();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w / total * n as f64).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&i| scaled[i] < 1.0);
        let mut table: Vec<(f32, u32)> = (0..n).map(|i| (1.0, i as u32)).collect();
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            table[s] = (scaled[s] as f32, l as u32);
            scaled[l] -= 1.0 - scaled[s];
            if scaled[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        Self(table)
    }

    #[inline]
    pub fn sample(&self, rng: &mut Philox) -> usize {
        let x = rng.uniform() * self.0.len() as f64;
        let bin = (x as usize).min(self.0.len() - 1);
        let (threshold, alias) = self.0[bin];
        if x - (bin as f64) < f64::from(threshold) { bin } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_energies_have_the_number_and_mean_of_the_spectrum() {
        let spectrum = ParticleSpectrum {
            lines: vec![Line { energy_kev: 100.0, per_decay: 0.3 }],
            continua: vec![Continuum {
                energy_kev: vec![0.0, 200.0, 500.0],
                density_per_kev: vec![0.002, 0.003, 0.0],
            }],
        };
        assert!((spectrum.number() - (0.3 + 0.5 + 0.45)).abs() < 1e-12);
        let sampler = EnergySampler::new(&spectrum);
        let mut rng = Philox::new(1, 0);
        let (mut number, mut sum) = (0u32, 0.0);
        let decays = 200_000;
        for _ in 0..decays {
            for _ in 0..sampler.number(&mut rng) {
                number += 1;
                sum += sampler.energy(&mut rng);
            }
        }
        let decays = f64::from(decays);
        assert!((f64::from(number) / decays / spectrum.number() - 1.0).abs() < 0.005);
        assert!((sum / decays / spectrum.mean_kev() - 1.0).abs() < 0.007);
    }

    #[test]
    fn impossible_spectra_are_refused() {
        let line = |energy_kev, per_decay| EmissionSpectrum {
            photons: ParticleSpectrum {
                lines: vec![Line { energy_kev, per_decay }],
                continua: vec![],
            },
            ..EmissionSpectrum::default()
        };
        assert!(line(100.0, 1.0).check().is_ok());
        for bad in [line(f64::NAN, 1.0), line(-1.0, 1.0), line(1e5, 1.0), line(100.0, -0.1)] {
            assert!(matches!(bad.check(), Err(MonteCarloError::Spectrum(_))), "{bad:?}");
        }
        assert!(EmissionSpectrum::default().check().is_err());
        let mut falling = EmissionSpectrum::default();
        falling.electrons.continua =
            vec![Continuum { energy_kev: vec![10.0, 5.0], density_per_kev: vec![1.0, 1.0] }];
        assert!(falling.check().is_err());
    }
}
