//! Reading the embedded tables, and interpolation in them.

/// A function given at ascending points: straight between them on log-log axes where both ends are
/// positive, else on linear axes; constant outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    pub fn push(&mut self, x: f64, y: f64) {
        self.points.push((x, y));
    }

    pub fn at(&self, x: f64) -> f64 {
        let upper = self.points.partition_point(|p| p.0 < x);
        if upper == 0 {
            return self.points.first().map_or(0.0, |p| p.1);
        }
        if upper == self.points.len() {
            return self.points[upper - 1].1;
        }
        let ((x0, y0), (x1, y1)) = (self.points[upper - 1], self.points[upper]);
        if x0 > 0.0 && y0 > 0.0 && y1 > 0.0 {
            y0 * (y1 / y0).powf((x / x0).ln() / (x1 / x0).ln())
        } else {
            y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        }
    }
}

/// Rows of an embedded CSV without comments and header: first field as text, the rest as numbers.
///
/// # Panics
/// On a field that is no number: the file is part of the program, and a test reads it.
pub(crate) fn rows(csv: &'static str) -> impl Iterator<Item = (&'static str, Vec<f64>)> {
    csv.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| {
        let (key, rest) = line.split_once(',').expect("embedded table has several columns");
        let numbers =
            rest.split(',').map(|v| v.parse().expect("embedded table holds numbers")).collect();
        (key, numbers)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_interpolated_exactly_and_a_threshold_linearly() {
        let mut curve = Curve::default();
        for x in [1.0f64, 10.0, 100.0] {
            curve.push(x, x.powi(-3));
        }
        assert!((curve.at(20.0) * 8000.0 - 1.0).abs() < 1e-12);
        let mut threshold = Curve::default();
        threshold.push(1.0, 0.0);
        threshold.push(2.0, 4.0);
        assert_eq!(threshold.at(1.5), 2.0);
        assert_eq!(threshold.at(0.5), 0.0);
        assert_eq!(threshold.at(9.0), 4.0);
    }
}
