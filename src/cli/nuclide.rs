//! `grayd nuclide [NAME] [--json]`: the decay data in use.

use super::{Failure, print_all};
use clap::Args;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::quantity::KiloElectronvolt;
use crate::quantity::nuclide::{
    BetaBranch, BetaSign, DecayData, MeanEnergies, Nuclide, NuclideError, Radiation,
};

/// Lines of a text report beyond this many are counted, not printed; `--json` has them all.
const LINES_SHOWN: usize = 24;

/// Decay data in use: half-life, emissions, mean energies per decay, daughters, source.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  grayd nuclide\n  grayd nuclide Lu-177\n  grayd nuclide 177Lu --json"
)]
pub struct NuclideCommand {
    /// `Lu-177`, `177Lu`, `Tc-99m` ...; without it, all nuclides there are data for
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl NuclideCommand {
    pub fn run(self) -> Result<(), Failure> {
        let text = run(self.name.as_deref(), self.json)
            .map_err(|error| Failure::usage_of(self.name.as_deref().unwrap_or(""), &error))?;
        print_all(text.trim_end())
    }
}

/// What `grayd nuclide` prints: the data of one nuclide, or the list of all without a name.
///
/// # Errors
/// [`NuclideError`] for a name that names no nuclide or one without data.
pub fn run(name: Option<&str>, as_json: bool) -> Result<String, NuclideError> {
    let Some(name) = name else { return Ok(list(as_json)) };
    let nuclide = Nuclide::parse(name)?;
    let data = nuclide.decay()?;
    Ok(if as_json { pretty(&report(&nuclide, data)) } else { text(&nuclide, data) })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn list(as_json: bool) -> String {
    let all = Nuclide::all_with_data();
    if as_json {
        return pretty(&json!(all.iter().map(ToString::to_string).collect::<Vec<_>>()));
    }
    let mut out = String::new();
    for nuclide in all {
        let half_life = nuclide.decay().map(|d| span(d.half_life.value())).unwrap_or_default();
        let _ = writeln!(out, "{:8} {half_life}", nuclide.to_string());
    }
    out
}

fn kev(energy: KiloElectronvolt) -> Value {
    // Adding zero turns a sum that came out as -0 into 0.
    json!(energy.value() + 0.0)
}

fn means(e: &MeanEnergies) -> Value {
    json!({
        "beta": kev(e.beta),
        "positron": kev(e.positron),
        "conversion_auger": kev(e.conversion_auger),
        "photon": kev(e.photon),
        "alpha": kev(e.alpha),
        "recoil": kev(e.recoil),
    })
}

fn beta_line(b: &BetaBranch) -> Value {
    let kind = match b.sign {
        BetaSign::Minus => "beta-minus",
        BetaSign::Plus => "beta-plus",
    };
    json!({
        "type": kind,
        "end_point_kev": kev(b.end_point),
        "mean_kev": kev(b.evaluated_mean),
        "intensity": b.intensity,
        "transition": b.transition,
    })
}

fn report(nuclide: &Nuclide, data: &DecayData) -> Value {
    let betas = data.betas.iter().map(beta_line);
    let discrete = data.lines.iter().map(|l| {
        let mut line = json!({
            "type": l.radiation,
            "energy_kev": kev(l.energy),
            "intensity": l.intensity,
        });
        if !l.label.is_empty() {
            line["label"] = json!(l.label);
        }
        line
    });
    let lines: Vec<Value> = betas.chain(discrete).collect();
    let daughters: Vec<Value> = data
        .daughters
        .iter()
        .map(|d| {
            json!({
                "nuclide": d.nuclide.to_string(),
                "fraction": d.fraction,
                "mode": d.mode,
                "half_life_s": d.nuclide.decay().ok().map(|data| data.half_life.value()),
            })
        })
        .collect();
    let equilibrium: Vec<Value> = data
        .equilibrium
        .iter()
        .map(|(n, decays)| json!({ "nuclide": n.to_string(), "decays_per_decay": decays }))
        .collect();
    json!({
        "nuclide": nuclide.to_string(),
        "half_life_s": data.half_life.value(),
        "half_life_uncertainty_s": data.half_life_uncertainty.value(),
        "mean_energy_kev_per_decay": means(&data.energies),
        "equilibrium": equilibrium,
        "mean_energy_kev_per_decay_with_equilibrium_daughters": means(&data.chain_energies),
        "lines": lines,
        "unlisted_kev_per_decay": {
            "photon": kev(data.unlisted_photon),
            "conversion_auger": kev(data.unlisted_electron),
            "alpha": kev(data.unlisted_alpha),
        },
        "daughters": daughters,
        "notes": data.notes,
        "source": data.source,
    })
}

/// A half-life in the unit people use for it.
fn span(seconds: f64) -> String {
    const YEAR: f64 = 31_556_925.2;
    let (unit, symbol) = match seconds {
        s if s >= YEAR => (YEAR, "a"),
        s if s >= 2.0 * 86_400.0 => (86_400.0, "d"),
        s if s >= 3_600.0 => (3_600.0, "h"),
        s if s >= 60.0 => (60.0, "min"),
        s if s >= 1.0 => (1.0, "s"),
        s if s >= 1e-3 => (1e-3, "ms"),
        _ => (1e-6, "us"),
    };
    let value = seconds / unit;
    if value < 1e4 { format!("{value:.4} {symbol}") } else { format!("{value:.4e} {symbol}") }
}

fn text(nuclide: &Nuclide, data: &DecayData) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{nuclide}  half-life {}", span(data.half_life.value()));
    let mut table = |title: &str, e: &MeanEnergies| {
        let _ = writeln!(out, "\n{title}, keV per decay");
        for (what, energy) in [
            ("beta", e.beta),
            ("positron", e.positron),
            ("conversion and Auger electrons", e.conversion_auger),
            ("photons", e.photon),
            ("alpha", e.alpha),
            ("recoil", e.recoil),
        ] {
            if energy.value() > 0.0 {
                let _ = writeln!(out, "  {what:32} {:12.4}", energy.value());
            }
        }
    };
    table("Mean energy", &data.energies);
    if data.equilibrium.len() > 1 {
        table("With the daughters in equilibrium", &data.chain_energies);
        let _ = writeln!(out, "\nIn equilibrium, decays per decay");
        for (member, decays) in &data.equilibrium {
            let _ = writeln!(out, "  {:8} {decays:.5}", member.to_string());
        }
    }
    write_lines(&mut out, data);
    for d in &data.daughters {
        let half_life = d.nuclide.decay().map(|x| span(x.half_life.value()));
        let half_life = half_life.unwrap_or_else(|_| "stable or nearly so".to_owned());
        let _ =
            writeln!(out, "daughter {:8} {:.5}  {half_life}", d.nuclide.to_string(), d.fraction);
    }
    for note in &data.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "source: {}", data.source);
    out
}

/// The lines that carry the most energy, strongest first.
fn write_lines(out: &mut String, data: &DecayData) {
    let mut rows: Vec<(f64, String)> = Vec::new();
    for b in &data.betas {
        let carried = b.intensity * b.evaluated_mean.value();
        let end = b.end_point.value();
        rows.push((carried, format!("beta, end point {end:.1} keV, {:.4} per decay", b.intensity)));
    }
    for l in data.lines.iter().filter(|l| l.radiation != Radiation::Recoil) {
        let carried = l.intensity * l.energy.value();
        let kind = serde_json::to_value(l.radiation).ok();
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = format!("{kind} {}", l.label);
        rows.push((
            carried,
            format!(
                "{}, {:.2} keV, {:.5} per decay",
                name.trim_end(),
                l.energy.value(),
                l.intensity
            ),
        ));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let _ = writeln!(out, "\nRadiations by energy carried");
    for (_, row) in rows.iter().take(LINES_SHOWN) {
        let _ = writeln!(out, "  {row}");
    }
    if rows.len() > LINES_SHOWN {
        let _ = writeln!(out, "  and {} weaker ones (--json)", rows.len() - LINES_SHOWN);
    }
    let _ = writeln!(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_promised_keys() {
        let text = run(Some("177Lu-DOTATATE"), true).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["nuclide"], "Lu-177");
        let hours = value["half_life_s"].as_f64().unwrap() / 3600.0;
        assert!((hours - 159.5).abs() < 0.2, "{hours}");
        let means = &value["mean_energy_kev_per_decay"];
        for key in ["beta", "positron", "conversion_auger", "photon", "alpha"] {
            assert!(means[key].is_f64(), "{key}");
        }
        let lines = value["lines"].as_array().unwrap();
        let gamma = lines
            .iter()
            .find(|l| l["energy_kev"].as_f64().is_some_and(|e| (e - 208.37).abs() < 0.01));
        assert_eq!(gamma.unwrap()["type"], "gamma");
        assert_eq!(value["daughters"][0]["nuclide"], "Hf-177");
        assert!(value["source"].as_str().unwrap().contains("ENSDF"));
    }

    #[test]
    fn every_nuclide_prints_without_nan() {
        for nuclide in Nuclide::all_with_data() {
            let name = nuclide.to_string();
            for as_json in [false, true] {
                let out = run(Some(&name), as_json).unwrap();
                assert!(
                    out.contains(&name) && !out.contains("NaN") && !out.contains("inf"),
                    "{out}"
                );
            }
        }
        assert!(run(None, false).unwrap().lines().count() == 48);
    }

    #[test]
    fn an_unknown_nuclide_says_what_to_do() {
        let message = run(Some("Xx-999"), false).unwrap_err().to_string();
        assert!(message.contains("Lu-177"), "{message}");
        let message = run(Some("C-11"), true).unwrap_err().to_string();
        assert!(message.contains("grayd nuclide"), "{message}");
    }
}
