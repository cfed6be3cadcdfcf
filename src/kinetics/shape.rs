//! Sums of exponentials as functions of logarithms, so that amplitudes and rates are positive by
//! construction.

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// ln a₁, ln λ₁, ln a₂, ln λ₂, ... with A = Σ aₙe^(−λₙt): two or three clearances.
    Clearances(usize),
    /// ln a, ln λ, ln δ with A = a e^(−λt) (1 − e^(−δt)): uptake rate λ + δ, nothing at time 0.
    Uptake,
}

impl Shape {
    pub fn model(self) -> &'static str {
        match self {
            Shape::Clearances(3) => "tri-exponential",
            Shape::Clearances(_) => "bi-exponential",
            Shape::Uptake => "uptake-clearance",
        }
    }

    pub fn parameters(self) -> usize {
        match self {
            Shape::Clearances(phases) => 2 * phases,
            Shape::Uptake => 3,
        }
    }

    /// Where the rates stand among the parameters, slow to fast as they start.
    pub fn rates(self) -> Vec<usize> {
        match self {
            Shape::Clearances(phases) => (0..phases).map(|n| 2 * n + 1).collect(),
            Shape::Uptake => vec![1, 2],
        }
    }

    /// ln A(t), and its derivatives by the parameters into `by`.
    pub fn ln_activity(self, p: &[f64], t: f64, by: &mut [f64]) -> f64 {
        match self {
            Shape::Clearances(phases) => {
                let height = |n: usize| p[2 * n] - p[2 * n + 1].exp() * t;
                let top = (0..phases).map(height).fold(f64::NEG_INFINITY, f64::max);
                let ln = top + (0..phases).map(|n| (height(n) - top).exp()).sum::<f64>().ln();
                for n in 0..phases {
                    let share = (height(n) - ln).exp();
                    by[2 * n] = share;
                    by[2 * n + 1] = -p[2 * n + 1].exp() * t * share;
                }
                ln
            }
            Shape::Uptake => {
                let (rate, delta) = (p[1].exp(), p[2].exp());
                let x = delta * t;
                by.copy_from_slice(&[1.0, -rate * t, if x > 0.0 { x / x.exp_m1() } else { 1.0 }]);
                p[0] - rate * t + (-(-x).exp_m1()).ln()
            }
        }
    }

    /// Amplitudes and rates, slowest first.
    pub fn terms(self, p: &[f64]) -> Vec<(f64, f64)> {
        match self {
            Shape::Clearances(_) => {
                self.slowest_first(p).into_iter().map(|n| (p[n].exp(), p[n + 1].exp())).collect()
            }
            Shape::Uptake => {
                let (a, rate) = (p[0].exp(), p[1].exp());
                vec![(a, rate), (-a, rate + p[2].exp())]
            }
        }
    }

    /// Derivatives of ln |amplitude| and ln rate of each term by the parameters, row by row.
    pub fn terms_by_parameters(self, p: &[f64]) -> Vec<Vec<f64>> {
        let unit = |at: usize| (0..p.len()).map(|n| f64::from(u8::from(n == at))).collect();
        match self {
            Shape::Clearances(_) => {
                self.slowest_first(p).into_iter().flat_map(|n| [unit(n), unit(n + 1)]).collect()
            }
            Shape::Uptake => {
                let (rate, delta) = (p[1].exp(), p[2].exp());
                let fast = rate + delta;
                vec![unit(0), unit(1), unit(0), vec![0.0, rate / fast, delta / fast]]
            }
        }
    }

    /// Where each phase's parameters begin, slowest phase first.
    fn slowest_first(self, p: &[f64]) -> Vec<usize> {
        let mut at: Vec<usize> = (0..p.len()).step_by(2).collect();
        at.sort_by(|&a, &b| p[a + 1].total_cmp(&p[b + 1]));
        at
    }
}
