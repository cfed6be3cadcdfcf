//! What is true of the digital patient, in closed form.
//!
//! Uptake is instant and clearance mono-exponential: A(t) = A0 exp(-ln 2 t / Teff), so the
//! time-integrated activity is A0 Teff / ln 2. With all non-penetrating energy E spent where the
//! decay happens, the mean dose of a region is TIA E / mass (MIRD pamphlet 21).

use super::anatomy::{AIR, BODY, Description, FIRST_REGION, Shape};
use super::{PhantomDecay, PhantomError, PhantomOptions};
use crate::quantity::{
    Becquerel, BecquerelSecond, Gram, Gray, GrayPerBecquerel, JOULE_PER_EV, Millilitre, Seconds,
};
use crate::volume::Grid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One region's truth.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionTruth {
    pub name: String,
    /// False for the rest of the body, which is not drawn.
    pub is_drawn: bool,
    pub volume: Millilitre,
    pub mass: Gram,
    /// At the administration.
    pub initial_activity: Becquerel,
    pub effective_half_life: Seconds,
    pub time_integrated_activity: BecquerelSecond,
    /// For local deposition of the energy per decay.
    pub mean_dose: Gray,
    /// Of the therapy that the imaged nuclide stands for, per activity given: the same biology, its decay and
    /// its energy.
    pub therapy: GrayPerBecquerel,
    /// At the beginning of each acquisition.
    pub activity: Vec<Becquerel>,
    pub(super) label: u8,
}

impl RegionTruth {
    /// Activity concentration at time point `n`, Bq/ml.
    pub(super) fn concentration_bq_per_ml(&self, n: usize) -> f64 {
        self.activity[n].value() / self.volume.value()
    }
}

/// What the truth of every region follows from, beside its shape.
pub(super) struct Given {
    pub decay: PhantomDecay,
    pub therapy: PhantomDecay,
    pub administered: Becquerel,
}

/// Truth of every region and of the rest of the body, which comes last. A region that no voxel
/// belongs to (a grid too small or too coarse) is left out.
pub(super) fn of(
    description: &Description,
    labels: &[u8],
    grid: &Grid,
    given: &Given,
    times: &[Seconds],
) -> Vec<RegionTruth> {
    let regions = (FIRST_REGION..).zip(&description.regions);
    let all = regions.chain(std::iter::once((BODY, &description.body)));
    all.filter_map(|(label, shape)| {
        let voxels = labels.iter().filter(|&&l| l == label && l != AIR).count();
        (voxels > 0).then(|| {
            let volume = grid.voxel_volume() * voxels as f64;
            region(shape, label, volume, given, times)
        })
    })
    .collect()
}

fn region(
    shape: &Shape,
    label: u8,
    volume: Millilitre,
    given: &Given,
    times: &[Seconds],
) -> RegionTruth {
    let biological = Seconds::from_hours(shape.biological_half_life_h).half_life_to_rate();
    let rate = given.decay.half_life.half_life_to_rate() + biological;
    let initial_activity = match shape.mbq_per_ml {
        Some(concentration) => Becquerel::from_mbq(concentration * volume.value()),
        None => given.administered * shape.uptake,
    };
    let mass = Gram::new(volume.value() * shape.density_g_per_ml);
    let integral = initial_activity.value() / rate.value();
    let gray = |decays: f64, decay: &PhantomDecay| {
        let joule_per_decay = decay.energy_per_decay.value() * 1e3 * JOULE_PER_EV;
        decays * joule_per_decay / (mass.value() * 1e-3)
    };
    let therapy_rate = given.therapy.half_life.half_life_to_rate() + biological;
    let part = initial_activity / given.administered;
    RegionTruth {
        name: shape.name.clone(),
        is_drawn: label != BODY,
        volume,
        mass,
        initial_activity,
        effective_half_life: rate.half_life(),
        time_integrated_activity: BecquerelSecond::new(integral),
        mean_dose: Gray::new(gray(integral, &given.decay)),
        therapy: GrayPerBecquerel::new(gray(part / therapy_rate.value(), &given.therapy)),
        activity: times
            .iter()
            .map(|t| initial_activity * (-rate.value() * t.value()).exp())
            .collect(),
        label,
    }
}

/// Writes `plan.yaml`, `truth.json` and what else there is beside the images.
pub(super) fn store(
    directory: &Path,
    texts: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Vec<PathBuf>, PhantomError> {
    let store = |(name, text): (&str, String)| {
        let path = directory.join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(PhantomError::File { path, source }),
        }
    };
    texts.into_iter().map(store).collect()
}

/// What `truth.json` says of one cycle.
pub(super) fn document(
    options: &PhantomOptions,
    decay: &PhantomDecay,
    times: &[Seconds],
    regions: &[RegionTruth],
) -> Value {
    let region = |truth: &RegionTruth| {
        let activity: Vec<Value> = times
            .iter()
            .zip(&truth.activity)
            .map(|(time, activity)| json!({ "hours": time.hours(), "value": activity.mbq() }))
            .collect();
        json!({
            "name": truth.name,
            "drawn": truth.is_drawn,
            "volume_ml": truth.volume.value(),
            "mass_g": truth.mass.value(),
            "initial_activity_mbq": truth.initial_activity.mbq(),
            "effective_half_life_h": truth.effective_half_life.hours(),
            "tia_mbq_h": truth.time_integrated_activity.mbq_h(),
            "mean_dose_gy": truth.mean_dose.value(),
            "therapy_gy_per_gbq": truth.therapy.gy_per_gbq(),
            "activity_mbq": activity,
        })
    };
    json!({
        "note": "Regions are unions of whole SPECT voxels with uniform concentration; A(t) is \
                 mono-exponential from the administration; mean dose is for local deposition of \
                 energy_per_decay_kev. Stored values are rounded so that each region's sum is kept.",
        "nuclide": options.nuclide.to_string(),
        "therapy": options.therapy.as_ref().unwrap_or(&options.nuclide).to_string(),
        "half_life_h": decay.half_life.hours(),
        "energy_per_decay_kev": decay.energy_per_decay.value(),
        "administered_mbq": options.administered.mbq(),
        "administered_at": options.administered_at.to_string(),
        "seed": options.seed,
        "noise_counts": options.noise_counts,
        "regions": regions.iter().map(region).collect::<Vec<_>>(),
    })
}
