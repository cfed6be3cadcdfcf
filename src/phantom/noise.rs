//! Random numbers with a seed: the same patient for the same seed, on any machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for a phantom.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for every `purpose`.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [1 - part, 1 + part).
    pub fn around_one(&mut self, part: f64) -> f64 {
        1.0 + part * (2.0 * self.uniform() - 1.0)
    }

    /// A standard normal number (Box and Muller 1958).
    #[cfg(test)]
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A Poisson number. A sum of Poisson numbers is one, so a large mean is drawn in parts small
    /// enough for the product of uniforms.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        const PART: f64 = 30.0;
        let mut left = mean;
        let mut count = 0;
        while left > 0.0 {
            let part = left.min(PART);
            left -= part;
            let limit = (-part).exp();
            let mut product = self.uniform();
            while product > limit {
                count += 1;
                product *= self.uniform();
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_numbers_have_their_mean_as_mean_and_variance() {
        let mut random = Random::new(7, 1);
        for mean in [0.5, 12.0, 90.0] {
            let n = 20_000;
            let draws: Vec<f64> = (0..n).map(|_| random.poisson(mean) as f64).collect();
            let average = draws.iter().sum::<f64>() / f64::from(n);
            let variance =
                draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / f64::from(n - 1);
            // Five standard errors.
            assert!((average - mean).abs() < 5.0 * (mean / f64::from(n)).sqrt());
            assert!((variance / mean - 1.0).abs() < 0.1, "{mean}: {variance}");
        }
    }
}
