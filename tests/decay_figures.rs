//! The figures of `docs/methods/decay-data.md` are what the code computes: `UPDATE=1` redraws them.

use std::fmt::Write as _;
use std::path::Path;

use grayd::quantity::nuclide::{BetaSign, Nuclide};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 48.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d4790b", "#444444"];

/// Energy in units of the end point against particles per decay and per unit, normalised to its
/// highest value: the shapes side by side whatever their end points.
fn beta_figure(names: &[&str]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let (w, h) = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
    let _ = writeln!(
        svg,
        "<path d=\"M{MARGIN} {MARGIN}v{h}h{w}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">beta energy / highest end point</text>\n\
         <text x=\"{MARGIN}\" y=\"{}\">particles per energy (highest = 1)</text>",
        WIDTH / 2.0,
        HEIGHT - 10.0,
        MARGIN - 12.0
    );
    for (row, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let nuclide = Nuclide::parse(name).expect("a nuclide");
        let data = nuclide.decay().expect("one with data");
        let spectrum = data.beta_spectrum(&nuclide, BetaSign::Minus).expect("a beta emitter");
        let top = spectrum.bins.last().expect("bins").high.value();
        let peak = spectrum.bins.iter().map(|b| b.intensity).fold(0.0, f64::max);
        let points: Vec<String> = spectrum
            .bins
            .iter()
            .map(|b| {
                let x = MARGIN + w * b.mean.value() / top;
                let y = MARGIN + h * (1.0 - b.intensity / peak);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let mean = spectrum.energy_per_decay().value() / spectrum.intensity();
        let (x, y) = (WIDTH - 250.0, MARGIN + 18.0 * row as f64 + 6.0);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n\
             <text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}: to {top:.0} keV, mean {mean:.1} keV</text>",
            points.join(" ")
        );
    }
    svg + "</svg>\n"
}

fn assert_is_on_disk(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/methods/figures").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, svg).expect("the figures' folder can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("the figure is in the repository");
    assert!(stored == svg, "{name} is not what the code computes now; run with UPDATE=1");
}

#[test]
fn the_figure_of_beta_spectra_is_what_the_code_computes() {
    let names = ["Lu-177", "I-131", "Sm-153", "Sr-89", "Re-188", "Y-90"];
    assert_is_on_disk("beta-spectra.svg", &beta_figure(&names));
}
