//! What the gates of emission to emission and of emission to CT let pass: pairs of one patient and of different
//! ones.
//!
//!     cargo bench --bench gates
//!
//! Each pair is registered as the pipeline does, without a gate. Right: emissions of one patient, emission and CT of
//! one patient, one of them moved. Wrong: different patients, and the map of a right pair 60 mm beside itself; 20 and
//! 40 mm beside are told and not judged. Ends with status 1 where a gate does not part right from wrong.

#![allow(clippy::unwrap_used)] // a bench that cannot go on stops

#[path = "../tests/regions/measured.rs"]
#[allow(dead_code, unused_imports)] // the tests use more of it
mod measured;
#[path = "../tests/regions/pairs.rs"]
#[allow(dead_code)]
mod pairs;
#[path = "../tests/report/peer.rs"]
#[allow(dead_code)]
mod peer;

use grayd::register::{self, Metric, Motion};
use grayd::volume::{Grid, Volume};
use ndarray::Array3;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// How far maps are moved beside themselves, mm; the last is wrong.
const BESIDE_MM: [f64; 3] = [20.0, 40.0, 60.0];

struct Image {
    who: String,
    what: String,
    values: Volume<f32>,
}

/// Emissions and CTs of four patients, and two more CTs; none, with a line, where they are not at hand.
fn images() -> Option<(Vec<Image>, Vec<Image>)> {
    let scans = pairs::scans()?;
    let (pet, pet_ct) = measured::pet_ct()?;
    measured::data("lu177_spect_michigan")?;
    let python = peer::python_with("SimpleITK, pydicom, numpy")?;
    let folder = tempfile::tempdir().unwrap();
    let (patient, out) = (folder.path().join("patient"), folder.path());
    let grayd = env!("CARGO_BIN_EXE_grayd");
    peer::said(Command::new(grayd).args(["phantom", "--output"]).arg(&patient));
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let described = peer::script(&python, "emissions.py", &[&shared, &patient, out]);
    let (mut emissions, mut cts) = (Vec::new(), Vec::new());
    for of in described.as_array().unwrap() {
        let three = |key: &str| [0, 1, 2].map(|n| of[key][n].as_f64().unwrap());
        let text = |key: &str| of[key].as_str().unwrap().to_owned();
        let shape = three("shape").map(|n| n as usize);
        let grid = Grid::axial(shape, three("spacing"), three("origin")).unwrap();
        let bytes = std::fs::read(out.join(text("file"))).unwrap();
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let [low, high] = register::constants().ct_window_hu.value;
        let is_ct = text("what") == "CT";
        let values = values.map(|v| if is_ct { v.clamp(low, high) } else { v }).collect();
        let values = Array3::from_shape_vec(grid.dim(), values).unwrap();
        let list = if is_ct { &mut cts } else { &mut emissions };
        list.push(Image {
            who: text("who"),
            what: text("what"),
            values: Volume::new(grid, values),
        });
    }
    let image =
        |who: &str, what: &str, values| Image { who: who.into(), what: what.into(), values };
    emissions.push(image("acrin", "PET", pet));
    cts.push(image("acrin", "CT", pet_ct));
    cts.extend(scans.into_iter().map(|scan| image(&scan.name, "CT", scan.hu)));
    Some((emissions, cts))
}

/// A gate and what it is tried on.
struct Gate<'a> {
    name: &'static str,
    metric: Metric,
    least: f64,
    fixed: &'a [Image],
    moving: &'a [Image],
}

/// Scores by the metric.
#[derive(Default)]
struct Scores {
    right: Vec<f64>,
    strangers: Vec<f64>,
    /// Of right maps moved by each of [`BESIDE_MM`].
    beside: [Vec<f64>; 3],
    /// Furthest of the right pairs' maps from the truth: mm at the middle, degrees.
    apart: (f64, f64),
}

fn highest(scores: &[f64]) -> f64 {
    scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

impl Scores {
    fn wrong_up_to(&self) -> f64 {
        highest(&self.strangers).max(highest(&self.beside[BESIDE_MM.len() - 1]))
    }

    fn right_from(&self) -> f64 {
        self.right.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

impl Gate<'_> {
    /// Two days of one patient once, whichever is the fixed one; of different patients one day is enough.
    fn pairs(&self) -> Vec<(&Image, &Image)> {
        let once = std::ptr::eq(self.fixed, self.moving);
        let mut found = Vec::new();
        for (n, one) in self.fixed.iter().enumerate() {
            let from = if once { n + 1 } else { 0 };
            for other in &self.moving[from..] {
                let a_last_day = one.what == "last" || other.what == "last";
                if one.who == other.who || !a_last_day {
                    found.push((one, other));
                }
            }
        }
        found
    }

    fn scores(&self) -> Scores {
        let mut scores = Scores::default();
        let pairs = self.pairs();
        for (n, (one, other)) in pairs.iter().enumerate() {
            let Image { who, what, .. } = other;
            print!("{}, {} of {}: ", self.name, n + 1, pairs.len());
            print!("{who} {what} on {} {}: ", one.who, one.what);
            self.try_on(one, other, &mut scores);
        }
        scores
    }

    fn try_on(&self, one: &Image, other: &Image, scores: &mut Scores) {
        let settings = register::constants().settings(Motion::Rigid, self.metric, -1.0);
        // Laid anew: no two days begin alike.
        let middle = pairs::middle(one.values.grid());
        let truth = pairs::rigid([3.0, -2.0, 4.0], [14.0, -9.0, 18.0], middle);
        let there = pairs::moved(&other.values, &truth);
        let begin = Instant::now();
        let found = register::register(&one.values, &there, &settings);
        let seconds = begin.elapsed().as_secs_f64();
        let right = one.who == other.who;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                println!("{error} ({seconds:.1} s)");
                if right {
                    scores.right.push(f64::NEG_INFINITY); // no gate lets it pass
                }
                return;
            }
        };
        if !right {
            println!("wrong, {:.4} ({seconds:.1} s)", found.score);
            scores.strangers.push(found.score);
            return;
        }
        scores.right.push(found.score);
        let (mm, degrees) = pairs::error(&found.fixed_to_moving, &truth, one.values.grid());
        scores.apart = (scores.apart.0.max(mm), scores.apart.1.max(degrees));
        // The map that was found, beside itself.
        let level = *settings.levels_mm.last().unwrap();
        let beside = BESIDE_MM.map(|mm| -> Vec<f64> {
            let shifts = [[mm, 0.0, 0.0], [0.0, mm, 0.0], [0.0, 0.0, mm]];
            let score = |shift: [f64; 3]| {
                let map = found.fixed_to_moving.then(&pairs::rigid([0.0; 3], shift, [0.0; 3]));
                register::score(&one.values, &there, &map, self.metric, level)
            };
            shifts.into_iter().filter_map(score).collect()
        });
        println!(
            "right, {:.4}, {mm:.2} mm and {degrees:.2} degrees from the truth; {} mm beside up to {} ({seconds:.1} s)",
            found.score,
            BESIDE_MM.map(|mm| mm.to_string()).join(", "),
            beside.each_ref().map(|scores| format!("{:.4}", highest(scores))).join(", "),
        );
        scores.beside.iter_mut().zip(beside).for_each(|(all, more)| all.extend(more));
    }

    /// Whether every right pair passes and no wrong one does; a list that is empty says nothing.
    fn parts(&self, scores: &Scores) -> bool {
        let (wrong, right) = (scores.wrong_up_to(), scores.right_from());
        wrong.is_finite() && right.is_finite() && wrong < self.least && right >= self.least
    }
}

fn main() -> ExitCode {
    let Some((emissions, cts)) = images() else { return ExitCode::SUCCESS };
    let of = register::constants();
    let (correlation, mutual) =
        (of.correlation_min_emission.value, of.mutual_information_min.value);
    let gate = |name, metric, least, fixed, moving| Gate { name, metric, least, fixed, moving };
    let (one, two) = (Metric::Correlation, Metric::MutualInformation);
    let gates = [
        gate("correlation, emission on emission", one, correlation, &emissions[..], &emissions[..]),
        gate("mutual information, emission on CT", two, mutual, &cts[..], &emissions[..]),
        gate("mutual information, CT on emission", two, mutual, &emissions[..], &cts[..]),
    ];
    let all = gates.each_ref().map(Gate::scores);
    println!(
        "\n| | wrong up to | gate | right from | patients | 60 mm beside | 40 mm | 20 mm | from the truth |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (gate, scores) in gates.iter().zip(&all) {
        let up_to = |of: &[f64]| format!("{}: up to {:.4}", of.len(), highest(of));
        let [near, middle, far] = &scores.beside;
        println!(
            "| {} | {:.4} | {:.2} | {:.4} ({}) | {} | {} | {} | {} | up to {:.1} mm, {:.1} degrees |",
            gate.name,
            scores.wrong_up_to(),
            gate.least,
            scores.right_from(),
            scores.right.len(),
            up_to(&scores.strangers),
            up_to(far),
            up_to(middle),
            up_to(near),
            scores.apart.0,
            scores.apart.1,
        );
    }
    let mut status = ExitCode::SUCCESS;
    for (gate, scores) in gates.iter().zip(&all).filter(|(gate, scores)| !gate.parts(scores)) {
        println!(
            "FAILED: {}: the gate of {} does not part wrong pairs (up to {:.4}) from right ones (from {:.4})",
            gate.name,
            gate.least,
            scores.wrong_up_to(),
            scores.right_from()
        );
        status = ExitCode::FAILURE;
    }
    status
}
