//! Scatter under the photopeak from the windows beside it (triple energy window; Ogawa 1991).

use crate::quantity::KiloElectronvolt;

/// Counts of one energy window and its width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowCounts {
    pub counts: f64,
    pub width: KiloElectronvolt,
}

impl WindowCounts {
    fn per_kev(&self) -> f64 {
        self.counts / self.width.value()
    }

    /// Variance of counts per keV: Poisson.
    fn variance_per_kev(&self) -> f64 {
        self.counts.max(0.0) / self.width.value().powi(2)
    }
}

/// Counts without scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Primary {
    /// May be below zero where noise exceeds the signal: sums over pixels stay true to the mean.
    pub counts: f64,
    pub variance: f64,
}

impl Primary {
    /// Counts of a whole region of interest, which cannot be below zero.
    pub fn not_below_zero(&self) -> f64 {
        self.counts.max(0.0)
    }
}

/// P − (C_L/W_L + C_U/W_U)·W_P/2. A window above that is not there counts nothing: of the highest line
/// nothing scatters into its peak from above. Without either there is no correction.
pub fn triple_energy_window(
    peak: WindowCounts,
    below: Option<WindowCounts>,
    above: Option<WindowCounts>,
) -> Primary {
    let beside = || [below, above].into_iter().flatten();
    let half = peak.width.value() / 2.0;
    let scatter: f64 = beside().map(|w| w.per_kev() * half).sum();
    let variance: f64 = beside().map(|w| w.variance_per_kev() * half * half).sum();
    Primary { counts: peak.counts - scatter, variance: peak.counts.max(0.0) + variance }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(counts: f64, kev: f64) -> WindowCounts {
        WindowCounts { counts, width: KiloElectronvolt::new(kev) }
    }

    #[test]
    fn v32_scatter_by_a_window_on_either_side() {
        let scatter = |peak| {
            triple_energy_window(
                window(peak, 41.6),
                Some(window(3000.0, 20.8)),
                Some(window(900.0, 20.8)),
            )
        };
        let found = scatter(10_000.0);
        assert!((10_000.0 - found.counts - 3900.0).abs() < 1e-9);
        // 10000 + (20.8/20.8)² · (3000 + 900).
        assert!((found.variance - 13_900.0).abs() < 1e-9);
        assert_eq!(scatter(3000.0).not_below_zero(), 0.0);
    }

    #[test]
    fn a_window_that_is_not_there_counts_nothing() {
        let below = Some(window(3000.0, 20.8));
        let lone = triple_energy_window(window(10_000.0, 41.6), below, None);
        assert!((lone.counts - 7000.0).abs() < 1e-9);
        let none = triple_energy_window(window(10_000.0, 41.6), None, None);
        assert_eq!(none, Primary { counts: 10_000.0, variance: 10_000.0 });
    }
}
