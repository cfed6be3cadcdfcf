//! A plane of dose over CT as a picture: grey anatomy, coloured dose, lines of equal dose, so that it can be
//! read in grey as well.

use crate::report::planes::Plane;
use crate::report::plot::{nice_step, ticks};

/// Grey scale of the CT: soft tissue, HU at black and at white.
pub(super) const WINDOW_HU: (f32, f32) = (-160.0, 240.0);
/// Part of the scale below which no dose is coloured.
const SHOWN_FROM: f64 = 0.05;
/// How much the colour covers the CT.
const OPACITY: f64 = 0.6;
/// Brighter than this, lines are black.
const BRIGHT: f64 = 0.55;

/// Colours whose lightness rises evenly from black to pale yellow, at equal steps (matplotlib's inferno).
const COLOURS: [[u8; 3]; 9] = [
    [0, 0, 4],
    [33, 12, 74],
    [87, 16, 110],
    [138, 34, 106],
    [188, 55, 84],
    [228, 90, 49],
    [249, 142, 9],
    [249, 203, 53],
    [252, 255, 164],
];

/// What the planes of one result share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// Dose of the brightest colour, Gy.
    pub top: f64,
    /// Doses that lines are drawn at, Gy.
    pub levels: Vec<f64>,
}

impl Scale {
    /// None where the planes show no dose.
    pub fn of(planes: &[Plane]) -> Option<Self> {
        let all = planes.iter().flat_map(|plane| plane.gy.as_slice());
        let top = all.fold(0.0f32, |top, gy| top.max(*gy));
        let top = f64::from(top);
        (top > 0.0 && top.is_finite()).then(|| Self {
            top,
            levels: ticks(top).into_iter().filter(|gy| *gy >= 0.5 * nice_step(top)).collect(),
        })
    }

    /// Number of levels that a dose reaches.
    fn step(&self, gy: f32) -> usize {
        self.levels.iter().filter(|level| f64::from(gy) >= **level).count()
    }
}

/// Colours of the scale as `#rrggbb`, darkest first.
pub(super) fn stops() -> Vec<String> {
    COLOURS.iter().map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}")).collect()
}

fn colour(part: f64) -> [f64; 3] {
    let place = part.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let low = (place as usize).min(COLOURS.len() - 2);
    let fraction = place - low as f64;
    std::array::from_fn(|c| {
        let [from, to] = [COLOURS[low][c], COLOURS[low + 1][c]].map(f64::from);
        from + (to - from) * fraction
    })
}

/// The plane as PNG.
pub(super) fn png(plane: &Plane, scale: &Scale) -> Result<Vec<u8>, png::EncodingError> {
    let (gy, hu) = (plane.gy.values(), plane.hu.as_ref().map(|hu| hu.values()));
    let (_, rows, columns) = gy.dim();
    let mut pixels = Vec::with_capacity(3 * rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let dose = gy[[0, row, column]];
            let grey = hu.map_or(0.0, |hu| {
                let (black, white) = WINDOW_HU;
                f64::from(((hu[[0, row, column]] - black) / (white - black)).clamp(0.0, 1.0))
            });
            let part = f64::from(dose) / scale.top;
            let opacity = match (part >= SHOWN_FROM, hu) {
                (false, _) => 0.0,
                (true, Some(_)) => OPACITY,
                (true, None) => 1.0,
            };
            let over = colour(part);
            let mut pixel: [f64; 3] =
                std::array::from_fn(|c| 255.0 * grey * (1.0 - opacity) + over[c] * opacity);
            // A line runs where the next pixel lies on the other side of a level.
            let here = scale.step(dose);
            let next = [(row + 1, column), (row, column + 1)];
            let edge = next
                .iter()
                .any(|&(r, c)| r < rows && c < columns && scale.step(gy[[0, r, c]]) != here);
            if edge {
                let light = pixel.iter().sum::<f64>() / (3.0 * 255.0);
                pixel = [if light > BRIGHT { 0.0 } else { 255.0 }; 3];
            }
            pixels.extend(pixel.map(|value| value.round() as u8));
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::planes::View;
    use crate::volume::{Grid, Volume};
    use ndarray::Array3;

    /// Dose rises from 0 to 10 Gy along a row, over water.
    fn plane() -> Plane {
        let grid = Grid::axial([1, 3, 101], [1.0; 3], [0.0; 3]).unwrap();
        let gy = Array3::from_shape_fn(grid.dim(), |(_, _, i)| 0.1 * i as f32);
        let hu = Array3::zeros(grid.dim());
        Plane {
            view: View::Axial,
            at_mm: 0.0,
            region: "a".into(),
            gy: Volume::new(grid.clone(), gy),
            hu: Some(Volume::new(grid, hu)),
        }
    }

    #[test]
    fn anatomy_is_grey_dose_is_coloured_and_lines_run_at_the_levels() {
        let plane = plane();
        let scale = Scale::of(std::slice::from_ref(&plane)).unwrap();
        assert_eq!(scale.levels, [2.0, 4.0, 6.0, 8.0, 10.0]);
        let bytes = png(&plane, &scale).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let at = |column: usize| &pixels[3 * column..3 * column + 3];
        // 0 HU in a window from -160 to 240.
        assert_eq!(at(2), [102, 102, 102]);
        assert!(at(30)[2] > at(30)[1], "violet: {:?}", at(30));
        let lightness = |c: usize| at(c).iter().map(|v| u32::from(*v)).sum::<u32>();
        assert!(lightness(95) > lightness(55) && lightness(55) > lightness(12));
        for gy in [2, 4, 6, 8] {
            let line = at(10 * gy - 1);
            assert!(line == [255; 3] || line == [0; 3], "{gy} Gy: {line:?}");
        }
        assert_ne!(at(25), [255; 3]);
    }

    #[test]
    fn no_dose_is_no_picture() {
        let mut none = plane();
        none.gy.values_mut().fill(0.0);
        assert_eq!(Scale::of(&[none]), None);
        assert_eq!(Scale::of(&[]), None);
    }
}
