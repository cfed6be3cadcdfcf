//! A frame as a picture: rescaled, windowed (PS3.3 C.11.2), scaled down, PNG or JPEG.

use super::file::ObjectFile;
use super::frames::Layout;
use super::{decoder, retrieve::not_acceptable};
use crate::dicom::read::pixels::{PixelFormat, Pixels};
use crate::web::Failure;
use axum::http::StatusCode;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::io;

/// Most pixels of a frame that is drawn.
const PIXELS_MAX: u64 = 64 * 1024 * 1024;
/// Largest picture asked for, pixels each way.
pub(super) const VIEWPORT_MAX: u32 = 8192;

/// Eight bits a sample, one (grey) or three (red, green, blue), row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) samples: usize,
    pub(super) data: Vec<u8>,
}

/// The range of values that is shown, black to white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    low: f64,
    high: f64,
}

impl Window {
    /// Centre and width; PS3.3 C.11.2.1.2 for `linear`, C.11.2.1.3.2 for `linear-exact`.
    pub(super) fn of(centre: f64, width: f64, exact: bool) -> Option<Self> {
        if !(centre.is_finite() && width.is_finite() && width > 0.0) {
            return None;
        }
        if exact {
            return Some(Self { low: centre - width / 2.0, high: centre + width / 2.0 });
        }
        let (centre, width) = (centre - 0.5, (width - 1.0).max(f64::MIN_POSITIVE));
        Some(Self { low: centre - width / 2.0, high: centre + width / 2.0 })
    }

    /// All values that there are; 0 to 1 where there are none.
    fn around(values: &[f64]) -> Self {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let (low, high) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        if low <= high { Self { low, high } } else { Self { low: 0.0, high: 1.0 } }
    }

    fn shade(&self, value: f64) -> u8 {
        let span = self.high - self.low;
        let share = if span > 0.0 {
            (value - self.low) / span
        } else {
            f64::from(u8::from(value > self.low))
        };
        // A cast of what is out of range or no number ends at the nearest end or at 0.
        (share * 255.0).round() as u8
    }
}

fn unreadable(reason: impl std::fmt::Display) -> Failure {
    Failure(StatusCode::NOT_ACCEPTABLE, format!("the frame cannot be drawn: {reason}"))
}

/// Draws frame `frame` (0-based). Without a window of the request's, the object's own; without that,
/// everything from the least to the greatest value of the frame.
pub(super) fn draw(
    file: &ObjectFile,
    object: &InMemDicomObject,
    frame: u32,
    window: Option<Window>,
) -> Result<Picture, Failure> {
    let layout = file.layout(object)?;
    let number = |tag| object.get(tag).and_then(|e| e.to_int::<u32>().ok());
    let (Some(width), Some(height)) = (number(tags::COLUMNS), number(tags::ROWS)) else {
        return Err(unreadable("rows and columns are absent"));
    };
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(unreadable("it is too large"));
    }
    let bytes = native(file, &layout, frame).map_err(unreadable)?;
    if number(tags::SAMPLES_PER_PIXEL) == Some(3) {
        return colour(object, width, height, bytes);
    }
    let values = values(object, &layout, frame, bytes)?;
    let window =
        window.or_else(|| own_window(object, frame)).unwrap_or_else(|| Window::around(&values));
    let inverse = text(object, tags::PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1";
    let shade =
        |value: &f64| if inverse { 255 - window.shade(*value) } else { window.shade(*value) };
    Ok(Picture { width, height, samples: 1, data: values.iter().map(shade).collect() })
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.get(tag).and_then(|element| element.to_str().ok());
    value.map(|value| value.trim_matches([' ', '\0']).to_owned()).unwrap_or_default()
}

fn native(file: &ObjectFile, layout: &Layout, frame: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file.report.pixel_data.and_then(|pixels| pixels.fragments) {
        Some(_) => decoder::decode(file, layout, vec![frame], &mut bytes)?,
        None => layout.copy_native(file, frame, &mut bytes)?,
    }
    Ok(bytes)
}

/// Values in the object's own unit: rescaled, in gray for RT Dose.
fn values(
    object: &InMemDicomObject,
    layout: &Layout,
    frame: u32,
    bytes: Vec<u8>,
) -> Result<Vec<f64>, Failure> {
    match layout.tag {
        tags::FLOAT_PIXEL_DATA => {
            let float = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            return Ok(bytes.chunks_exact(4).map(float).collect());
        }
        tags::DOUBLE_FLOAT_PIXEL_DATA => {
            let float =
                |b: &[u8]| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
            return Ok(bytes.chunks_exact(8).map(float).collect());
        }
        _ => {}
    }
    let format = PixelFormat { frames: 1, ..PixelFormat::of(object).map_err(unreadable)? };
    let stored = Pixels::native(format, bytes).map_err(unreadable)?;
    let (slope, intercept) = rescale(object, frame);
    Ok(stored.frame(0).iter().map(|value| *value as f64 * slope + intercept).collect())
}

/// First finite number of an attribute, from the frame's functional groups, the shared ones, or the top.
fn per_frame(object: &InMemDicomObject, group: Tag, tag: Tag, frame: u32) -> Option<f64> {
    let number = |object: &InMemDicomObject| {
        let text = object.get(tag)?.to_multi_str().ok()?.first()?.trim().to_owned();
        text.parse::<f64>().ok().filter(|number| number.is_finite())
    };
    let within = |sequence: Tag, index: usize| {
        number(object.get(sequence)?.items()?.get(index)?.get(group)?.items()?.first()?)
    };
    within(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame as usize)
        .or_else(|| within(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 0))
        .or_else(|| number(object))
}

fn rescale(object: &InMemDicomObject, frame: u32) -> (f64, f64) {
    let of = |tag| per_frame(object, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag, frame);
    let slope = of(tags::RESCALE_SLOPE).or_else(|| of(tags::DOSE_GRID_SCALING)).unwrap_or(1.0);
    (slope, of(tags::RESCALE_INTERCEPT).unwrap_or(0.0))
}

fn own_window(object: &InMemDicomObject, frame: u32) -> Option<Window> {
    let of = |tag| per_frame(object, tags::FRAME_VOILUT_SEQUENCE, tag, frame);
    let exact = text(object, tags::VOILUT_FUNCTION) == "LINEAR_EXACT";
    Window::of(of(tags::WINDOW_CENTER)?, of(tags::WINDOW_WIDTH)?, exact)
}

/// Eight-bit colour, planes made pixels.
fn colour(
    object: &InMemDicomObject,
    width: u32,
    height: u32,
    bytes: Vec<u8>,
) -> Result<Picture, Failure> {
    let pixels = width as usize * height as usize;
    let interpretation = text(object, tags::PHOTOMETRIC_INTERPRETATION);
    if bytes.len() != 3 * pixels || !(interpretation == "RGB" || interpretation.starts_with("YBR"))
    {
        return Err(unreadable("colour of other than three samples of 8 bits"));
    }
    let planes = text(object, tags::PLANAR_CONFIGURATION) == "1";
    let data = if planes {
        (0..pixels).flat_map(|n| [0, 1, 2].map(|plane| bytes[plane * pixels + n])).collect()
    } else {
        bytes
    };
    Ok(Picture { width, height, samples: 3, data })
}

impl Picture {
    /// Scaled down to fit into `width` x `height`, each pixel the mean of what it covers.
    pub(super) fn within(self, width: u32, height: u32) -> Self {
        let scale = (f64::from(width) / f64::from(self.width))
            .min(f64::from(height) / f64::from(self.height));
        if scale >= 1.0 {
            return self;
        }
        let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
        let (columns, rows) = (side(self.width), side(self.height));
        let span = |n: u32, of: u32, all: u32| {
            let edge = |n: u32| (u64::from(n) * u64::from(all) / u64::from(of)) as usize;
            edge(n)..edge(n + 1).max(edge(n) + 1)
        };
        let mut data = Vec::with_capacity(columns as usize * rows as usize * self.samples);
        for row in 0..rows {
            for column in 0..columns {
                let (ys, xs) = (span(row, rows, self.height), span(column, columns, self.width));
                let count = (ys.len() * xs.len()) as u32;
                for sample in 0..self.samples {
                    let at =
                        |y: usize, x: usize| (y * self.width as usize + x) * self.samples + sample;
                    let sum: u32 = ys
                        .clone()
                        .flat_map(|y| xs.clone().map(move |x| (y, x)))
                        .map(|(y, x)| u32::from(self.data[at(y, x)]))
                        .sum();
                    data.push((sum / count) as u8);
                }
            }
        }
        Self { width: columns, height: rows, samples: self.samples, data }
    }

    pub(super) fn png(&self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width, self.height);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_color(if self.samples == 3 {
            png::ColorType::Rgb
        } else {
            png::ColorType::Grayscale
        });
        let written =
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.data));
        written.map_err(unreadable)?;
        Ok(out)
    }

    /// `quality` 1 to 100.
    pub(super) fn jpeg(&self, quality: u8) -> Result<Vec<u8>, Failure> {
        let side = |n: u32| u16::try_from(n).map_err(|_| not_acceptable("image/png"));
        let mut out = Vec::new();
        let colour = if self.samples == 3 {
            jpeg_encoder::ColorType::Rgb
        } else {
            jpeg_encoder::ColorType::Luma
        };
        jpeg_encoder::Encoder::new(&mut out, quality)
            .encode(&self.data, side(self.width)?, side(self.height)?, colour)
            .map_err(unreadable)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_standard() {
        // PS3.3 C.11.2.1.2.1: c = 2048, w = 4096 maps 0 to black and 4095 to white.
        let linear = Window::of(2048.0, 4096.0, false).unwrap();
        assert_eq!((linear.shade(0.0), linear.shade(4095.0)), (0, 255));
        let exact = Window::of(10.0, 10.0, true).unwrap();
        assert_eq!([0.0, 5.0, 10.0, 15.0, 99.0].map(|v| exact.shade(v)), [0, 0, 128, 255, 255]);
        // Width 1 is a threshold at the centre.
        let step = Window::of(7.0, 1.0, false).unwrap();
        assert_eq!((step.shade(6.0), step.shade(7.0)), (0, 255));
        assert_eq!(Window::of(0.0, 0.0, true), None);
        assert_eq!(Window::of(f64::NAN, 1.0, true), None);
        assert_eq!(exact.shade(f64::NAN), 0);
        assert_eq!(Window::around(&[f64::NAN, 2.0, 4.0]), Window { low: 2.0, high: 4.0 });
    }

    #[test]
    fn a_picture_keeps_its_mean_and_its_shape_when_scaled_down() {
        let data: Vec<u8> = (0..100u32 * 50).map(|n| (n % 251) as u8).collect();
        let mean =
            |data: &[u8]| data.iter().map(|v| f64::from(*v)).sum::<f64>() / data.len() as f64;
        let picture = Picture { width: 100, height: 50, samples: 1, data: data.clone() };
        let small = picture.clone().within(20, 20);
        assert_eq!((small.width, small.height, small.data.len()), (20, 10, 200));
        assert!((mean(&small.data) - mean(&data)).abs() < 1.0);
        assert_eq!(picture.clone().within(200, 200), picture);
    }

    #[test]
    fn encoders_write_what_decoders_read() {
        let data: Vec<u8> = (0..16 * 8 * 3).map(|n| n as u8).collect();
        let picture = Picture { width: 16, height: 8, samples: 3, data };
        let png = picture.png().ok().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let mut back = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut back).unwrap();
        assert_eq!(back, picture.data);
        assert!(picture.jpeg(90).ok().unwrap().starts_with(&[0xFF, 0xD8, 0xFF]));
    }
}
