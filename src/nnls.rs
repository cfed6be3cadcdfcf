//! Least squares with coefficients of 0 or more (Lawson and Hanson 1974, chapter 23).

use nalgebra::{DMatrix, DVector};

/// Gradients below this part of the largest are rounding.
const TOLERANCE: f64 = 1e-10;

/// min |M x − b| with x ≥ 0. Columns enter one by one, so that nearly parallel ones do no harm; the
/// number of rounds is bounded.
pub fn solve(matrix: &DMatrix<f64>, target: &DVector<f64>) -> DVector<f64> {
    let columns = matrix.ncols();
    let mut x = DVector::zeros(columns);
    let mut passive = vec![false; columns];
    let scale = matrix.tr_mul(target).amax();
    for _ in 0..3 * columns {
        let gradient = matrix.tr_mul(&(target - matrix * &x));
        let steepest = (0..columns)
            .filter(|&n| !passive[n])
            .max_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
        let Some(enters) = steepest.filter(|&n| gradient[n] > TOLERANCE * scale) else { break };
        passive[enters] = true;
        if !settle(matrix, target, &mut x, &mut passive) {
            passive[enters] = false;
            break;
        }
    }
    x
}

/// Solves on the passive columns, and takes out those that would turn negative. False where the
/// columns cannot be told apart.
fn settle(
    matrix: &DMatrix<f64>,
    target: &DVector<f64>,
    x: &mut DVector<f64>,
    passive: &mut [bool],
) -> bool {
    while passive.contains(&true) {
        let chosen: Vec<usize> = (0..passive.len()).filter(|&n| passive[n]).collect();
        if chosen.len() > matrix.nrows() {
            return false;
        }
        let qr = matrix.select_columns(&chosen).qr();
        let Some(free) = qr.r().solve_upper_triangular(&qr.q().tr_mul(target)) else {
            return false;
        };
        if free.iter().any(|value| !value.is_finite()) {
            return false;
        }
        // How far towards the free solution before the first coefficient meets 0.
        let step = chosen
            .iter()
            .zip(free.iter())
            .filter(|(_, value)| **value <= 0.0)
            .map(|(&n, value)| x[n] / (x[n] - value))
            .fold(1.0, f64::min);
        for (&n, value) in chosen.iter().zip(free.iter()) {
            x[n] += step * (value - x[n]);
        }
        if step >= 1.0 {
            return true;
        }
        for &n in &chosen {
            if x[n] <= 1e-14 * x.amax() {
                x[n] = 0.0;
                passive[n] = false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_of_karush_kuhn_and_tucker_hold() {
        // Nearly parallel decays, target from two of them and one that is below zero.
        let times: Vec<f64> = (0..12).map(|n| f64::from(n) * 8.0).collect();
        let rates: Vec<f64> = (0..20).map(|n| 0.004 * 1.3f64.powi(n)).collect();
        let matrix = DMatrix::from_fn(12, 20, |i, j| (-rates[j] * times[i]).exp());
        let target = DVector::from_fn(12, |i, _| {
            matrix[(i, 3)] + 0.5 * matrix[(i, 12)] - 0.1 * matrix[(i, 17)]
        });
        let x = solve(&matrix, &target);
        let gradient = matrix.tr_mul(&(&target - &matrix * &x));
        for n in 0..20 {
            assert!(x[n] >= 0.0);
            assert!(gradient[n] <= 1e-8, "{n}: {}", gradient[n]);
            assert!(x[n] == 0.0 || gradient[n].abs() <= 1e-8, "{n}: {}", gradient[n]);
        }
    }

    #[test]
    fn an_exact_non_negative_solution_is_found() {
        let matrix = DMatrix::from_row_slice(3, 2, &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let x = solve(&matrix, &DVector::from_vec(vec![2.0, 3.0, 5.0]));
        assert!((x[0] - 2.0).abs() < 1e-12 && (x[1] - 3.0).abs() < 1e-12);
        let none = solve(&matrix, &DVector::from_vec(vec![-1.0, -2.0, -3.0]));
        assert_eq!(none.amax(), 0.0);
    }
}
