//! The digital patient: SPECT/CT at several time points with regions, plan and closed-form truth,
//! all from code and a seed. The demonstration and the tests feed on it.
//!
//! Regions are analytic shapes voxelised on the SPECT grid: a voxel belongs to a region as a whole
//! or not at all, the CT grid divides SPECT voxels exactly, and contours run along voxel edges. So
//! every region's volume, mass and activity on the SPECT grid is known exactly, and what a
//! dosimetry program finds there must agree with `truth.json`.

mod anatomy;
mod course;
mod ct;
mod motion;
pub(crate) mod noise;
mod options;
mod patient;
mod planar;
mod regions;
mod spect;
mod truth;

pub use course::{SimulatedCourse, protocols};
pub use options::{
    Body, PhantomDecay, PhantomOptions, RegionObjects, SliceOrder, SpectStorage, Views,
};
pub use truth::RegionTruth;

use crate::dicom::write::segmentation::SegmentationError;
use crate::dicom::write::{DicomFile, WriteError};
use crate::quantity::nuclide::NuclideError;
use crate::quantity::{Becquerel, Seconds};
use crate::volume::{Grid, GridError};
use anatomy::Description;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Why no digital patient can be made.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    #[error(transparent)]
    Nuclide(#[from] NuclideError),
    #[error("the description of the phantom cannot be read: {0}")]
    Description(String),
    #[error("{0}")]
    Protocol(String),
    #[error("{what} must be {wanted}")]
    Option { what: &'static str, wanted: &'static str },
    #[error(transparent)]
    Grid(#[from] GridError),
    #[error(transparent)]
    Segmentation(#[from] SegmentationError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot write {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

/// A patient that exists in code only.
#[derive(Debug)]
pub struct DigitalPatient {
    options: PhantomOptions,
    description: Description,
    decay: PhantomDecay,
    times: Vec<Seconds>,
    spect: Grid,
    ct: Grid,
    /// Of every SPECT voxel, as the patient lies in the session that the regions are drawn in.
    labels: Vec<u8>,
    truth: Vec<RegionTruth>,
}

impl DigitalPatient {
    /// Makes the patient; nothing is written.
    pub fn new(options: &PhantomOptions) -> Result<Self, PhantomError> {
        options::check(options)?;
        let decay = match options.decay {
            Some(decay) => decay,
            None => PhantomDecay::of(&options.nuclide)?,
        };
        let therapy = options.therapy.as_ref().map_or(Ok(decay), PhantomDecay::of)?;
        let description = Description::of(options)?;
        let times = options.times.clone().unwrap_or_else(|| usual_times(decay.half_life));
        let (spect, ct) = grids(options)?;
        let labels = anatomy::labels(&description, &spect);
        let given = truth::Given { decay, therapy, administered: options.administered };
        let truth = truth::of(&description, &labels, &spect, &given, &times);
        let options = options.clone();
        Ok(Self { options, description, decay, times, spect, ct, labels, truth })
    }

    /// What is true of each region, the rest of the body last.
    pub fn truth(&self) -> &[RegionTruth] {
        &self.truth
    }

    /// The grid of the SPECT images, feet to head.
    pub fn spect_grid(&self) -> &Grid {
        &self.spect
    }

    /// Beginnings of the acquisitions after the administration.
    pub fn times(&self) -> &[Seconds] {
        &self.times
    }

    /// Writes DICOM files (`spect-N/`, `ct-N/`, `regions/`), `plan.yaml` and `truth.json` below
    /// `directory`, which is made where it does not exist. Returns every path.
    pub fn write(&self, directory: &Path) -> Result<Vec<PathBuf>, PhantomError> {
        let mut paths = self.write_objects(directory)?;
        let mut texts = vec![("truth.json", format!("{:#}\n", self.truth_document()))];
        match self.options.body {
            Body::Patient | Body::Liver => texts.push(("plan.yaml", self.plan())),
            Body::Cylinder | Body::Nema => texts.push(("phantom.yaml", self.filling())),
        }
        if self.options.views != Views::Spect || self.options.resolution_mm.is_some() {
            texts.push(("config.yaml", self.config()?));
        }
        paths.extend(truth::store(directory, texts)?);
        Ok(paths)
    }

    /// The DICOM files alone.
    fn write_objects(&self, directory: &Path) -> Result<Vec<PathBuf>, PhantomError> {
        let mut paths = Vec::new();
        let sessions = 0..self.times.len();
        if self.options.views != Views::Spect {
            for session in sessions.clone() {
                let folder = directory.join(format!("planar-{}", session + 1));
                paths.extend(store(&folder, &[planar::whole_body(self, session)?])?);
            }
        }
        if self.options.views == Views::Outlined {
            let objects = [("transmission", true), ("blank", false)];
            for (folder, through) in objects {
                let scan = planar::transmission::scan(self, through)?;
                paths.extend(store(&directory.join(folder), &[scan])?);
            }
        }
        if self.options.views == Views::Planar {
            paths.extend(store(&directory.join("ct-1"), &ct::slices(self, 0)?)?);
        }
        for session in sessions.filter(|session| self.has_spect(*session)) {
            let spect = match self.is_pet(session) {
                false => vec![spect::recon_tomo(self, session)?],
                true => spect::pet_slices(self, session)?,
            };
            paths.extend(store(&directory.join(format!("spect-{}", session + 1)), &spect)?);
            let ct = ct::slices(self, session)?;
            paths.extend(store(&directory.join(format!("ct-{}", session + 1)), &ct)?);
        }
        paths.extend(store(&directory.join("regions"), &regions::objects(self)?)?);
        Ok(paths)
    }

    /// What was given.
    pub fn administered(&self) -> Becquerel {
        self.options.administered
    }

    fn truth_document(&self) -> serde_json::Value {
        truth::document(&self.options, &self.decay, &self.times, &self.truth)
    }

    /// Of an entry of a plan's `cycles`.
    fn plan_administered(&self) -> String {
        let at = patient::local(self, self.options.administered_at);
        format!(
            "administered: {{ activity_mbq: {}, at: {} }}",
            self.options.administered.mbq(),
            at.strftime("%Y-%m-%dT%H:%M:%S%:z")
        )
    }

    /// The treatment plan that the images belong to.
    pub fn plan(&self) -> String {
        format!(
            "# Plan of the digital patient: one cycle, imaged at {count} time points.\n\
             patient: {{ id: \"{id}\", issuer: \"{issuer}\" }}\n\
             protocol: multi-time-point\n\
             radiopharmaceutical: {agent}\n\
             {facts}cycles:\n\
             \x20 - {{ number: 1, {cycle} }}\n\
             settings:\n\
             \x20 imaging: {{ time_points: {series}{planar} }}\n{moved}{quantification}",
            // S values are of a man or a woman; the images say neither.
            facts = match self.options.views {
                Views::Outlined => "patient_facts: { sex: M }\n",
                Views::Spect | Views::Planar | Views::Hybrid => "",
            },
            count = self.times.len(),
            series = self.times.len() + usize::from(self.options.views == Views::Hybrid),
            planar = match self.options.views {
                Views::Spect => "",
                Views::Planar | Views::Outlined => ", planar: activity",
                Views::Hybrid => ", planar: shape",
            },
            moved = if self.options.moved { "  registration: { method: rigid }\n" } else { "" },
            quantification = match (self.options.views, self.options.resolution_mm) {
                (Views::Outlined, _) => planar::outlines::settings(self),
                (_, Some(_)) => "  quantification: { partial_volume: regions }\n".to_owned(),
                (_, None) => String::new(),
            },
            id = patient::patient_id(self),
            issuer = patient::ISSUER,
            agent = patient::radiopharmaceutical_of(&self.options),
            cycle = self.plan_administered(),
        )
    }

    /// Configuration that knows the camera: of the whole-body views, and of a blurred SPECT.
    fn config(&self) -> Result<String, PhantomError> {
        Ok(planar::CONFIG.to_owned() + &planar::settings(self)?)
    }

    /// What a phantom was filled with, for `grayd calibrate`.
    fn filling(&self) -> String {
        let concentration = |name: &str| {
            let shape = self.description.regions.iter().find(|shape| shape.name == name);
            shape.and_then(|shape| shape.mbq_per_ml).unwrap_or(0.0)
        };
        let at =
            self.options.administered_at.to_zoned_datetime(self.options.utc_offset.to_time_zone());
        let mut text = format!(
            "# What the phantom was filled with, for `grayd calibrate`.\n\
             nuclide: {}\n\
             at: {}\n\
             uniform: {{ region: Uniform, mbq_per_ml: {}, relative_uncertainty: 0.02 }}\n",
            self.options.nuclide,
            at.strftime("%Y-%m-%dT%H:%M:%S%:z"),
            concentration("Uniform"),
        );
        let spheres: Vec<&str> = self
            .description
            .regions
            .iter()
            .map(|shape| shape.name.as_str())
            .filter(|name| name.starts_with("Sphere"))
            .collect();
        if let Some(first) = spheres.first() {
            text.push_str(&format!(
                "spheres:\n\
                 \x20 regions: [{}]\n\
                 \x20 mbq_per_ml: {}\n\
                 \x20 background_mbq_per_ml: {}\n\
                 \x20 relative_uncertainty: 0.02\n",
                spheres.join(", "),
                concentration(first),
                self.description.body.mbq_per_ml.unwrap_or(0.0),
            ));
        }
        text
    }

    /// Are the session's images stored as PET?
    fn is_pet(&self, session: usize) -> bool {
        match self.options.storage {
            SpectStorage::NmReconTomo => false,
            SpectStorage::Pet => true,
            SpectStorage::PetThenCounts => session == 0,
        }
    }

    fn has_spect(&self, session: usize) -> bool {
        match self.options.views {
            Views::Spect => true,
            Views::Planar | Views::Outlined => false,
            Views::Hybrid => session == self.options.spect_session.min(self.times.len() - 1),
        }
    }

    /// The session whose SPECT (or, without one, whose CT) the regions are drawn on.
    fn drawn_session(&self) -> usize {
        (0..self.times.len()).find(|session| self.has_spect(*session)).unwrap_or(0)
    }

    /// When the acquisition of a session began.
    fn acquired(&self, session: usize) -> Timestamp {
        self.after(self.times[session])
    }

    /// So long after the administration.
    fn after(&self, time: Seconds) -> Timestamp {
        let after = jiff::SignedDuration::from_secs(time.value().round() as i64);
        self.options.administered_at.saturating_add(after).unwrap_or(self.options.administered_at)
    }
}

fn usual_times(half_life: Seconds) -> Vec<Seconds> {
    const USUAL_H: [f64; 4] = [4.0, 24.0, 96.0, 168.0];
    // Half-life of 177Lu, the nuclide that these times are usual for.
    const LU_177_H: f64 = 159.5;
    let scale = if half_life.hours() < 48.0 { half_life.hours() / LU_177_H } else { 1.0 };
    USUAL_H.iter().map(|h| Seconds::new((h * scale * 3600.0).round())).collect()
}

/// SPECT and CT grids, voxel edges on voxel edges. The place in the scanner is off-centre on
/// purpose: nothing may depend on an origin of zero.
fn grids(options: &PhantomOptions) -> Result<(Grid, Grid), PhantomError> {
    let (edge, parts) = (options.spect_voxel_mm, options.ct_per_spect);
    let [slices, rows, columns] = options.spect_shape;
    let half = |n: usize| (n as f64 - 1.0) / 2.0 * edge;
    let origin = [-half(columns) + 2.4, -half(rows) - 20.0, -half(slices) - 507.6];
    let spect = Grid::axial(options.spect_shape, [edge; 3], origin)?;
    let fine = edge / parts as f64;
    let ct = Grid::axial(
        options.spect_shape.map(|n| n * parts),
        [fine; 3],
        origin.map(|o| o - edge / 2.0 + fine / 2.0),
    )?;
    Ok((spect, ct))
}

/// Writes one series, numbered.
fn store(directory: &Path, objects: &[DicomFile]) -> Result<Vec<PathBuf>, PhantomError> {
    std::fs::create_dir_all(directory)
        .map_err(|source| PhantomError::File { path: directory.to_owned(), source })?;
    let mut paths = Vec::with_capacity(objects.len());
    for (object, number) in objects.iter().zip(1..) {
        let path = directory.join(format!("{number:04}.dcm"));
        object.write_to_file(&path).map_err(|source| WriteError::File {
            path: path.display().to_string(),
            source: Box::new(source),
        })?;
        paths.push(path);
    }
    Ok(paths)
}
