//! Time-activity curves and dose-volume histograms as inline SVG: drawn here, escaped here, told
//! apart by colour, dash and marker alike.

use crate::dicom::visible;
use crate::report::plot::{Frame, Line, label};
use std::fmt::Write;

/// A chart's frame.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub y_logarithmic: bool,
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

/// The chart, or nothing where there is nothing to draw.
pub(super) fn chart(axes: &Axes<'_>, lines: &[Line]) -> Option<String> {
    let scale = Scale(Frame::of(axes.y_logarithmic, lines)?);
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

/// The chart as a file of its own, which no page's style reaches.
pub fn file(axes: &Axes<'_>, lines: &[Line]) -> Option<String> {
    const OPENING: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";
    const STYLE: &str = "<style>text{font:12px sans-serif}.grid{stroke:#ddd;fill:none}\
                         .axis{stroke:#333;fill:none}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";
    let svg = chart(axes, lines)?.replacen("<svg ", OPENING, 1);
    let (opening, rest) = svg.split_once('>')?;
    Some(format!("{opening}>{STYLE}{rest}\n"))
}

/// Values to places.
struct Scale(Frame);

impl Scale {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.0.x(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.0.y(value) * (HEIGHT - BOTTOM - TOP)
    }
}

fn draw_axes(svg: &mut String, axes: &Axes<'_>, scale: &Scale) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for tick in scale.0.y_ticks() {
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
    for tick in scale.0.x_ticks() {
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
    for (x, y, _) in line.points.iter().filter(|(x, y, _)| x.is_finite() && y.is_finite()) {
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
            points: vec![(1.0, f64::NAN, None), (f64::INFINITY, 1.0, None), (2.0, 10.0, None)],
            curve: vec![(0.0, 20.0), (4.0, 0.0)],
        };
        let svg = chart(&AXES, &[line]).unwrap();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert_eq!(chart(&AXES, &[]), None);
        let line = Line { name: "a".into(), points: vec![(1.0, 0.0, None)], curve: vec![] };
        assert_eq!(chart(&AXES, &[line]), None);
    }
}
