//! Where views that state no position lie on the CT: at the shift under which the regions' templates
//! explain most of what the views hold.
//!
//! Both views, all regions with whatever activities of 0 or more fit best, translations along rows and
//! columns only: scale and orientation are known of every camera, and depth changes nothing. What the
//! templates explain is the part of the rates' variance over the pixels that they cover. No activity and
//! no time between the views and another image enters. Whether the place is right, two figures say: what is
//! explained there, and what is explained at the best place elsewhere.

use super::{NetRate, Template};
use crate::nnls;
use nalgebra::{DMatrix, DVector};
use ndarray::Array2;
use rayon::prelude::*;

/// The best place, with its quality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Located {
    /// Row and column of the views, and parts of one, that the templates' first pixel lies on.
    pub shift: [f64; 2],
    /// Part of the variance of the rates that the templates explain there.
    pub explained: f64,
    /// The same at the best place away from it; 0 where there is none.
    pub elsewhere: f64,
}

/// Shifts of the first, coarse look, mm.
const STRIDE_MM: f64 = 12.0;
/// Part of the templates' rows that the views must hold.
const LEAST_ROWS: f64 = 0.5;
/// Ridge on the normal equations, part of their trace, for templates that are nearly one.
const RIDGE: f64 = 1e-10;

/// Finds the templates in the views, all `[row, column]` of one size of pixel.
///
/// `elsewhere_mm`: places nearer than this to the best are the same place.
pub fn locate(
    rates: &[NetRate; 2],
    templates: &[Template],
    pixel_mm: [f64; 2],
    elsewhere_mm: f64,
) -> Option<Located> {
    let search = Search::new(rates, templates)?;
    let stride = pixel_mm.map(|mm| (STRIDE_MM / mm).round().max(1.0) as isize);
    let coarse = search.map(search.range(), stride);
    let best = best_of(&coarse)?;
    let about = |axis: usize| [best.0[axis] - stride[axis], best.0[axis] + stride[axis]];
    let fine = search.map([about(0), about(1)], [1, 1]);
    let (at, explained) = best_of(&fine)?;
    let away = |place: &[isize; 2]| {
        let mm = |axis: usize| (place[axis] - at[axis]) as f64 * pixel_mm[axis];
        mm(0).hypot(mm(1)) > elsewhere_mm
    };
    // As closely as the best was looked at.
    let other = best_of(&coarse.into_iter().filter(|(place, _)| away(place)).collect::<Vec<_>>());
    let elsewhere = other.map_or(0.0, |(place, explained)| {
        let about = |axis: usize| [place[axis] - stride[axis], place[axis] + stride[axis]];
        let fine = search.map([about(0), about(1)], [1, 1]);
        fine.iter().filter(|(place, _)| away(place)).map(|(_, e)| *e).fold(explained, f64::max)
    });
    let shift = [0, 1].map(|axis| {
        let beside = |step: isize| {
            let mut place = at;
            place[axis] += step;
            search.explained(place)
        };
        at[axis] as f64 + vertex(beside(-1), explained, beside(1))
    });
    Some(Located { shift, explained, elsewhere })
}

fn best_of(all: &[([isize; 2], f64)]) -> Option<([isize; 2], f64)> {
    // The first of equals, whatever the number of threads.
    all.iter().copied().reduce(|best, other| if other.1 > best.1 { other } else { best })
}

/// Where a parabola through three neighbours is highest, from the middle one.
fn vertex(before: Option<f64>, here: f64, after: Option<f64>) -> f64 {
    let (Some(before), Some(after)) = (before, after) else { return 0.0 };
    let bend = before - 2.0 * here + after;
    if bend < 0.0 { ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
}

struct Search<'a> {
    rates: &'a [NetRate; 2],
    templates: Vec<[&'a Array2<f64>; 2]>,
    rows: usize,
    columns: usize,
    /// Products of the templates, summed over all rows before each.
    products: Vec<DMatrix<f64>>,
}

impl<'a> Search<'a> {
    fn new(rates: &'a [NetRate; 2], templates: &'a [Template]) -> Option<Self> {
        let (rows, columns) = templates.first()?.cps_per_mbq[0].dim();
        let templates: Vec<[&Array2<f64>; 2]> =
            templates.iter().map(|t| [&t.cps_per_mbq[0], &t.cps_per_mbq[1]]).collect();
        let count = templates.len();
        let mut sum = DMatrix::zeros(count, count);
        let mut products = vec![sum.clone()];
        for row in 0..rows {
            for (a, b) in (0..count).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let views = 0..2;
                let dot =
                    |view: usize| templates[a][view].row(row).dot(&templates[b][view].row(row));
                let product: f64 = views.map(dot).sum();
                sum[(a, b)] += product;
                if a != b {
                    sum[(b, a)] += product;
                }
            }
            products.push(sum.clone());
        }
        Some(Self { rates, templates, rows, columns, products })
    }

    /// Shifts under which the views hold enough of the templates: `[row, column]`, first and last.
    fn range(&self) -> [[isize; 2]; 2] {
        let (rows, columns) = self.rates[0].cps.dim();
        let of = |templates: usize, views: usize| {
            let half = (templates / 2) as isize;
            [-half, views as isize - half]
        };
        [of(self.rows, rows), of(self.columns, columns)]
    }

    fn map(&self, range: [[isize; 2]; 2], stride: [isize; 2]) -> Vec<([isize; 2], f64)> {
        let steps = |axis: usize| {
            (range[axis][0]..=range[axis][1]).step_by(stride[axis].unsigned_abs().max(1))
        };
        let places: Vec<[isize; 2]> =
            steps(0).flat_map(|row| steps(1).map(move |column| [row, column])).collect();
        let explained = |place: &[isize; 2]| Some((*place, self.explained(*place)?));
        places.par_iter().filter_map(explained).collect()
    }

    /// Part of the variance that the templates explain at a shift; pixels that no detector saw hold
    /// nothing, rows of the templates that the scan does not reach do not count.
    fn explained(&self, [row, column]: [isize; 2]) -> Option<f64> {
        let (seen_rows, seen_columns) = self.rates[0].cps.dim();
        let first = (-row).max(0) as usize;
        let last = (seen_rows as isize - row).clamp(0, self.rows as isize) as usize;
        if last <= first || ((last - first) as f64) < LEAST_ROWS * self.rows as f64 {
            return None;
        }
        let left = (-column).max(0) as usize;
        let right = (seen_columns as isize - column).clamp(0, self.columns as isize) as usize;
        if right <= left {
            return None;
        }
        let mut by = DVector::zeros(self.templates.len());
        let (mut sum, mut squares) = (0.0, 0.0);
        for (view, rate) in self.rates.iter().enumerate() {
            for r in first..last {
                let from = (left as isize + column) as usize;
                let seen = rate.cps.row((r as isize + row) as usize);
                let seen = seen.slice(ndarray::s![from..from + right - left]);
                sum += seen.sum();
                squares += seen.dot(&seen);
                for (n, template) in self.templates.iter().enumerate() {
                    let template = template[view].row(r);
                    by[n] += template.slice(ndarray::s![left..right]).dot(&seen);
                }
            }
        }
        let pixels = (2 * (last - first) * self.columns) as f64;
        let variance = squares - sum * sum / pixels;
        let products = &self.products[last] - &self.products[first];
        let ridge = DMatrix::identity(by.len(), by.len()) * (RIDGE * products.trace());
        let factor = (&products + ridge).cholesky()?.l();
        let target = factor.solve_lower_triangular(&by)?;
        let activity = nnls::solve(&factor.transpose(), &target);
        let left_over = squares - 2.0 * activity.dot(&by) + activity.dot(&(&products * &activity));
        let explained = (1.0 - left_over / variance).min(1.0);
        (variance > 0.0 && explained.is_finite()).then_some(explained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A patch with a soft edge about a place.
    fn patch(rows: usize, columns: usize, at: [f64; 2], width: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(r, c)| {
            let squared = (r as f64 - at[0]).powi(2) + (c as f64 - at[1]).powi(2);
            (-squared / (2.0 * width * width)).exp()
        })
    }

    fn template(name: &str, at: [f64; 2], width: f64, views: [f64; 2]) -> Template {
        let cps_per_mbq = views.map(|v| patch(30, 40, at, width) * v);
        Template { name: name.into(), cps_per_mbq }
    }

    fn regions() -> [Template; 3] {
        [
            template("liver", [8.0, 12.0], 5.0, [1.0, 0.6]),
            template("kidney", [18.0, 25.0], 2.5, [0.3, 0.9]),
            template("body", [15.0, 20.0], 12.0, [0.5, 0.5]),
        ]
    }

    /// Long views that hold the regions shifted, with activities of their own.
    fn views(shift: [f64; 2], mbq: [f64; 3]) -> [NetRate; 2] {
        let places = [([8.0, 12.0], 5.0), ([18.0, 25.0], 2.5), ([15.0, 20.0], 12.0)];
        let escape = [[1.0, 0.3, 0.5], [0.6, 0.9, 0.5]];
        escape.map(|escape| {
            let mut cps = Array2::zeros((160, 60));
            for (n, ([r, c], width)) in places.into_iter().enumerate() {
                cps +=
                    &(patch(160, 60, [r + shift[0], c + shift[1]], width) * (escape[n] * mbq[n]));
            }
            NetRate { variance: cps.clone(), cps }
        })
    }

    #[test]
    fn the_place_of_the_regions_in_long_views_is_found_to_a_tenth_of_a_pixel() {
        for shift in [[60.0, 9.0], [101.3, 12.7], [15.5, 4.25]] {
            let found =
                locate(&views(shift, [50.0, 90.0, 20.0]), &regions(), [4.8, 4.8], 25.0).unwrap();
            for axis in 0..2 {
                assert!((found.shift[axis] - shift[axis]).abs() < 0.1, "{shift:?}: {found:?}");
            }
            let ratio = (1.0 - found.elsewhere) / (1.0 - found.explained).max(1e-9);
            // Half a pixel off, the sharpest patch is no longer quite its template.
            assert!(found.explained > 0.98 && ratio > 5.0, "{found:?}");
        }
    }

    #[test]
    fn what_looks_alike_in_two_places_is_told_by_its_figures() {
        let [mut one, mut other] = views([20.0, 10.0], [50.0, 90.0, 20.0]);
        let [one_b, other_b] = views([100.0, 10.0], [50.0, 90.0, 20.0]);
        one.cps += &one_b.cps;
        other.cps += &other_b.cps;
        let found = locate(&[one, other], &regions(), [4.8, 4.8], 25.0).unwrap();
        assert!(found.explained - found.elsewhere < 0.02, "{found:?}");
    }

    #[test]
    fn empty_views_have_no_place() {
        let empty = views([20.0, 10.0], [0.0; 3]);
        assert_eq!(locate(&empty, &regions(), [4.8, 4.8], 25.0), None);
    }
}
