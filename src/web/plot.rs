//! Time-activity curves and dose-volume histograms as inline SVG: drawn here, escaped here, told
//! apart by colour, dash and marker alike.

use crate::dicom::visible;
use std::fmt::Write;

/// One region's line. Points are measured values, the curve is what was fitted or counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) curve: Vec<(f64, f64)>,
}

/// A chart's frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axes<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) y_logarithmic: bool,
}

/// Okabe and Ito's palette, told apart with any colour vision (without its yellow, which is lost
/// on white).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#333333"];
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;
/// Height of one line of the legend.
const LEGEND_ROW: f64 = 20.0;
const LEGEND_COLUMNS: usize = 3;
/// Decades that a logarithmic axis shows at most: below lies nothing that matters to an integral.
const DECADES_MAX: f64 = 5.0;

/// The chart, or nothing where there is nothing to draw.
pub(super) fn chart(axes: &Axes<'_>, lines: &[Line]) -> Option<String> {
    let scale = Scale::of(axes, lines)?;
    let rows = lines.len().div_ceil(LEGEND_COLUMNS);
    let height = HEIGHT + rows as f64 * LEGEND_ROW;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(axes.title)
    );
    draw_axes(&mut svg, axes, &scale);
    for (index, line) in lines.iter().enumerate() {
        draw_line(&mut svg, &scale, index, line);
        draw_legend(&mut svg, index, line);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Values to places.
struct Scale {
    x: (f64, f64),
    y: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    fn of(axes: &Axes<'_>, lines: &[Line]) -> Option<Self> {
        let all = || lines.iter().flat_map(|line| line.points.iter().chain(&line.curve));
        let drawn = |(x, y): &&(f64, f64)| {
            x.is_finite() && y.is_finite() && !(axes.y_logarithmic && *y <= 0.0)
        };
        let x_max = all().filter(drawn).map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let y_max = all().filter(drawn).map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        let y_min = all().filter(drawn).map(|p| p.1).fold(f64::INFINITY, f64::min);
        if !(x_max > 0.0 && y_max > 0.0) {
            return None;
        }
        let y = if axes.y_logarithmic {
            let top = y_max.log10().ceil();
            let bottom = y_min.log10().floor().max(top - DECADES_MAX).min(top - 1.0);
            (bottom, top)
        } else {
            (0.0, nice_step(y_max) * (y_max / nice_step(y_max)).ceil())
        };
        let step = nice_step(x_max);
        let x = (0.0, step * (x_max / step).ceil());
        Some(Self { x, y, logarithmic: axes.y_logarithmic })
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1e-300).log10() } else { value };
        let value = value.clamp(self.y.0, self.y.1);
        HEIGHT - BOTTOM - (value - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - BOTTOM - TOP)
    }

    fn y_ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = (self.y.1 - self.y.0).round() as i32;
            return (0..=decades).map(|n| 10f64.powf(self.y.0 + f64::from(n))).collect();
        }
        ticks(self.y.1)
    }
}

/// 1, 2 or 5 times a power of ten, so that some five steps reach `max`.
fn nice_step(max: f64) -> f64 {
    let raw = max / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(10.0 * power)
}

fn ticks(max: f64) -> Vec<f64> {
    let step = nice_step(max);
    (0..=20).map(|n| f64::from(n) * step).take_while(|tick| *tick <= max * 1.000_001).collect()
}

fn draw_axes(svg: &mut String, axes: &Axes<'_>, scale: &Scale) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for tick in scale.y_ticks() {
        let y = scale.y(tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 7.0,
            y + 4.0,
            label(tick)
        );
    }
    for tick in ticks(scale.x.1) {
        let x = scale.x(tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            label(tick)
        );
    }
    let middle = (TOP + bottom) / 2.0;
    let _ = write!(
        svg,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
         <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"name\" x=\"14\" y=\"{middle:.1}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
        (LEFT + right) / 2.0,
        bottom + 36.0,
        escape(axes.x),
        escape(axes.y)
    );
}

fn draw_line(svg: &mut String, scale: &Scale, index: usize, line: &Line) {
    let (colour, dash) = look(index);
    let mut path = String::new();
    for (x, y) in line.curve.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let command = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", scale.x(*x), scale.y(*y));
    }
    let _ = write!(
        svg,
        "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\" \
         d=\"{path}\"/>"
    );
    for (x, y) in line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        marker(svg, index, scale.x(*x), scale.y(*y));
    }
}

fn draw_legend(svg: &mut String, index: usize, line: &Line) {
    let (colour, dash) = look(index);
    let column = (WIDTH - LEFT) / LEGEND_COLUMNS as f64;
    let x = LEFT + (index % LEGEND_COLUMNS) as f64 * column;
    let y = HEIGHT + (index / LEGEND_COLUMNS) as f64 * LEGEND_ROW + 4.0;
    let _ = write!(
        svg,
        "<path stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\" \
         d=\"M{x:.1} {y:.1}h28\"/>"
    );
    if !line.points.is_empty() {
        marker(svg, index, x + 14.0, y);
    }
    let short: String = line.name.chars().take(22).collect();
    let _ = write!(
        svg,
        "<text class=\"key\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        x + 34.0,
        y + 4.0,
        escape(&short)
    );
}

fn look(index: usize) -> (&'static str, &'static str) {
    (COLOURS[index % COLOURS.len()], DASHES[index % DASHES.len()])
}

fn marker(svg: &mut String, index: usize, x: f64, y: f64) {
    let (colour, _) = look(index);
    let shape = match index % 3 {
        0 => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", x - 4.0),
        1 => format!("M{:.1} {:.1}h7v7h-7z", x - 3.5, y - 3.5),
        _ => format!("M{x:.1} {:.1}l4.5 8h-9z", y - 5.0),
    };
    let _ = write!(svg, "<path fill=\"{colour}\" d=\"{shape}\"/>");
}

fn label(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: Axes<'_> = Axes { title: "t", x: "x", y: "y", y_logarithmic: true };

    #[test]
    fn names_are_escaped_and_bad_numbers_are_not_drawn() {
        let line = Line {
            name: "<script>alert(1)</script>".into(),
            points: vec![(1.0, f64::NAN), (f64::INFINITY, 1.0), (2.0, 10.0)],
            curve: vec![(0.0, 20.0), (4.0, 0.0)],
        };
        let svg = chart(&AXES, &[line]).unwrap();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert_eq!(chart(&AXES, &[]), None);
        let line = Line { name: "a".into(), points: vec![(1.0, 0.0)], curve: vec![] };
        assert_eq!(chart(&AXES, &[line]), None);
    }

    #[test]
    fn steps_are_round() {
        for (max, step) in [(1.0, 0.2), (7.3, 2.0), (168.0, 50.0), (24.9, 5.0), (0.004, 0.001)] {
            assert!((nice_step(max) - step).abs() < 1e-12, "{max}: {}", nice_step(max));
        }
    }
}
